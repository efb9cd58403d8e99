//! A blueprint read here, without a manager: what it imports, and what is wrong with it.

use camino::Utf8Path;
use waggoner_blueprint::{Blueprint, Diagnostic, Options, PluginImport, validate};

use super::{
    Found, Source, SourceError,
    resolver::{Local, Missing},
};

impl Source {
    /// Gathers the `plugin:` imports of the blueprint and of all it imports. What is wrong with
    /// the blueprint is passed over: the manager says it.
    pub(crate) fn wanted(&self, found: &[Found]) -> Result<Vec<PluginImport>, SourceError> {
        let resolver = Local::new(self, found, Missing::IsEmpty);
        self.findings(&resolver)?;
        Ok(resolver.wanted())
    }

    /// Checks the blueprint as far as that is possible here.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        let found = self.found()?;
        let findings = self.findings(&Local::new(self, &found, Missing::IsRefused))?;
        if findings.is_empty() {
            return Ok(());
        }
        Err(SourceError::Invalid(findings.iter().flat_map(lines).collect()))
    }

    fn findings(&self, resolver: &Local<'_>) -> Result<Vec<Diagnostic>, SourceError> {
        let path = self.directory.join(&self.main_file);
        let text = read(&path)?;
        let blueprint = Blueprint { text: &text, location: &self.main_file };
        Ok(validate(blueprint, resolver, &Options::default()))
    }
}

fn read(path: &Utf8Path) -> Result<String, SourceError> {
    fs_err::read_to_string(path).map_err(SourceError::Blueprint)
}

/// A finding, with the lines around its place below.
fn lines(finding: &Diagnostic) -> Vec<String> {
    let around = finding.snippet.lines().map(|line| format!("  {line}"));
    std::iter::once(finding.to_string()).chain(around).collect()
}

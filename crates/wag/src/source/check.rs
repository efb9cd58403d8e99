//! A blueprint read here: what it imports, what is wrong with it, and the plan it makes.

use camino::Utf8Path;
use waggoner_blueprint::{Blueprint, Diagnostic, Options, Plan, PluginImport, parse};

use super::{
    Library, Source, SourceError,
    resolver::{Local, Missing},
};

/// What is wrong with a blueprint, as far as that can be told here.
#[derive(Debug)]
pub(crate) struct Findings {
    pub found: Vec<Diagnostic>,
    /// Whether it imports what a manager alone can bring.
    pub needs_manager: bool,
}

impl Source {
    /// Gathers the `plugin:` imports of the blueprint and of all it imports. What is wrong with
    /// the blueprint is passed over: the manager says it.
    pub(crate) fn wanted(&self, library: &Library) -> Result<Vec<PluginImport>, SourceError> {
        let resolver = Local::new(self, library, Missing::IsEmpty);
        drop(self.parse(&resolver)?);
        Ok(resolver.wanted())
    }

    /// Checks the blueprint as far as that is possible here.
    pub(crate) fn check(&self, library: &Library) -> Result<Findings, SourceError> {
        let resolver = Local::new(self, library, Missing::IsRefused);
        let found = self.parse(&resolver)?.err().unwrap_or_default();
        Ok(Findings { found, needs_manager: resolver.needs_manager() })
    }

    /// Makes the blueprint's plan.
    pub(crate) fn plan(&self, library: &Library) -> Result<Plan, SourceError> {
        self.parse(&Local::new(self, library, Missing::IsRefused))?.map_err(SourceError::Invalid)
    }

    pub(super) fn parse(
        &self,
        resolver: &Local<'_>,
    ) -> Result<Result<Plan, Vec<Diagnostic>>, SourceError> {
        let path = self.directory.join(&self.main_file);
        let text = read(&path)?;
        let blueprint = Blueprint { text: &text, location: &self.main_file };
        Ok(parse(blueprint, resolver, &Options::default()).map_err(|found| found.0))
    }
}

/// A finding, with the lines around its place below.
pub(super) fn lines(finding: &Diagnostic) -> Vec<String> {
    let around = finding.snippet.lines().map(|line| format!("  {line}"));
    std::iter::once(finding.to_string()).chain(around).collect()
}

fn read(path: &Utf8Path) -> Result<String, SourceError> {
    fs_err::read_to_string(path).map_err(SourceError::Blueprint)
}

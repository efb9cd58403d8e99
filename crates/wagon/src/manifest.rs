//! A `plugin.yaml`: which plugins it defines, and whether they are the wagon's.

use camino::Utf8Path;
use waggoner_yaml::{Key, Mark, Node, Value};

use crate::{Metadata, refusal::excerpt};

/// The `plugins` section of a plugin.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginManifest {
    /// The version of the language in the file's name: `1_4` for `plugin_1_4.yaml`.
    pub dsl_version: Option<String>,
    /// The plugins in the order of the text; one at least.
    pub plugins: Vec<PluginEntry>,
}

/// One plugin of a plugin.yaml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginEntry {
    /// The name under which operations refer to it.
    pub key: String,
    /// Which agent runs its operations.
    pub executor: Executor,
    /// The package that it comes in.
    pub package_name: Option<String>,
    /// The package's version.
    pub package_version: Option<String>,
    /// Where it comes from when it is no wagon.
    pub source: Option<String>,
    /// Whether it has to be installed at all.
    pub install: bool,
    /// Further arguments for its installation.
    pub install_arguments: Option<String>,
    /// The platform that a wagon of it has to be for.
    pub supported_platform: Option<String>,
    /// The distribution that a wagon of it has to be made on.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub distribution_version: Option<String>,
    /// That distribution's release.
    pub distribution_release: Option<String>,
}

/// Which agent runs a plugin's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// The tenant's central agent.
    CentralDeploymentAgent,
    /// The agent of the node's host.
    HostAgent,
}

/// Why a plugin.yaml is refused, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plugin file `{file}` is refused: {flaw}")]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// What is wrong: a clause.
    pub flaw: String,
    /// Where, if at one place.
    pub mark: Option<Mark>,
    /// The lines around; empty for none.
    pub snippet: String,
}

/// What is wrong, and where.
struct Flaw(String, Option<Mark>);

// === impl PluginManifest ===

impl PluginManifest {
    /// Reads a plugin.yaml. `file` is its name, which may end in a version of the language.
    pub fn read(file: &str, text: &str) -> Result<Self, ManifestError> {
        let refuse = |flaw: String, mark, snippet| ManifestError {
            file: excerpt(file),
            flaw,
            mark,
            snippet,
        };
        let root = waggoner_yaml::parse(text, waggoner_yaml::Budget::default())
            .map_err(|error| refuse(error.to_string(), Some(error.mark), error.snippet))?;
        let plugins = plugins(&root).map_err(|Flaw(flaw, mark)| match mark {
            Some(at) => {
                let flaw = format!("at line {}, column {}, {flaw}", at.line, at.column);
                refuse(flaw, mark, waggoner_yaml::snippet(text, at))
            }
            None => refuse(flaw, None, String::new()),
        })?;
        Ok(Self { dsl_version: dsl_version(file), plugins })
    }

    /// Checks that the file belongs to a wagon: it defines a plugin of the wagon's package, and
    /// none of another version of it.
    pub fn check(&self, file: &str, wagon: &Metadata) -> Result<(), ManifestError> {
        let refuse = |flaw| {
            let snippet = String::new();
            Err(ManifestError { file: excerpt(file), flaw, mark: None, snippet })
        };
        let (name, version) = (&wagon.package_name, &wagon.package_version);
        let mut own = self
            .plugins
            .iter()
            .filter(|plugin| plugin.package_name.as_ref() == Some(name))
            .peekable();
        if own.peek().is_none() {
            let others: Vec<_> = self
                .plugins
                .iter()
                .map(|plugin| plugin.package_name.as_deref().unwrap_or(&plugin.key))
                .map(|other| format!("`{}`", excerpt(other)))
                .collect();
            return refuse(format!(
                "it defines no plugin with the package_name `{name}`, which is the wagon's, but {}",
                others.join(", ")
            ));
        }
        let other = own.find_map(|plugin| {
            let given = plugin.package_version.as_ref()?;
            (given != version).then_some((&plugin.key, given))
        });
        match other {
            None => Ok(()),
            Some((key, given)) => refuse(format!(
                "its plugin `{}` has the package_version `{}`, but the wagon has `{version}`",
                excerpt(key),
                excerpt(given)
            )),
        }
    }
}

// === impl Executor ===

impl Executor {
    /// The word of the language.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CentralDeploymentAgent => "central_deployment_agent",
            Self::HostAgent => "host_agent",
        }
    }
}

/// Returns the `1_4` of `plugin_1_4.yaml`.
fn dsl_version(file: &str) -> Option<String> {
    let stem = Utf8Path::new(file).file_stem()?;
    let mut parts = stem.rsplit('_');
    let (minor, major) = (parts.next()?, parts.next()?);
    let is_number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    (parts.next().is_some() && is_number(minor) && is_number(major))
        .then(|| format!("{major}_{minor}"))
}

fn plugins(root: &Node) -> Result<Vec<PluginEntry>, Flaw> {
    let section = root.get("plugins").ok_or_else(|| {
        Flaw("it has no `plugins` section, so it defines no plugin".to_owned(), None)
    })?;
    let map = section.as_map().filter(|map| !map.is_empty()).ok_or_else(|| {
        let given = section.value.type_name();
        let flaw = format!("`plugins` has to be a dict of at least one plugin, not {given}");
        Flaw(flaw, Some(section.mark))
    })?;
    map.iter().map(|(key, entry)| plugin(key, &entry.node)).collect()
}

fn plugin(key: &Key, node: &Node) -> Result<PluginEntry, Flaw> {
    let key = key.to_text();
    let shown = excerpt(&key);
    if node.as_map().is_none() {
        let given = node.value.type_name();
        let flaw = format!("the plugin `{shown}` has to be a dict, not {given}");
        return Err(Flaw(flaw, Some(node.mark)));
    }
    let text = |name: &str| match node.get(name).map(|value| (&value.value, value.mark)) {
        None | Some((Value::Null, _)) => Ok(None),
        Some((Value::Str(text), _)) => Ok(Some(text.clone())),
        // `package_version: 3.1` is a number to YAML and was a version to its author.
        Some((Value::Int(number), _)) => Ok(Some(number.to_string())),
        Some((Value::Float(number), _)) => Ok(Some(waggoner_yaml::python_float(*number))),
        Some((other, mark)) => {
            let given = other.type_name();
            let flaw = format!("`{name}` of the plugin `{shown}` has to be a string, not {given}");
            Err(Flaw(flaw, Some(mark)))
        }
    };
    let executor = match text("executor")?.as_deref() {
        Some("central_deployment_agent") => Executor::CentralDeploymentAgent,
        Some("host_agent") => Executor::HostAgent,
        given => {
            let given = given.map_or_else(
                || "has no executor".to_owned(),
                |given| format!("has the executor `{}`", excerpt(given)),
            );
            let flaw = format!(
                "the plugin `{shown}` {given}: it has to be central_deployment_agent or host_agent"
            );
            return Err(Flaw(flaw, Some(node.get("executor").unwrap_or(node).mark)));
        }
    };
    let install = match node.get("install").map(|value| (&value.value, value.mark)) {
        None | Some((Value::Null, _)) => true,
        Some((Value::Bool(install), _)) => *install,
        Some((other, mark)) => {
            let given = other.type_name();
            let flaw =
                format!("`install` of the plugin `{shown}` has to be a boolean, not {given}");
            return Err(Flaw(flaw, Some(mark)));
        }
    };
    Ok(PluginEntry {
        executor,
        package_name: text("package_name")?,
        package_version: text("package_version")?,
        source: text("source")?,
        install,
        install_arguments: text("install_arguments")?,
        supported_platform: text("supported_platform")?,
        distribution: text("distribution")?,
        distribution_version: text("distribution_version")?,
        distribution_release: text("distribution_release")?,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_file_is_read() {
        let text = "
plugins:
  web:
    executor: host_agent
    package_name: web-plugin
    package_version: '1.2.0'
  tool: {executor: central_deployment_agent, install: no, package_version: 3.1}
";
        let manifest = PluginManifest::read("plugin_1_4.yaml", text).unwrap();
        assert_eq!(manifest.dsl_version.as_deref(), Some("1_4"));
        let [web, tool] = manifest.plugins.as_slice() else { panic!("{manifest:?}") };
        assert_eq!(web.executor, Executor::HostAgent);
        assert_eq!(web.package_version.as_deref(), Some("1.2.0"));
        assert!(web.install && !tool.install);
        assert_eq!(tool.package_version.as_deref(), Some("3.1"));
    }

    #[test]
    fn the_version_of_the_language_stands_at_the_end_of_the_name() {
        for (name, version) in [
            ("plugin.yaml", None),
            ("plugin_1_5.yaml", Some("1_5")),
            ("v2_plugin.yaml", None),
            ("dir/aws_plugin_1_3.yaml", Some("1_3")),
            ("1_3.yaml", None),
            ("", None),
        ] {
            assert_eq!(dsl_version(name).as_deref(), version, "{name}");
        }
    }

    #[test]
    fn a_refusal_says_where_and_why() {
        for (text, message) in [
            ("a: 1", "it has no `plugins` section, so it defines no plugin"),
            (
                "plugins: {}",
                "at line 1, column 10, `plugins` has to be a dict of at least one plugin, not dict",
            ),
            (
                "plugins:\n  p: 1",
                "at line 2, column 6, the plugin `p` has to be a dict, not integer",
            ),
            (
                "plugins:\n  p: {executor: me}",
                "at line 2, column 17, the plugin `p` has the executor `me`: it has to be central_deployment_agent or host_agent",
            ),
            (
                "plugins:\n  p: {executor: host_agent, source: [a]}",
                "at line 2, column 37, `source` of the plugin `p` has to be a string, not list",
            ),
        ] {
            let refusal = PluginManifest::read("plugin.yaml", text).unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!("the plugin file `plugin.yaml` is refused: {message}")
            );
        }
        let refusal = PluginManifest::read("plugin.yaml", "a: [1").unwrap_err();
        assert!(refusal.to_string().contains("failed to read the YAML at line"), "{refusal}");
        assert!(refusal.mark.is_some() && refusal.snippet.contains("a: [1"), "{refusal:?}");
    }
}

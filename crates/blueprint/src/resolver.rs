//! Where the texts of imports come from: the caller's decision.

use std::fmt;

/// What an import names, once its namespace is off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A file beside the blueprint: a path as [`Blueprint::location`](crate::Blueprint) is one.
    File(String),
    /// `http:`, `https:` or `ftp:`.
    Url(String),
    /// An uploaded plugin's YAML.
    Plugin(PluginImport),
    /// An uploaded blueprint's main file, by the blueprint's id; or, as `ID/PATH`, a file that this
    /// or another of its files imports, relative to the main file's folder.
    Blueprint(String),
    /// A file of the manager's (`cloudify/types/types_1_3.yaml`).
    Resource(String),
}

/// `plugin:NAME?version=SPECIFIER&distribution=NAME`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginImport {
    pub name: String,
    /// The versions that fit, as PEP 440 writes them; a bare version means that very one.
    pub version: Option<String>,
    pub distribution: Option<String>,
}

/// A text that was found.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub text: String,
    /// For plugins: the labels and tags that the plugin carries; its YAML's own are ignored.
    pub plugin: Option<PluginLabels>,
    /// For plugins: whether a blueprint of `cloudify_dsl_1_3` gets the text without what is newer,
    /// as from a manager (`manager_rest/dsl_back_compat.py`).
    pub adapts: bool,
}

/// What a manager knows about a plugin beside its YAML.
#[derive(Clone, Debug, Default)]
pub struct PluginLabels {
    /// Label to values.
    pub blueprint_labels: serde_json::Map<String, serde_json::Value>,
    /// Label to values.
    pub labels: serde_json::Map<String, serde_json::Value>,
    pub resource_tags: serde_json::Map<String, serde_json::Value>,
}

/// Why a text could not be brought: one clause, told to the user as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Brings texts. What may be read, from where and how much of it is decided here.
pub trait Resolver {
    /// Returns the text at `location`: `None` when nothing is there, so that the next place
    /// is tried. `dsl_version` is the main file's, as in `1_4`: it chooses between the YAML
    /// files of a plugin.
    ///
    /// Cloudify's own `types.yaml` need not be found: this crate has it.
    fn fetch(&self, location: &Location, dsl_version: &str) -> Result<Option<Fetched>, FetchError>;

    /// Says whether the blueprint brings a file of this name: a script of an operation.
    fn has_file(&self, path: &str) -> bool;

    /// Turns the time of a schedule into UTC (`2030-01-31 12:00:00`): `2030-01-31 12:00`, or
    /// `12:00` of today, in a time zone of the tz database. `None` when it cannot be told.
    ///
    /// Without a clock and a database only dates in UTC can, which is what this does unless
    /// it is overridden. A time without a zone is in UTC.
    fn to_utc(&self, time: &str, timezone: Option<&str>) -> Option<String> {
        let is_utc = timezone.is_none_or(|zone| matches!(zone, "UTC" | "Etc/UTC" | "GMT" | "Zulu"));
        is_utc.then(|| schedule_time(time)).flatten()
    }
}

/// Brings nothing: for a blueprint that imports Cloudify's types only.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoImports;

// === impl Location ===

impl Location {
    /// Reads what an import says after its namespace.
    pub fn parse(text: &str) -> Self {
        let scheme = text.split_once(':');
        match scheme {
            Some(("plugin", rest)) => Self::Plugin(PluginImport::parse(rest)),
            Some(("blueprint", rest)) => Self::Blueprint(rest.to_owned()),
            Some(("http" | "https" | "ftp", _)) => Self::Url(text.to_owned()),
            Some(("file", path)) => Self::File(path.to_owned()),
            Some(("resource", path)) => Self::Resource(path.to_owned()),
            _ => Self::File(text.to_owned()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Url(url) => f.write_str(url),
            Self::Plugin(plugin) => plugin.fmt(f),
            Self::Blueprint(id) => write!(f, "blueprint:{id}"),
            Self::Resource(path) => write!(f, "resource:{path}"),
        }
    }
}

// === impl PluginImport ===

impl PluginImport {
    /// Reads `NAME?version=SPECIFIER&distribution=NAME`; unknown parameters are ignored.
    fn parse(text: &str) -> Self {
        let (name, query) = text.split_once('?').unwrap_or((text, ""));
        let parameter = |wanted: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(name, _)| name.trim() == wanted)
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        Self {
            name: name.trim().to_owned(),
            version: parameter("version"),
            distribution: parameter("distribution"),
        }
    }

    /// Chooses the plugin that is meant by its version: the place of the highest that fits.
    pub fn choose<'v>(&self, versions: impl IntoIterator<Item = &'v str>) -> Option<usize> {
        let fitting = versions.into_iter().enumerate().filter(|(_, version)| self.allows(version));
        let rank = |version: &str| version.parse::<pep440_rs::Version>().ok();
        fitting.max_by_key(|(_, version)| rank(version)).map(|(place, _)| place)
    }

    /// Says whether a plugin's version fits. A version that is not one of PEP 440 fits only
    /// an import that names it exactly, or no version at all.
    pub fn allows(&self, version: &str) -> bool {
        let Some(wanted) = &self.version else { return true };
        if wanted == version {
            return true;
        }
        let Ok(version) = version.parse::<pep440_rs::Version>() else { return false };
        let specifier = if wanted.starts_with(|first: char| first.is_ascii_digit()) {
            format!("=={wanted}")
        } else {
            wanted.clone()
        };
        specifier
            .parse::<pep440_rs::VersionSpecifiers>()
            .is_ok_and(|specifiers| specifiers.contains(&version))
    }
}

impl fmt::Display for PluginImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin:{}", self.name)?;
        let mut separator = '?';
        for (name, value) in [("version", &self.version), ("distribution", &self.distribution)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl Fetched {
    /// A YAML file of a plugin, by its name. What was written for `cloudify_dsl_1_3` is taken as it
    /// is.
    pub fn of_plugin(name: &str, text: &str) -> Self {
        Self { text: text.to_owned(), plugin: None, adapts: !name.ends_with("_1_3.yaml") }
    }
}

/// Chooses among the YAML files of a plugin, by their names: the one for this version of the
/// language, else the highest older one, else one that names no version, else the first.
///
/// Source: `rest_service/manager_rest/storage/resource_models.py`.
pub fn yaml_for<'n>(names: impl IntoIterator<Item = &'n str>, dsl_version: &str) -> Option<usize> {
    let numbers = |text: &str| {
        let (major, minor) = text.split_once('_')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let version = |name: &str| {
        let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))?;
        numbers(&stem[stem.rmatch_indices('_').nth(1)?.0 + 1..])
    };
    let wanted = numbers(dsl_version);
    let mut first = None;
    let fitting = names.into_iter().enumerate().inspect(|_| first = Some(0)).filter_map(|named| {
        let has = version(named.1);
        let fits = has.is_none() || wanted.is_none() || has <= wanted;
        fits.then_some((named.0, has))
    });
    let best = fitting.max_by_key(|(_, has)| *has).map(|(place, _)| place);
    best.or(first)
}

/// Reads `2030-01-31 12:00`, and writes it with seconds.
fn schedule_time(text: &str) -> Option<String> {
    let (date, time) = text.split_once(' ')?;
    let numbers = |text: &str, separator: char| -> Option<Vec<u32>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    match (numbers(date, '-')?.as_slice(), numbers(time.trim_start(), ':')?.as_slice()) {
        ([year @ 1000..=9999, month @ 1..=12, day @ 1..=31], [hour @ 0..=23, minute @ 0..=59]) => {
            Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:00"))
        }
        _ => None,
    }
}

// === impl NoImports ===

impl Resolver for NoImports {
    fn fetch(&self, _: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        Ok(None)
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, yaml_for};

    #[test]
    fn the_file_of_a_plugin_is_the_newest_that_the_blueprint_can_read() {
        let names = ["plugin.yaml", "plugin_1_4.yaml", "plugin_1_5.yaml"];
        for (dsl, at) in [("1_3", 0), ("1_4", 1), ("1_5", 2), ("1_6", 2)] {
            assert_eq!(yaml_for(names, dsl), Some(at), "{dsl}");
        }
        assert_eq!(yaml_for(["plugin_1_5.yaml"], "1_3"), Some(0));
        assert_eq!(yaml_for(["v2_plugin.yaml"], "1_3"), Some(0));
        assert_eq!(yaml_for([], "1_3"), None);
    }

    #[test]
    fn the_plugin_that_is_meant_is_the_highest_that_fits() {
        let versions = ["1.9", "1.10", "2.0", "weird"];
        let chosen = |import| match Location::parse(import) {
            Location::Plugin(import) => import.choose(versions),
            other => panic!("{other}"),
        };
        assert_eq!(chosen("plugin:p"), Some(2));
        assert_eq!(chosen("plugin:p?version=<2"), Some(1));
        assert_eq!(chosen("plugin:p?version=weird"), Some(3));
        assert_eq!(chosen("plugin:p?version=>3"), None);
    }
}

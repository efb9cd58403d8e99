//! A wagon's `package.json`.

use pep440_rs::Version;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Flaw, WheelName, refusal::excerpt, wheel::is_name};

/// What a wagon says of itself (`_generate_metadata_file` in wagon.py).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// The version of the tool that made it; empty for none.
    pub created_by_wagon_version: String,
    /// The wagon's own file name; empty for none.
    pub archive_name: String,
    /// The plugin's package.
    pub package_name: String,
    /// Its version, as it is written.
    pub package_version: String,
    /// Tells builds of one version apart; empty for none.
    pub package_build_tag: String,
    /// What it was made of; empty for none.
    pub package_source: String,
    /// `any`, or the platform that its wheels need: `linux_x86_64`, `manylinux2014_x86_64`.
    pub supported_platform: String,
    /// The tags of the interpreters that it is for: `py311`.
    pub supported_python_versions: Vec<String>,
    /// The version specifiers of Python that its wheels need; empty for none.
    pub python_requires: String,
    /// Where it was made, unless it fits everywhere.
    pub build_server_os_properties: OsProperties,
    /// The file names of its wheels.
    pub wheels: Vec<String>,
    /// The names of further files.
    pub files: Vec<String>,
    /// The file names of wheels that were left out (old wagons).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded_wheels: Vec<String>,
}

/// A distribution of Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OsProperties {
    /// Its id: debian.
    pub distribution: Option<String>,
    /// Its version: 12.
    pub distribution_version: Option<String>,
    /// Its release: bookworm.
    pub distribution_release: Option<String>,
}

// === impl Metadata ===

impl Metadata {
    /// Reads a `package.json`. What other tools added is passed over.
    pub(crate) fn read(text: &[u8]) -> Result<Self, Flaw> {
        let json: Value = serde_json::from_slice(text)
            .map_err(|error| Flaw::metadata(format!("is not JSON: {error}")))?;
        let Value::Object(json) = json else {
            return Err(Flaw::metadata("holds no JSON object"));
        };
        let fields = Fields(&json);
        let metadata = Self {
            created_by_wagon_version: fields.text_or_none("created_by_wagon_version")?,
            archive_name: fields.text_or_none("archive_name")?,
            package_name: fields.text("package_name")?,
            package_version: fields.text("package_version")?,
            package_build_tag: fields.text_or_none("package_build_tag")?,
            package_source: fields.text_or_none("package_source")?,
            supported_platform: fields.text("supported_platform")?,
            supported_python_versions: fields.texts("supported_python_versions")?,
            // Text since wagon 1.0, a list before.
            python_requires: match json.get("python_requires") {
                Some(Value::Array(_)) => fields.texts("python_requires")?.join(","),
                _ => fields.text_or_none("python_requires")?,
            },
            build_server_os_properties: fields.os_properties()?,
            wheels: fields.texts("wheels")?,
            files: fields.texts_or_none("files")?,
            excluded_wheels: fields.texts_or_none("excluded_wheels")?,
        };
        metadata.check()?;
        Ok(metadata)
    }

    /// The version as PEP 440 reads it.
    pub fn version(&self) -> Version {
        self.package_version.parse().expect("it was read when the wagon was")
    }

    fn check(&self) -> Result<(), Flaw> {
        let refuse = |key: &str, given: &str, reason: &str| {
            Err(Flaw::metadata(format!("has the {key} `{}`, {reason}", excerpt(given))))
        };
        if !is_name(&self.package_name) {
            return refuse("package_name", &self.package_name, "which is no name of a package");
        }
        if self.package_version.parse::<Version>().is_err() {
            let reason = "which does not follow PEP 440";
            return refuse("package_version", &self.package_version, reason);
        }
        let is_tag = |tag: &str| {
            !tag.is_empty()
                && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        };
        if !is_tag(&self.supported_platform) {
            let reason = "which is no platform tag";
            return refuse("supported_platform", &self.supported_platform, reason);
        }
        if self.supported_python_versions.is_empty() {
            return Err(Flaw::metadata("names no supported_python_versions"));
        }
        for tag in &self.supported_python_versions {
            if !is_tag(tag) {
                return refuse("supported_python_versions", tag, "which is no Python tag");
            }
        }
        if self.wheels.is_empty() {
            return Err(Flaw::metadata("lists no wheels"));
        }
        for (index, wheel) in self.wheels.iter().enumerate() {
            if let Err(reason) = wheel.parse::<WheelName>() {
                let wheel = excerpt(wheel);
                let message = format!("lists `{wheel}`, which is no wheel's name: {reason}");
                return Err(Flaw::metadata(message));
            }
            if self.wheels[..index].contains(wheel) {
                return Err(Flaw::metadata(format!("lists the wheel `{wheel}` twice")));
            }
        }
        Ok(())
    }
}

/// The fields of a JSON object, each of the type that it has to have.
struct Fields<'a>(&'a Map<String, Value>);

// === impl Fields ===

impl Fields<'_> {
    /// The value of a key; absent and null are the same.
    fn value(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn text(&self, key: &str) -> Result<String, Flaw> {
        match self.text_or_none(key)? {
            text if text.is_empty() => Err(Flaw::metadata(format!("lacks `{key}`"))),
            text => Ok(text),
        }
    }

    fn text_or_none(&self, key: &str) -> Result<String, Flaw> {
        match self.value(key) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(mistyped(key, "a text", other)),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Flaw> {
        match self.value(key) {
            None => Err(Flaw::metadata(format!("lacks `{key}`"))),
            Some(_) => self.texts_or_none(key),
        }
    }

    fn texts_or_none(&self, key: &str) -> Result<Vec<String>, Flaw> {
        const WANTED: &str = "a list of texts";
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| Flaw::metadata(format!("has a `{key}` that is not {WANTED}"))),
            Some(other) => Err(mistyped(key, WANTED, other)),
        }
    }

    fn os_properties(&self) -> Result<OsProperties, Flaw> {
        const KEY: &str = "build_server_os_properties";
        let inner = match self.value(KEY) {
            None => return Ok(OsProperties::default()),
            Some(Value::Object(inner)) => Fields(inner),
            Some(other) => return Err(mistyped(KEY, "an object", other)),
        };
        let text = |key| inner.text_or_none(key).map(|text| Some(text).filter(|t| !t.is_empty()));
        Ok(OsProperties {
            distribution: text("distribution")?,
            distribution_version: text("distribution_version")?,
            distribution_release: text("distribution_release")?,
        })
    }
}

fn mistyped(key: &str, wanted: &str, given: &Value) -> Flaw {
    let given = match given {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Flaw::metadata(format!("has {given} as `{key}`, which has to be {wanted}"))
}

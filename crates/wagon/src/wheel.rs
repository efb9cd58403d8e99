//! The file names of wheels (PEP 427).

use std::{
    fmt,
    io::{self, Read as _},
    str::FromStr,
};

use camino::Utf8Path;
use pep440_rs::Version;
use zip::ZipArchive;

/// A wheel's file name: `name-version[-build]-python-abi-platform.whl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelName {
    text: String,
    /// The distribution's normalized name (PEP 503).
    pub distribution: String,
    /// Its version.
    pub version: Version,
    /// The Python tags: `py3`, `cp311`.
    pub python: Vec<String>,
    /// The ABI tags: `none`, `abi3`, `cp311`.
    pub abi: Vec<String>,
    /// The platform tags: `any`, `manylinux2014_x86_64`.
    pub platform: Vec<String>,
}

/// Why a text is not a wheel's file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWheelName(&'static str);

// === impl WheelName ===

impl WheelName {
    /// The file name as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it fits every platform.
    pub fn is_pure(&self) -> bool {
        self.platform.iter().all(|tag| tag == "any")
    }
}

impl fmt::Display for WheelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for WheelName {
    type Err = InvalidWheelName;

    fn from_str(given: &str) -> Result<Self, InvalidWheelName> {
        let Some(stem) = given.strip_suffix(".whl") else {
            return Err(InvalidWheelName("it does not end in `.whl`"));
        };
        let parts: Vec<&str> = stem.split('-').collect();
        let (name, version, tags) = match parts.as_slice() {
            [name, version, tags @ ..] if tags.len() == 3 => (name, version, tags),
            [name, version, build, tags @ ..] if tags.len() == 3 => {
                if !build.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(InvalidWheelName("its build tag does not begin with a digit"));
                }
                (name, version, tags)
            }
            _ => {
                return Err(InvalidWheelName(
                    "it is not of the form `name-version-python-abi-platform.whl`",
                ));
            }
        };
        if !is_name(name) {
            return Err(InvalidWheelName("it does not begin with a distribution's name"));
        }
        let version = version
            .replace('_', "-")
            .parse()
            .map_err(|_| InvalidWheelName("its version does not follow PEP 440"))?;
        let [python, abi, platform] = [tags[0], tags[1], tags[2]]
            .map(|tag| tag.split('.').map(str::to_ascii_lowercase).collect::<Vec<_>>());
        let is_tag = |tag: &String| {
            !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if ![&python, &abi, &platform].into_iter().flatten().all(is_tag) {
            return Err(InvalidWheelName("one of its tags is malformed"));
        }
        Ok(Self {
            text: given.to_owned(),
            distribution: normalized_name(name),
            version,
            python,
            abi,
            platform,
        })
    }
}

/// Reads the name and the version in a wheel's own `METADATA`, spelled as its author did.
pub fn wheel_identity(path: &Utf8Path) -> io::Result<(String, String)> {
    let mut wheel = ZipArchive::new(fs_err::File::open(path.as_std_path())?)?;
    let index = (0..wheel.len()).find(|&index| {
        wheel.name_for_index(index).and_then(Result::ok).is_some_and(|name| {
            name.split_once('/')
                .is_some_and(|(top, file)| top.ends_with(".dist-info") && file == "METADATA")
        })
    });
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "it has no name and version");
    let mut text = Vec::new();
    wheel.by_index(index.ok_or_else(invalid)?)?.take(1 << 20).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let field = |name: &str| {
        text.lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(|value| value.trim().to_owned())
    };
    field("Name").zip(field("Version")).ok_or_else(invalid)
}

/// Reads a wheel to its end, all of its files: an error says why it cannot be installed.
pub fn check_wheel(path: &Utf8Path) -> io::Result<()> {
    let mut wheel = ZipArchive::new(fs_err::File::open(path.as_std_path())?)?;
    for index in 0..wheel.len() {
        io::copy(&mut wheel.by_index(index)?, &mut io::sink())?;
    }
    Ok(())
}

/// Returns a distribution's name as PEP 503 compares it: lower case, `-` for runs of `-`, `_`, `.`.
pub fn normalized_name(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            other => normal.push(other.to_ascii_lowercase()),
        }
    }
    normal
}

/// Whether a text is a distribution's name (PEP 508).
pub(crate) fn is_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= 200
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_name_is_taken_apart() {
        let name: WheelName =
            "PyYAML_Ft-6.0.1-1local-cp311.cp312-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
                .parse()
                .unwrap();
        assert_eq!(name.distribution, "pyyaml-ft");
        assert_eq!(name.version, "6.0.1".parse().unwrap());
        assert_eq!(name.python, ["cp311", "cp312"]);
        assert_eq!(name.abi, ["abi3"]);
        assert_eq!(name.platform, ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]);
        assert!(!name.is_pure());
        assert!("six-1.16.0-py2.py3-none-any.whl".parse::<WheelName>().unwrap().is_pure());
        assert!("a-1.0+local.1-py3-none-any.whl".parse::<WheelName>().is_ok());
    }

    #[test]
    fn what_is_no_wheel_name_is_refused() {
        for bad in [
            "",
            ".whl",
            "six.whl",
            "six-1.16.0.tar.gz",
            "six-1.16.0-py3-none.whl",
            "six-one-py3-none-any.whl",
            "six-1.16.0-x1-py3-none-any.whl",
            "six-1.16.0-py3--any.whl",
            "-1.0-py3-none-any.whl",
            "si x-1.0-py3-none-any.whl",
            "../six-1.0-py3-none-any.whl",
            "a-1-1-1-1-1-1-py3-none-any.whl",
        ] {
            assert!(bad.parse::<WheelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wheel_says_its_own_name() {
        let directory = camino_tempfile::Utf8TempDir::new().unwrap();
        let path = directory.path().join("web_plugin-1.0-py3-none-any.whl");
        let mut zip = zip::ZipWriter::new(fs_err::File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("web_plugin-1.0.dist-info/METADATA", options).unwrap();
        let text = b"Metadata-Version: 2.1\nName: web-plugin\nVersion: 1.0\n\nName: other\n";
        std::io::Write::write_all(&mut zip, text).unwrap();
        zip.finish().unwrap();
        let identity = ("web-plugin".to_owned(), "1.0".to_owned());
        assert_eq!(wheel_identity(&path).unwrap(), identity);
    }

    #[test]
    fn names_are_compared_as_the_index_compares_them() {
        assert_eq!(normalized_name("Cloudify__AWS.-Plugin"), "cloudify-aws-plugin");
    }
}

//! Inputs and parameters, from files and from the command line.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Map, Value};
use waggoner_yaml::{Budget, parse};

/// Why inputs cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    #[error("failed to read inputs")]
    Read(#[source] io::Error),
    #[error("failed to read inputs from `{path}`")]
    Yaml {
        path: Utf8PathBuf,
        #[source]
        source: waggoner_yaml::Error,
    },
    #[error("failed to read inputs from `{0}`: it is not a mapping of names to values")]
    NoMapping(Utf8PathBuf),
    #[error("failed to read the input `{0}`: it is not of the form NAME=VALUE")]
    NoEquals(String),
    #[error("failed to read the time `{given}`: it is not of a form such as 2026-11-22T18:00:00Z")]
    Time {
        given: String,
        #[source]
        source: jiff::Error,
    },
    #[error("failed to read the value of the input `{name}`")]
    Value {
        name: String,
        #[source]
        source: waggoner_yaml::Error,
    },
}

/// Joins the files in order, then the `NAME=VALUE` pairs, to one JSON object as text.
pub(crate) fn read(files: &[Utf8PathBuf], pairs: &[String]) -> Result<String, InputsError> {
    object(files, pairs).map(|all| Value::Object(all).to_string())
}

/// Joins the files in order, then the `NAME=VALUE` pairs.
pub(crate) fn object(
    files: &[Utf8PathBuf],
    pairs: &[String],
) -> Result<Map<String, Value>, InputsError> {
    let mut all = Map::new();
    for path in files {
        all.extend(file(path)?);
    }
    for given in pairs {
        let (name, value) = pair(given)?;
        all.insert(name, value);
    }
    Ok(all)
}

/// Joins files and `NAME=VALUE` pairs in the order in which they were given.
pub(crate) fn mixed(given: &[String]) -> Result<Map<String, Value>, InputsError> {
    let mut all = Map::new();
    for one in given {
        if one.contains('=') {
            let (name, value) = pair(one)?;
            all.insert(name, value);
        } else {
            all.extend(file(Utf8Path::new(one))?);
        }
    }
    Ok(all)
}

// === impl InputsError ===

impl InputsError {
    /// The lines around the place in the file.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Yaml { source, .. } => source.snippet.lines().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Value { .. } => {
                Some("the value is read as YAML; quote text that looks like it: 'name=\"a: b\"'")
            }
            _ => None,
        }
    }
}

fn file(path: &Utf8Path) -> Result<Map<String, Value>, InputsError> {
    let text = fs_err::read_to_string(path).map_err(InputsError::Read)?;
    let node = parse(&text, Budget::default())
        .map_err(|source| InputsError::Yaml { path: path.to_owned(), source })?;
    match node.to_json() {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(InputsError::NoMapping(path.to_owned())),
    }
}

fn pair(given: &str) -> Result<(String, Value), InputsError> {
    let (name, value) = given
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| InputsError::NoEquals(given.to_owned()))?;
    if value.is_empty() {
        return Ok((name.to_owned(), Value::String(String::new())));
    }
    let node = parse(value, Budget::default())
        .map_err(|source| InputsError::Value { name: name.to_owned(), source })?;
    Ok((name.to_owned(), node.to_json()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use waggoner_types::Chain;

    fn joined(files: &[Utf8PathBuf], pairs: &[&str]) -> Value {
        let pairs: Vec<_> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
        serde_json::from_str(&read(files, &pairs).unwrap()).unwrap()
    }

    #[test]
    fn values_are_yaml_and_the_command_line_wins_over_files() {
        let dir = camino_tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1.yaml"), dir.path().join("2.yaml"));
        fs_err::write(&one, "a: 1\nb: 1\nc: 1\n").unwrap();
        fs_err::write(&two, "b: 2\nc: 2\n").unwrap();
        let pairs = ["c=3", "url=http://x/?a=b", "list=[1, two]", "big=9007199254740993", "no="];
        assert_eq!(
            joined(&[one, two], &pairs),
            json!({
                "a": 1, "b": 2, "c": 3, "url": "http://x/?a=b", "list": [1, "two"],
                "big": 9_007_199_254_740_993_u64, "no": "",
            })
        );
        assert_eq!(joined(&[], &[]), json!({}));
    }

    #[test]
    fn what_is_no_input_is_refused_by_name() {
        let refusal = |pair: &str| {
            let refusal = read(&[], &[pair.to_owned()]).unwrap_err();
            Chain(&refusal).to_string()
        };
        insta::assert_snapshot!(refusal("port"), @"failed to read the input `port`: it is not of the form NAME=VALUE");
        insta::assert_snapshot!(refusal("=1"), @"failed to read the input `=1`: it is not of the form NAME=VALUE");
        assert!(refusal("a={").starts_with("failed to read the value of the input `a`: "));
    }
}

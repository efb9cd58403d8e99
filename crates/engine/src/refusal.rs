//! Why an execution is not accepted.

use std::{cmp, fmt};

/// What is wrong with a start. Nothing has happened yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("failed to start workflow `{given}`: the deployment has no such workflow{known}")]
    UnknownWorkflow { given: String, known: Known },

    #[error(
        "failed to start workflow `{workflow}`: it is implemented by `{mapping}`, and only built-in \
         workflows can be run; run the operations that it calls with `execute_operation`"
    )]
    NotBuiltIn { workflow: String, mapping: String },

    #[error("failed to start workflow `{workflow}`: it has no parameter `{given}`{known}")]
    UnknownParameter { workflow: String, given: String, known: Known },

    #[error("failed to start workflow `{workflow}`: it must be given {}", list(.parameters))]
    MissingParameters { workflow: String, parameters: Vec<String> },

    #[error(
        "failed to start workflow `{workflow}`: parameter `{parameter}` has to be {expected}, \
         but {given} was given"
    )]
    WrongType { workflow: String, parameter: String, expected: &'static str, given: String },

    #[error(
        "failed to start workflow `{workflow}`: parameter `{parameter}` names the {kind} \
         `{given}`, which the deployment does not have{known}"
    )]
    Unknown {
        workflow: String,
        parameter: &'static str,
        /// "node", "node instance", "operation".
        kind: &'static str,
        given: String,
        known: Known,
    },

    #[error(
        "failed to start workflow `{workflow}`: input `{input}` of operation `{operation}` of \
         node `{node}` is set in the blueprint; set `allow_kwargs_override` to replace it"
    )]
    FixedInput { workflow: String, node: String, operation: String, input: String },

    #[error("failed to start workflow `{workflow}`: {reason}")]
    Impossible { workflow: String, reason: String },

    #[error(
        "failed to start workflow `{workflow}`: these node instances wait for each other: {}",
        .instances.join(", ")
    )]
    Cycle { workflow: String, instances: Vec<String> },

    #[error("failed to resume workflow `{workflow}`: {reason}")]
    NotResumable { workflow: String, reason: &'static str },

    #[error("failed to read the deployment: {0}")]
    Inconsistent(String),
}

/// What a wrong name could have been, for the end of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub nearest: Option<Box<str>>,
    /// Sorted.
    pub names: Box<[String]>,
}

// === impl Known ===

impl Known {
    /// How many names a sentence lists.
    const MOST: usize = 10;

    pub(crate) fn of<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        // A third of the letters wrong is a slip, more is another word.
        let limit = given.chars().count().div_ceil(3);
        let nearest = names
            .iter()
            .map(|name| (distance(given, name), name))
            .filter(|(distance, _)| *distance <= limit)
            .min()
            .map(|(_, name)| name.as_str().into());
        Self { nearest, names: names.into() }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        let separator = if self.nearest.is_some() { " " } else { "; " };
        match self.names.len() {
            0 => write!(f, "{separator}there are none"),
            count if count <= Self::MOST => write!(f, "{separator}there are {}", list(&self.names)),
            count => write!(
                f,
                "{separator}there are {} and {} more",
                list(&self.names[..Self::MOST]),
                count - Self::MOST
            ),
        }
    }
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The number of letters to add, remove, replace or swap with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last = '\0';
    for (above, letter) in left.chars().enumerate() {
        let mut next = vec![above + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = row[column] + usize::from(letter != *other);
            let mut best = cmp::min(replaced, cmp::min(row[column + 1], next[column]) + 1);
            if above > 0 && column > 0 && letter == right[column - 1] && last == *other {
                best = cmp::min(best, before[column - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
        last = letter;
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{Known, distance};

    #[test]
    fn slips_are_near() {
        for (left, right, expected) in [
            ("install", "install", 0),
            ("instal", "install", 1),
            ("isntall", "install", 1),
            ("unistall", "uninstall", 1),
            ("", "abc", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn the_nearest_name_comes_first() {
        let known = Known::of("unistall", ["install", "uninstall"]);
        assert_eq!(
            known.to_string(),
            "; did you mean `uninstall`? there are `install`, `uninstall`"
        );
        assert_eq!(Known::of("xyz", ["install"]).to_string(), "; there are `install`");
        assert_eq!(Known::of("xyz", []).to_string(), "; there are none");
    }
}

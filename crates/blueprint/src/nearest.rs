//! The known name that a mistyped one probably meant.

/// Makes the hint "did you mean …?" when one of `known` is close to `given`.
pub(crate) fn hint<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}

fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let given: Vec<char> = given.chars().take(LONGEST).collect();
    let most = (given.len() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&given, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Names longer than this are compared by their beginnings.
const LONGEST: usize = 80;

/// Levenshtein's distance.
fn distance(given: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=given.len()).collect();
    for (line, letter) in name.chars().take(LONGEST).enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, typed) in given.iter().enumerate() {
            let change = diagonal + usize::from(*typed != letter);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[given.len()]
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let known = ["node_types", "node_templates", "inputs"];
        assert_eq!(hint("node_type", known), Some("did you mean `node_types`?".to_owned()));
        assert_eq!(hint("banana", known), None);
    }
}

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

/// How many letters are to be changed, added, left out or swapped with their neighbour.
fn distance(given: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().take(LONGEST).collect();
    let mut before: Vec<usize> = vec![];
    let mut row: Vec<usize> = (0..=given.len()).collect();
    for (line, letter) in name.iter().enumerate() {
        let mut next = vec![line + 1];
        for (column, typed) in given.iter().enumerate() {
            let change = row[column] + usize::from(typed != letter);
            let mut least = change.min(row[column + 1] + 1).min(next[column] + 1);
            let is_swapped =
                line > 0 && column > 0 && given[column - 1] == *letter && name[line - 1] == *typed;
            if is_swapped {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
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
        assert_eq!(hint("ipnuts", known), Some("did you mean `inputs`?".to_owned()));
        assert_eq!(hint("banana", known), None);
    }
}

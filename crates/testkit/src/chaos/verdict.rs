//! What came of it: what was lost, what happened twice, what is wrong.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::chaos::work::{NODES, Operation, Stream, operations, properties};

/// What is to be seen of a wave afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The messages of its events, in the manager's order.
    pub(super) messages: Vec<String>,
    /// The runtime properties of its node instances, by their nodes.
    pub(super) properties: BTreeMap<String, Map<String, Value>>,
    /// How often each operation was run, by its name.
    pub(super) runs: BTreeMap<String, u64>,
    /// Whether all operations were to run: the execution ended well.
    pub(super) is_whole: bool,
}

/// What is wrong, all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) lost_bytes: u64,
    pub(super) repeated_bytes: u64,
    pub(super) extra_runs: u64,
    pub(super) properties: u64,
    /// What it is, a line for each.
    pub(super) findings: Vec<String>,
}

/// Compares what is to be seen of a wave with what has to be there.
///
/// What an operation had to say that never ran is not lost: that it never ran is what is wrong.
pub(super) fn judge(wave: &str, seen: &Seen) -> Wrong {
    let mut streams: HashMap<&str, Vec<&str>> = HashMap::new();
    for (key, line) in seen.messages.iter().filter_map(|message| Stream::line(message)) {
        streams.entry(key).or_default().push(line);
    }
    let mut wrong = Wrong::default();
    for operation in operations(wave) {
        let runs = seen.runs.get(&operation.name()).copied().unwrap_or(0);
        for stream in Stream::ALL {
            let said = streams.remove(stream.key(&operation).as_str()).unwrap_or_default();
            if runs > 0 || !said.is_empty() {
                wrong.lines(&operation, stream, &said);
            }
        }
        wrong.extra_runs += runs.saturating_sub(1);
        if runs > 1 || runs == 0 && seen.is_whole {
            wrong.findings.push(format!("{}: run {runs} times", operation.name()));
        }
    }
    if seen.is_whole {
        for (node, _) in NODES {
            wrong.properties(wave, node, seen.properties.get(node).unwrap_or(&Map::new()));
        }
    }
    wrong
}

/// Counts the bytes of expected lines that were not said, and of said lines that were not
/// expected; each line with its line feed.
///
/// What is said twice, damaged or at the wrong place is not expected. Both are 0 only if all lines
/// were said once and in order.
fn compare(expected: &[String], said: &[&str]) -> (u64, u64) {
    let bytes = |line: &str| line.len() as u64 + 1;
    let places: HashMap<&str, usize> =
        expected.iter().enumerate().map(|(place, line)| (line.as_str(), place)).collect();
    // The heaviest choice of said lines that stand in the expected order. For each line that is
    // expected and was said: its place, and the weight of the best choice that ends with it.
    let mut choices: Vec<(usize, u64)> = Vec::new();
    for line in said {
        if let Some(&place) = places.get(line) {
            let before = choices.iter().filter(|(other, _)| *other < place);
            let best = before.map(|(_, weight)| *weight).max().unwrap_or(0);
            choices.push((place, best + bytes(line)));
        }
    }
    let kept = choices.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
    let all: u64 = expected.iter().map(|line| bytes(line)).sum();
    let heard: u64 = said.iter().map(|line| bytes(line)).sum();
    (all - kept, heard - kept)
}

// === impl Wrong ===

impl Wrong {
    fn lines(&mut self, operation: &Operation, stream: Stream, said: &[&str]) {
        let expected = operation.lines(stream);
        let (lost, repeated) = compare(&expected, said);
        self.lost_bytes += lost;
        self.repeated_bytes += repeated;
        if (lost, repeated) != (0, 0) {
            let numbers = said.iter().map(|line| line.split(' ').nth(1).unwrap_or("?"));
            self.findings.push(format!(
                "{}: {lost} bytes lost, {repeated} repeated of {} lines; said: {}",
                stream.key(operation),
                expected.len(),
                numbers.collect::<Vec<_>>().join(" ")
            ));
        }
    }

    fn properties(&mut self, wave: &str, node: &str, held: &Map<String, Value>) {
        let expected = properties(wave, node);
        let keys: std::collections::BTreeSet<_> = expected.keys().chain(held.keys()).collect();
        for key in keys {
            let (expected, held) = (expected.get(key), held.get(key));
            if expected != held {
                self.properties += 1;
                self.findings.push(format!(
                    "{wave}.{node}: property `{key}` is {held:?}, has to be {expected:?}"
                ));
            }
        }
    }

    /// Adds what is wrong elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        let Self { lost_bytes, repeated_bytes, extra_runs, properties, findings } = other;
        self.lost_bytes += lost_bytes;
        self.repeated_bytes += repeated_bytes;
        self.extra_runs += extra_runs;
        self.properties += properties;
        self.findings.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A wave as it is when nothing went wrong.
    fn whole() -> Seen {
        let mut seen = Seen { is_whole: true, ..Seen::default() };
        for operation in operations("w") {
            for stream in Stream::ALL {
                seen.messages.extend(operation.lines(stream));
            }
            seen.runs.insert(operation.name(), 1);
        }
        for (node, _) in NODES {
            seen.properties.insert(node.to_owned(), properties("w", node));
        }
        seen
    }

    #[test]
    fn nothing_is_wrong_with_a_whole_wave() {
        assert_eq!(judge("w", &whole()), Wrong::default());
    }

    #[test]
    fn each_wrong_is_counted_as_what_it_is() {
        let mut seen = whole();
        let lost = seen.messages.remove(3);
        let again = seen.messages[7].clone();
        seen.messages.push(format!("<out> {again}"));
        seen.runs.insert("w.one.create".to_owned(), 3);
        let one = seen.properties.get_mut("one").unwrap();
        one.insert("passed".to_owned(), "5".into());
        one.remove("last");
        one.insert("new".to_owned(), Value::Null);
        let wrong = judge("w", &seen);
        assert_eq!(wrong.lost_bytes, lost.len() as u64 + 1);
        assert_eq!(wrong.repeated_bytes, again.len() as u64 + 1);
        assert_eq!((wrong.extra_runs, wrong.properties), (2, 3));
        assert_eq!(wrong.findings.len(), 5, "{:#?}", wrong.findings);
    }

    #[test]
    fn an_operation_that_never_ran_has_lost_nothing_but_is_missed_where_all_went_well() {
        let mut seen = whole();
        seen.messages.retain(|line| !line.starts_with("w.one.create."));
        seen.runs.remove("w.one.create");
        let wrong = judge("w", &seen);
        assert_eq!(
            wrong,
            Wrong { findings: vec!["w.one.create: run 0 times".to_owned()], ..Wrong::default() }
        );
        seen.is_whole = false;
        assert_eq!(judge("w", &seen), Wrong::default());
    }

    #[test]
    fn what_an_operation_said_before_it_failed_has_to_be_whole_too() {
        let mut seen = whole();
        seen.is_whole = false;
        seen.messages.retain(|line| !line.starts_with("w.one.create.out"));
        assert!(judge("w", &seen).lost_bytes > 1000);
    }

    fn lines(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("{number} {}", "x".repeat(number))).collect()
    }

    proptest! {
        /// Nothing is lost and nothing repeated exactly if all was said once and in order.
        #[test]
        fn only_the_same_is_the_same(picked in prop::collection::vec(0..6_usize, 0..12)) {
            let expected = lines(6);
            let said: Vec<_> = picked.iter().map(|at| expected[*at].as_str()).collect();
            let is_same = said == expected;
            prop_assert_eq!(compare(&expected, &said) == (0, 0), is_same);
        }

        /// What is left out is lost and nothing else; what is said again is repeated.
        #[test]
        fn what_is_left_out_is_lost(out in prop::collection::btree_set(0..20_usize, 0..20)) {
            let expected = lines(20);
            let bytes = |at: usize| expected[at].len() as u64 + 1;
            let left: Vec<_> = (0..20).filter(|at| !out.contains(at)).collect();
            let said: Vec<_> = left.iter().map(|at| expected[*at].as_str()).collect();
            let lost = out.iter().map(|at| bytes(*at)).sum::<u64>();
            prop_assert_eq!(compare(&expected, &said), (lost, 0));
            let twice: Vec<_> = said.iter().chain(&said).copied().collect();
            let repeated = left.iter().map(|at| bytes(*at)).sum::<u64>();
            prop_assert_eq!(compare(&expected, &twice), (lost, repeated));
        }
    }
}

//! Every recorded case of the real `dsl_parser` agrees with us, or is counted.
//!
//! The cases are read in place: from the folder in `WAGGONER_CONFORMANCE`, or from
//! `shared/conformance` beside the project. `WAGGONER_CASE=text` shows the cases whose test
//! name holds the text.

#[path = "conformance/cases.rs"]
mod cases;
#[path = "conformance/compare.rs"]
mod compare;

use std::collections::BTreeMap;

use cases::{Case, Outcome};

/// Cases that a recording cannot repeat, by test, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("PluginPropertiesImporterTest::test_basic", "the text its mocked resolver answers"),
    ("PluginPropertiesImporterTest::test_no_properties", "the text its mocked resolver answers"),
    ("PluginPropertiesImporterTest::test_valid_properties", "the text its mocked resolver answers"),
    ("test_validate_secrets_unexpected_exception", "the exception its Python function raises"),
];

#[test]
#[expect(clippy::print_stderr, reason = "the counts are what a reader wants of this test")]
fn recorded_cases_agree() {
    let Some(cases) = cases::read() else {
        eprintln!(
            "no conformance cases: set WAGGONER_CONFORMANCE to the folder of dsl-cases.jsonl"
        );
        return;
    };
    let wanted = std::env::var("WAGGONER_CASE").ok();
    let is_wanted = |case: &&Case| wanted.as_ref().is_none_or(|it| case.test().contains(it));
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut differing = vec![];
    for case in cases.iter().filter(is_wanted) {
        let count = counts.entry(case.kind()).or_default();
        count.1 += 1;
        let left_out = LEFT_OUT.iter().find(|(test, _)| case.test().ends_with(test));
        match (case.run(), left_out) {
            (Outcome::Agrees, _) => count.0 += 1,
            (Outcome::Differs(_), Some((test, what))) => eprintln!("left out {test}: needs {what}"),
            (Outcome::Differs(how), None) => {
                let text = if wanted.is_some() { case.shown() } else { String::new() };
                differing.push(format!(
                    "{} #{} {}: {how}\n{text}",
                    case.kind(),
                    case.seq(),
                    case.test()
                ));
            }
        }
    }
    for (kind, (agreeing, all)) in &counts {
        eprintln!("{kind}: {agreeing} of {all} agree");
    }
    assert!(differing.is_empty(), "{} cases differ:\n{}", differing.len(), differing.join(""));
}

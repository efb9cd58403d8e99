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

/// How many cases of each kind agree. These numbers only rise.
const AGREEING: [(&str, usize); 4] = [
    ("parse", 570),
    ("prepare_deployment_plan", 104),
    ("create_deployment_plan", 138),
    ("modify_deployment", 37),
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
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in
        cases.iter().filter(|case| wanted.as_ref().is_none_or(|it| case.test().contains(it)))
    {
        let count = counts.entry(case.kind()).or_default();
        count.1 += 1;
        match case.run() {
            Outcome::Agrees => count.0 += 1,
            Outcome::Differs(how) => {
                eprintln!("{} #{} {}: {how}", case.kind(), case.seq(), case.test());
                if wanted.is_some() {
                    eprintln!("{}", case.shown());
                }
            }
        }
    }
    for (kind, (agreeing, all)) in &counts {
        eprintln!("{kind}: {agreeing} of {all} agree");
    }
    if wanted.is_none() {
        for (kind, least) in AGREEING {
            let agreeing = counts.get(kind).map_or(0, |count| count.0);
            assert!(agreeing >= least, "{kind}: {agreeing} agree, {least} did before");
        }
    }
}

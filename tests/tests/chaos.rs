//! The short form of `cargo xtask chaos`: operations at work while everything around them fails.

use std::time::Duration;

use waggoner_testkit::chaos::{Kind, Settings, run};

/// What the whole survives. The rest waits for agents whose operations outlive them.
const SURVIVED: [Kind; 1] = [Kind::Weather];

#[test]
fn whatever_fails_around_operations_nothing_is_lost_and_nothing_happens_twice() {
    let settings = Settings {
        faults: 40,
        seed: 20_261_122,
        within: Duration::from_mins(1),
        kinds: SURVIVED.to_vec(),
    };
    let report = run(&settings);
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.operations >= 48, "{report:#?}");
}

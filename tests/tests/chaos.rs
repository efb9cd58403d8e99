//! The short form of `cargo xtask chaos`: operations at work while everything around them fails.

use std::time::Duration;

use waggoner_testkit::chaos::{Kind, Settings, run};

#[test]
fn whatever_fails_around_operations_nothing_is_lost_and_nothing_happens_twice() {
    let settings = Settings {
        faults: 40,
        seed: 20_261_122,
        within: Duration::from_mins(1),
        kinds: Kind::ALL.to_vec(),
        keep: false,
    };
    let report = run(&settings);
    assert!(report.is_clean(), "{report:#?}");
    assert!(report.operations >= 48, "{report:#?}");
}

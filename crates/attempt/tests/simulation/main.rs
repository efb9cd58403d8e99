//! Both halves under a scheduler that is nobody's friend: thousands of random histories with cuts,
//! stalls, wrong records, and crashes of either side at every point where something is on disk or
//! not yet.
//!
//! ```text
//!  manager: store ⇄ half ◀═══ lines: cut, late, spoilt ═══▶ half ⇄ journal :agent
//!              │ crash: a transaction is all or nothing        │ crash: the daemon's memory, or
//!              │                                               │ the host with what is unsynced
//! ```
//!
//! A history that fails names its seed; `WAGGONER_SEED` runs that one alone and tells it turn by
//! turn.

mod agent;
mod dice;
mod manager;
mod wire;
mod world;

use std::collections::BTreeMap;

use world::World;

/// How many histories are tried.
const HISTORIES: u64 = 10_000;

#[test]
fn every_history_keeps_the_promises_and_ends() {
    if let Some(seed) = std::env::var_os("WAGGONER_SEED") {
        let seed = seed.to_str().and_then(|seed| seed.parse().ok()).expect("a seed is a number");
        return history(seed).map_or_else(|flaw| panic!("{flaw}"), drop);
    }
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let end = history(seed).unwrap_or_else(|flaw| panic!("{flaw}"));
        *ends.entry(end).or_default() += 1;
    }
    // A simulation in which nothing goes wrong, or nothing right, proves nothing.
    let outcomes = ends.get("Outcome").copied().unwrap_or_default();
    assert!(u64::from(outcomes) > HISTORIES * 3 / 4, "{ends:?}");
    for rare in ["Unsent", "Declined", "Forgotten", "Rebooted", "Absent"] {
        assert!(ends.contains_key(&format!("GivenUp({rare})")), "{rare} among {ends:?}");
    }
}

/// Runs a history, and once more with a trace if it fails.
fn history(seed: u64) -> Result<String, String> {
    let mut world = World::new(seed);
    match world.run(false) {
        Ok(_) => Ok(format!("{:?}", world.end().expect("it has ended"))),
        Err(flaw) => {
            let mut world = World::new(seed);
            let again = world.run(true);
            assert_eq!(again.err().as_ref(), Some(&flaw), "a seed repeats its history");
            let from = world.trace.len().saturating_sub(150);
            let trace = world.trace[from..].join("\n");
            Err(format!("{trace}\n{world}\nhistory {seed}: {flaw}"))
        }
    }
}

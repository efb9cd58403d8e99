//! Waits for a level, with a bound.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a thing may take that takes moments on an idle machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Asks again and again until the answer is there.
///
/// # Panics
///
/// If it is not there after two minutes, with what was waited for and the last refusal.
#[track_caller]
pub fn eventually<T, E: std::fmt::Debug>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(refusal) if Instant::now() >= deadline => {
                panic!("waited in vain for {what}: {refusal:?}")
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

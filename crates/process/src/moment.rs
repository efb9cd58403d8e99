//! When a child began, told by the clock around its birth.
//!
//! ```text
//!  before ─ birth ─ after      the same tick of the kernel's clock: it began in that one
//!  before ─ birth ┊ after      another: its line in the process table tells
//! ```
//!
//! To read the line of a child costs half as much as to bear it.

use std::sync::OnceLock;

use rustix::{
    process::Pid,
    time::{ClockId, clock_gettime},
};

use crate::table;

/// A moment before a birth, in nanoseconds since the boot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(u64);

/// How long a tick is, in nanoseconds: `USER_HZ` is 100 on all machines that we run on
/// (`time(7)`). [`agrees`] would find out if it were not.
const TICK: u64 = 10_000_000;

/// How far from the end of a tick both moments have to be, whatever the kernel rounds.
const MARGIN: u64 = 50_000;

// === impl Moment ===

impl Moment {
    /// Reads the clock by which the kernel says when a process began.
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        Self(time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs())
    }

    /// Returns when a child began that was born since, in clock ticks since the boot; 0 if it is
    /// not there.
    pub(crate) fn born(self, child: Pid) -> u64 {
        let pid = child.as_raw_pid();
        let known = tick(self.0, Self::now().0).filter(|tick| agrees(pid, *tick));
        known.unwrap_or_else(|| table::row(pid).map_or(0, |row| row.started))
    }
}

/// The tick in which both moments are.
fn tick(before: u64, after: u64) -> Option<u64> {
    let first = before.checked_sub(MARGIN)? / TICK;
    let last = after.checked_add(MARGIN)? / TICK;
    (first == last).then_some(first)
}

/// Says whether the process table counts as we do. The first child tells: a sandbox may have a
/// clock, or a table, of its own.
fn agrees(child: i32, tick: u64) -> bool {
    static AGREES: OnceLock<bool> = OnceLock::new();
    *AGREES.get_or_init(|| table::row(child).is_some_and(|row| row.started == tick))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_is_surely_in_one_tick_is_known() {
        for (before, after, expected) in [
            (30_100_000, 39_900_000, Some(3)),
            (30_050_000, 39_949_999, Some(3)),
            (30_049_999, 39_000_000, None),
            (31_000_000, 39_950_000, None),
            (31_000_000, 41_000_000, None),
            (0, 1, None),
            (1_000_000, u64::MAX, None),
        ] {
            assert_eq!(tick(before, after), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_the_clock_tells_is_what_the_table_says() {
        for _ in 0..100 {
            let before = Moment::now();
            let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
            let pid = child.id().cast_signed();
            let born = before.born(Pid::from_raw(pid).unwrap());
            assert_eq!(Some(born), table::row(pid).map(|row| row.started));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

//! Whether a process has run over a limit, and when it will, as a pure function.

use std::time::Duration;

use tokio::time::Instant;
use waggoner_types::Exit;

use crate::words::Limits;

/// What the limits are held against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// When the process was started.
    pub(super) began: Instant,
    /// When it last said something.
    pub(super) heard: Instant,
    /// Since when there is no link; `None` while there is one.
    pub(super) unlinked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A limit was reached: the process is to be ended, and this is why.
    Over(Exit),
    /// Nothing before that time; never, if it is `None`.
    Until(Option<Instant>),
}

/// Judges a process. Of several limits that were reached, the one that was reached first counts.
pub(super) fn judge(limits: &Limits, course: &Course, now: Instant) -> Verdict {
    let after = |since: Option<Instant>, limit: Option<Duration>| {
        // What is too far away for the clock is never.
        since.zip(limit).and_then(|(since, limit)| since.checked_add(limit))
    };
    let ends = [
        (after(Some(course.began), limits.run), Exit::TimedOut),
        (after(Some(course.heard), limits.idle), Exit::Idle),
        (after(course.unlinked, limits.unlinked), Exit::Unlinked),
    ];
    let first = ends.into_iter().filter_map(|(at, why)| Some((at?, why))).min_by_key(|end| end.0);
    match first {
        Some((at, why)) if at <= now => Verdict::Over(why),
        first => Verdict::Until(first.map(|(at, _)| at)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Verdict::{Over, Until},
        *,
    };

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn each_limit_has_its_own_beginning() {
        let t = Instant::now();
        let limits = |run: Option<u32>, idle: Option<u32>, unlinked: Option<u32>| Limits {
            run: run.map(|n| S * n),
            idle: idle.map(|n| S * n),
            unlinked: unlinked.map(|n| S * n),
            ..Limits::default()
        };
        let course = |heard: u32, unlinked: Option<u32>| Course {
            began: t,
            heard: t + S * heard,
            unlinked: unlinked.map(|n| t + S * n),
        };
        for (limits, course, now, verdict) in [
            (limits(None, None, None), course(0, Some(0)), 1_000_000, Until(None)),
            (limits(Some(10), None, None), course(9, Some(0)), 9, Until(Some(t + S * 10))),
            (limits(Some(10), None, None), course(9, Some(0)), 10, Over(Exit::TimedOut)),
            (limits(Some(10), Some(5), None), course(3, None), 7, Until(Some(t + S * 8))),
            (limits(Some(10), Some(5), None), course(3, None), 8, Over(Exit::Idle)),
            (limits(Some(10), Some(5), None), course(6, None), 11, Over(Exit::TimedOut)),
            (limits(None, None, Some(5)), course(0, None), 100, Until(None)),
            (limits(None, None, Some(5)), course(0, Some(7)), 11, Until(Some(t + S * 12))),
            (limits(None, None, Some(5)), course(0, Some(7)), 12, Over(Exit::Unlinked)),
            (limits(None, None, Some(0)), course(0, Some(0)), 0, Over(Exit::Unlinked)),
        ] {
            assert_eq!(
                judge(&limits, &course, t + S * now),
                verdict,
                "{limits:?} {course:?} {now}"
            );
        }
        let endless = Limits { run: Some(Duration::MAX), ..Limits::default() };
        assert_eq!(judge(&endless, &course(0, None), t), Until(None));
    }

    proptest! {
        /// Who sleeps until the time that was named finds the limit reached: nobody spins.
        #[test]
        fn a_named_time_is_an_end(run in 0..50_u64, idle in 0..50_u64, heard in 0..50_u64, now in 0..50_u64) {
            let t = Instant::now();
            let at = |secs| t + Duration::from_secs(secs);
            let limits = Limits {
                run: Some(Duration::from_secs(run)),
                idle: Some(Duration::from_secs(idle)),
                ..Limits::default()
            };
            let course = Course { began: t, heard: at(heard), unlinked: None };
            if let Verdict::Until(until) = judge(&limits, &course, at(now)) {
                let until = until.unwrap();
                prop_assert!(until > at(now));
                prop_assert!(matches!(judge(&limits, &course, until), Verdict::Over(_)));
            }
        }
    }
}

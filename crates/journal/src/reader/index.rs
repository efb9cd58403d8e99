//! Where some of the records are: as many as there is room to remember, evenly spread.

use std::collections::HashMap;

use waggoner_types::AttemptId;

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// From where to look for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    /// A place that the record is not before.
    pub(super) spot: Spot,
    /// The first record of its run, in which the next one lies behind it.
    pub(super) run: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    /// The runs of an attempt, as they were met. Those met later may repeat earlier ones.
    attempts: HashMap<AttemptId, Vec<Run>>,
    marks: usize,
    /// How many marks there may be before every second one is forgotten.
    most: usize,
}

/// Records without a hole in one segment, in order.
#[derive(Debug)]
struct Run {
    segment: u64,
    first: u64,
    last: u64,
    /// Sequence and offset of some of them, and of the first one known.
    marks: Vec<(u64, u64)>,
}

/// Half a megabyte.
const MARKS: usize = 32 * 1024;

// === impl Index ===

impl Index {
    pub(super) fn add(&mut self, attempt: AttemptId, sequence: u64, spot: Spot) {
        let runs = self.attempts.entry(attempt).or_default();
        let here = runs.iter_mut().rev().filter(|run| run.segment == spot.segment);
        for run in here {
            if (run.first..=run.last).contains(&sequence) {
                return;
            }
            if run.last + 1 == sequence {
                run.last = sequence;
                run.marks.push((sequence, spot.offset));
                self.marks += 1;
                self.thin();
                return;
            }
        }
        let marks = vec![(sequence, spot.offset)];
        runs.push(Run { segment: spot.segment, first: sequence, last: sequence, marks });
        self.marks += 1;
        self.thin();
    }

    pub(super) fn find(&self, attempt: AttemptId, sequence: u64) -> Option<Trail> {
        let runs = self.attempts.get(&attempt)?;
        let run = runs.iter().rev().find(|run| (run.first..=run.last).contains(&sequence))?;
        let mark = run.marks.partition_point(|(marked, _)| *marked <= sequence).checked_sub(1)?;
        let spot = Spot { segment: run.segment, offset: run.marks[mark].1 };
        Some(Trail { spot, run: run.first })
    }

    /// The first record that is known behind `sequence`.
    pub(super) fn first_after(&self, attempt: AttemptId, sequence: u64) -> Option<u64> {
        let runs = self.attempts.get(&attempt)?;
        runs.iter().map(|run| run.first).filter(|first| *first > sequence).min()
    }

    pub(super) fn acked(&mut self, attempt: AttemptId, upto: u64) {
        let Some(runs) = self.attempts.get_mut(&attempt) else { return };
        runs.retain_mut(|run| {
            if run.last <= upto {
                self.marks -= run.marks.len();
                return false;
            }
            if run.first <= upto {
                // The mark at or before the first that is left has to stay: seeking begins there.
                let gone = run.marks.partition_point(|(marked, _)| *marked <= upto + 1);
                let gone = gone.saturating_sub(1);
                run.marks.drain(..gone);
                self.marks -= gone;
                run.first = upto + 1;
            }
            true
        });
        if runs.is_empty() {
            self.attempts.remove(&attempt);
        }
    }

    pub(super) fn drop_segment(&mut self, segment: u64) {
        self.retain(|run| run.segment != segment);
    }

    pub(super) fn keep_segments(&mut self, there: &[u64]) {
        self.retain(|run| there.binary_search(&run.segment).is_ok());
    }

    fn retain(&mut self, keep: impl Fn(&Run) -> bool) {
        for runs in self.attempts.values_mut() {
            runs.retain(&keep);
        }
        self.attempts.retain(|_, runs| !runs.is_empty());
        self.marks = self.attempts.values().flatten().map(|run| run.marks.len()).sum();
    }

    fn thin(&mut self) {
        if self.marks <= self.most {
            return;
        }
        for run in self.attempts.values_mut().flatten() {
            let mut keep = false;
            run.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks = self.attempts.values().flatten().map(|run| run.marks.len()).sum();
        self.most = MARKS.max(2 * self.marks);
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { attempts: HashMap::new(), marks: 0, most: MARKS }
    }
}

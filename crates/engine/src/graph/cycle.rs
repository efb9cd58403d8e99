//! Whether tasks wait for each other in a circle, so that none of them would ever begin.

use std::collections::{HashMap, HashSet};

use super::{Graph, ix};
use crate::world::InstanceIx;

// === impl Graph ===

impl Graph {
    /// Instances whose tasks, from `first` on, wait for each other.
    pub(crate) fn cycle(&self, first: usize) -> Option<Vec<InstanceIx>> {
        let mut waits_for: Vec<u32> = self.tasks[first..].iter().map(|t| t.waits_for).collect();
        let mut free: Vec<usize> = (0..waits_for.len()).filter(|at| waits_for[*at] == 0).collect();
        while let Some(at) = free.pop() {
            for then in &self.tasks[first + at].then {
                let then = then.at() - first;
                waits_for[then] -= 1;
                if waits_for[then] == 0 {
                    free.push(then);
                }
            }
        }
        // Each stuck task waits for a stuck one: going back from any of them ends in a circle.
        let mut back: HashMap<usize, usize> = HashMap::new();
        for at in (0..waits_for.len()).filter(|at| waits_for[*at] > 0) {
            for then in &self.tasks[first + at].then {
                back.insert(then.at() - first, at);
            }
        }
        let mut at = *back.keys().min()?;
        let mut seen = HashSet::new();
        while seen.insert(at) {
            at = *back.get(&at)?;
        }
        let mut instances = Vec::new();
        let start = at;
        loop {
            instances.push(self.group(self.task(ix(first + at)).group).instance);
            at = *back.get(&at)?;
            if at == start {
                break;
            }
        }
        instances.reverse();
        instances.dedup();
        if instances.len() > 1 && instances.first() == instances.last() {
            instances.pop();
        }
        Some(instances)
    }
}

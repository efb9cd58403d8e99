//! What an execution is made from.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use waggoner_types::plan::NodeInstance;

/// All that an execution depends on, apart from the plan.
///
/// It is kept with the execution: together with the plan and the rows it gives the same task
/// graph again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The name of the workflow.
    pub workflow: String,
    /// What the user gave.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Whether parameters that the workflow does not declare are let through.
    #[serde(default)]
    pub allow_custom_parameters: bool,
    /// The instances as they were when the execution was started.
    pub instances: Vec<NodeInstance>,
    /// What was made of [`crate::Execution::modification`]. The instances have it in them.
    #[serde(default)]
    pub modification: Option<Modification>,
    /// What an `update` has to bring about. The plan and the instances have the old in them and
    /// the new.
    #[serde(default)]
    pub update: Option<Update>,
    #[serde(default)]
    pub settings: Settings,
}

/// The difference between what a deployment was and what it is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// Ids of instances that come.
    pub added: Vec<String>,
    /// Ids of instances that go.
    pub removed: Vec<String>,
    /// Relationships that come, between instances that stay: for source nodes their targets.
    pub extended: BTreeMap<String, BTreeSet<String>>,
    /// Relationships that go, between instances that stay: for source nodes their targets.
    pub reduced: BTreeMap<String, BTreeSet<String>>,
    /// Ids of instances whose node or relationships have changed. They are updated.
    pub changed: Vec<String>,
    /// Ids of instances that are reinstalled, whatever comes of updating them.
    pub reinstall: Vec<String>,
}

/// A deployment modification: instances that come, and instances that go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Modification {
    /// Ids of instances that are there already, uninitialized, and related to.
    pub added: Vec<String>,
    /// Ids of instances that are still there.
    pub removed: Vec<String>,
}

/// What a modification has to bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModificationRequest {
    /// A node, or a scaling group.
    pub entity: String,
    /// How many instances it has to have, and how many more than now that is.
    pub instances: i64,
    pub delta: i64,
    /// Instances that should rather go.
    pub removed_ids_include_hint: Vec<String>,
    /// Instances that should rather stay.
    pub removed_ids_exclude_hint: Vec<String>,
    /// Modifications that are open are to be taken back first.
    pub abort_started: bool,
}

/// The manager's settings, as they were when the execution was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How often an operation is tried again; -1: for ever. Operations may say otherwise.
    pub task_retries: i64,
    /// How long to wait before trying again. Operations may say otherwise.
    pub task_retry_interval: SignedDuration,
    /// How the interval changes from one retry to the next.
    pub retry_backoff: Backoff,
    /// How often the whole life of an instance is tried again; -1: for ever.
    pub subgraph_retries: i64,
    /// How many operations may be out at a time.
    pub max_in_flight: usize,
    /// How long after the first failure operations that do not depend on it are still started.
    pub wait_after_fail: SignedDuration,
    /// How long a killed execution waits for its operations to be gone.
    pub kill_grace: SignedDuration,
    /// Tell what would be done, do nothing.
    pub dry_run: bool,
}

/// How long to wait before a retry, beside the interval. What an operation asks for itself is
/// not changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// What the interval is multiplied with after each retry; 1: it stays.
    pub factor: f64,
    /// The longest wait, unless the interval itself is longer.
    pub limit: SignedDuration,
    /// By which part of itself a wait is at most longer or shorter, so that many operations that
    /// failed together do not come back together. From 0 to 1.
    pub jitter: f64,
}

// === impl Start ===

impl Start {
    /// A start with the default settings and no parameters.
    pub fn new(workflow: impl Into<String>, instances: Vec<NodeInstance>) -> Self {
        Self {
            workflow: workflow.into(),
            parameters: Map::new(),
            allow_custom_parameters: false,
            instances,
            modification: None,
            update: None,
            settings: Settings::default(),
        }
    }
}

// === impl Settings ===

impl Default for Settings {
    /// What a Cloudify manager is installed with; the limits of operations are ours.
    fn default() -> Self {
        Self {
            task_retries: 60,
            task_retry_interval: SignedDuration::from_secs(15),
            retry_backoff: Backoff::default(),
            subgraph_retries: 0,
            max_in_flight: 256,
            wait_after_fail: SignedDuration::from_secs(600),
            // An agent gives a process 5 s between TERM and KILL; the rest is for the way.
            kill_grace: SignedDuration::from_secs(15),
            dry_run: false,
        }
    }
}

// === impl Backoff ===

impl Backoff {
    /// The wait before a retry, the first being number 0. `salt` spreads: the same salt gives
    /// the same wait.
    pub(crate) fn wait(self, interval: SignedDuration, retry: u32, salt: u64) -> SignedDuration {
        let seconds = interval.as_secs_f64();
        let exponent = f64::from(retry.min(1_000));
        let grown = seconds * self.factor.max(1.0).powf(exponent);
        let limited = grown.min(self.limit.as_secs_f64()).max(seconds);
        let spread = self.jitter.clamp(0.0, 1.0) * spread(salt);
        SignedDuration::try_from_secs_f64(limited * (1.0 + spread)).unwrap_or(interval)
    }
}

impl Default for Backoff {
    /// As Cloudify does: every wait is the interval.
    fn default() -> Self {
        Self { factor: 1.0, limit: SignedDuration::from_hours(1), jitter: 0.0 }
    }
}

/// A number from -1 to 1 that looks like chance (the finalizer of `SplitMix64`).
fn spread(salt: u64) -> f64 {
    let mut mixed = salt.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    let top = u32::try_from(mixed >> 32).expect("half of 64 bits are 32");
    f64::from(top) / f64::from(u32::MAX) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::Backoff;

    #[test]
    fn waits_grow_to_their_limit() {
        let seconds = SignedDuration::from_secs;
        let backoff = Backoff { factor: 2.0, limit: seconds(60), jitter: 0.0 };
        for (interval, retry, expected) in [
            (10, 0, 10),
            (10, 1, 20),
            (10, 2, 40),
            (10, 3, 60),
            (10, u32::MAX, 60),
            (90, 5, 90),
            (0, 9, 0),
        ] {
            assert_eq!(backoff.wait(seconds(interval), retry, 7), seconds(expected));
        }
        assert_eq!(Backoff::default().wait(seconds(15), 59, 7), seconds(15));
    }

    #[test]
    fn waits_spread_within_their_part_and_the_same_for_the_same_salt() {
        let backoff = Backoff { jitter: 0.5, ..Backoff::default() };
        let wait = |salt| backoff.wait(SignedDuration::from_secs(10), 0, salt).as_secs_f64();
        let waits: Vec<f64> = (0..1_000).map(wait).collect();
        assert!(waits.iter().all(|wait| (5.0..=15.0).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 6.0) && waits.iter().any(|wait| *wait > 14.0));
        assert_eq!(wait(3).to_bits(), wait(3).to_bits());
    }
}

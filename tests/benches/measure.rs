//! Measuring in pairs, and saying what came of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::json;
use tokio::task::JoinSet;

/// Measurements of two ways to do the same, each pair taken one right after the other, so that
/// both had the same host under them.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Vec<(f64, f64)>);

/// Runs `operation` `count` times, `in_flight` at once, and returns how many ended in a second.
///
/// # Panics
///
/// If one of them panics.
pub(crate) async fn rate<O, F>(in_flight: usize, count: usize, operation: O) -> f64
where
    O: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..in_flight {
        let (begun, operation) = (Arc::clone(&begun), operation.clone());
        lanes.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < count {
                operation().await;
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.expect("an operation of the benchmark panicked");
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of some thousands")]
    let count = count as f64;
    count / start.elapsed().as_secs_f64()
}

// === impl Pairs ===

impl Pairs {
    /// Adds a pair.
    pub(crate) fn push(&mut self, ours: f64, against: f64) {
        self.0.push((ours, against));
    }

    /// Prints a row: the median of ours, and the median of the ratios of the pairs.
    #[expect(clippy::print_stdout, reason = "rows are what a benchmark is for")]
    pub(crate) fn print(&self, name: &str, unit: &str, against: &str) {
        let value = median(self.0.iter().map(|(ours, _)| *ours));
        let ratio = median(self.0.iter().map(|(ours, against)| ours / against));
        let row = json!({
            "name": name,
            "value": value.round(),
            "unit": unit,
            "against": against,
            "ratio": (ratio * 1000.0).round() / 1000.0,
        });
        println!("{row}");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

//! How often something ends in a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

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

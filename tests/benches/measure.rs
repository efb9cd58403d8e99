//! Measuring in pairs, and saying what came of it.

use serde_json::json;

/// Measurements of two ways to do the same, each pair taken one right after the other, so that
/// both had the same host under them.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Vec<(f64, f64)>);

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

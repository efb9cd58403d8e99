//! One line a node instance, redrawn as it changes.

use std::{collections::HashMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use owo_colors::OwoColorize as _;

use super::board::Row;

/// How often a line that runs something moves.
const TICK: Duration = Duration::from_millis(120);

/// The lines on a terminal.
#[derive(Debug, Default)]
pub(super) struct Bars {
    all: MultiProgress,
    bars: HashMap<String, ProgressBar>,
}

// === impl Bars ===

impl Bars {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Redraws the lines that changed.
    pub(super) fn draw(&mut self, rows: &[&Row]) {
        let Self { all, bars } = self;
        bars.retain(|id, bar| {
            let is_shown = rows.iter().any(|row| row.id == *id);
            if !is_shown {
                all.remove(bar);
            }
            is_shown
        });
        let width = rows.iter().map(|row| row.id.chars().count()).max().unwrap_or_default();
        for row in rows {
            let bar = bars.entry(row.id.clone()).or_insert_with(|| {
                let bar = all.add(ProgressBar::new_spinner());
                bar.set_style(style());
                bar.enable_steady_tick(TICK);
                bar
            });
            bar.set_message(words(row, width));
        }
    }

    /// Writes a line above all others.
    pub(super) fn above(&self, line: &str) {
        self.all.println(line).ok();
    }

    /// Stops moving, and leaves the lines.
    pub(super) fn finish(self) {
        for bar in self.bars.values() {
            bar.abandon();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner:.cyan} {msg}").expect("the template is sound")
}

fn words(row: &Row, width: usize) -> String {
    let Row { id, state, operations, has_failed } = row;
    let head = format!("{id:<width$}  {state:<14}");
    let operations = operations.join(", ");
    if *has_failed {
        return format!("{} {operations}", head.red());
    }
    match state.as_str() {
        "started" => format!("{} {operations}", head.green()),
        "uninitialized" | "deleted" | "" => format!("{} {operations}", head.dimmed()),
        _ => format!("{head} {operations}"),
    }
}

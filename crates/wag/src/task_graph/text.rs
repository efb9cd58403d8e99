//! The task graph for a terminal.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::{TaskGraph, name};
use crate::ui::printable;

impl TaskGraph {
    /// Draws a line for each operation, behind all that come before it.
    pub(crate) fn text(&self) -> String {
        let width = self.tasks.iter().map(|task| task.number.to_string().len()).max().unwrap_or(1);
        let mut text = String::new();
        for place in self.in_order() {
            let task = &self.tasks[place];
            let number = format!("#{:<width$}", task.number);
            let (sign, state) = match task.state.as_str() {
                "succeeded" => ("✓".green().to_string(), String::new()),
                "failed" => ("✗".red().to_string(), " failed".red().to_string()),
                "sent" | "started" => {
                    ("▶".yellow().to_string(), format!(" {}", task.state.yellow()))
                }
                "rescheduled" => ("↻".yellow().to_string(), " to be tried again".to_owned()),
                "dropped" => ("–".dimmed().to_string(), " dropped".dimmed().to_string()),
                _ => ("·".to_owned(), String::new()),
            };
            let retry = match task.retry_number {
                0 => String::new(),
                number => format!(" (retry {number})"),
            };
            let what = printable(&name(task));
            let _ = write!(text, "{} {sign} {}{retry}{state}", number.dimmed(), what.bold());
            let earlier: Vec<String> = self.before[place]
                .iter()
                .map(|one| format!("#{}", self.tasks[*one].number))
                .collect();
            if !earlier.is_empty() {
                let _ = write!(text, " {}", format!("after {}", earlier.join(" ")).dimmed());
            }
            text.push('\n');
        }
        text
    }
}

//! Lists for people: a row is a line, so that `grep` and `wc -l` mean something.

use comfy_table::{Table, presets};
use owo_colors::OwoColorize as _;

use super::{Clock, line::printable};
use crate::record::{Mood, Record};

/// Renders a table with a line for each item; only its head where there are none.
pub(super) fn render<T: Record>(items: &[T], clock: &Clock) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(T::COLUMNS.iter().map(|column| column.to_uppercase()));
    for item in items {
        table.add_row(item.row(clock).iter().map(|cell| match cell.as_str() {
            "" => "-".to_owned(),
            cell => printable(cell),
        }));
    }
    let moods = items.iter().map(Record::mood);
    let mut lines = table.lines().map(|line| line.trim().to_owned());
    let head = lines.next().unwrap_or_default();
    let mut text = format!("{}\n", head.bold());
    for (line, mood) in lines.zip(moods) {
        let line = match mood {
            Mood::Plain => line,
            Mood::Busy => line.yellow().to_string(),
            Mood::Bad => line.red().to_string(),
            Mood::Gone => line.dimmed().to_string(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

//! The picture for a terminal: what contains what, as a tree.

use std::fmt::Write as _;

use owo_colors::OwoColorize as _;

use super::Picture;
use crate::ui::printable;

impl Picture {
    /// Draws a line for each node, below what contains it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Each node with what stands left of it, and left of what it contains.
        let mut next: Vec<(usize, String, String)> =
            self.roots().map(|place| (place, String::new(), String::new())).collect();
        next.reverse();
        while let Some((place, before, below)) = next.pop() {
            text.push_str(&before);
            text.push_str(&self.line(place));
            text.push('\n');
            let contained = &self.nodes[place].contained;
            for (index, inner) in contained.iter().enumerate().rev() {
                let is_last = index + 1 == contained.len();
                let (branch, beside) =
                    if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                next.push((*inner, format!("{below}{branch}"), format!("{below}{beside}")));
            }
        }
        text
    }

    /// `web ×3 (my.Server) [group] ─▶ db (connected_to)`
    fn line(&self, place: usize) -> String {
        let node = &self.nodes[place];
        let id = printable(&node.id);
        let type_name = format!("({})", printable(&node.type_name));
        let mut line = format!("{}{} {}", id.bold(), node.times(), type_name.dimmed());
        for group in &node.groups {
            let _ = write!(line, " [{}]", printable(group));
        }
        for (index, link) in node.links.iter().enumerate() {
            let sign = if index == 0 { " ─▶" } else { "," };
            let target = printable(&self.nodes[link.target].id);
            let how = format!("({})", printable(link.short()));
            let _ = write!(line, "{sign} {target} {}", how.dimmed());
        }
        line
    }
}

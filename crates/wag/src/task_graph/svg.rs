//! The task graph as SVG.

use std::fmt::Write as _;

use super::{TaskGraph, name};
use crate::picture::escaped;

const STYLE: &str = "\
    text { font: 11px ui-monospace, monospace; fill: #1b1f24 } \
    rect { fill: #fff; stroke: #57606a } \
    path { fill: none; stroke: #8c959f } \
    .succeeded { fill: #dafbe1; stroke: #1a7f37 } \
    .failed { fill: #ffebe9; stroke: #cf222e } \
    .sent, .started { fill: #ddf4ff; stroke: #0969da } \
    .rescheduled { fill: #fff8c5; stroke: #9a6700 } \
    .dropped { fill: #f6f8fa; stroke-dasharray: 4 3 }";

/// The states there is a style for: others are drawn plainly.
const STATES: [&str; 6] = ["succeeded", "failed", "sent", "started", "rescheduled", "dropped"];

/// How wide a letter is at the most, in pixels.
const LETTER: usize = 7;
const HEIGHT: usize = 26;
const BESIDE: usize = 16;
const BELOW: usize = 34;
const MARGIN: usize = 12;

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

impl TaskGraph {
    /// Draws an SVG document.
    pub(crate) fn svg(&self) -> String {
        let (places, width, height) = self.places();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
             <rect x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\" \
             style=\"fill: #fff; stroke: none\"/>\n"
        );
        for (place, earlier) in self.before.iter().enumerate() {
            for one in earlier {
                let (from, to) = (places[*one], places[place]);
                let (x1, y1) = (from.x + from.width / 2, from.y + HEIGHT);
                let (x2, y2) = (to.x + to.width / 2, to.y);
                let bend = BELOW / 2;
                let _ = writeln!(
                    svg,
                    "<path d=\"M{x1},{y1} C{x1},{} {x2},{} {x2},{y2}\"/>",
                    y1 + bend,
                    y2.saturating_sub(bend),
                );
            }
        }
        for (task, Place { x, y, width }) in self.tasks.iter().zip(&places) {
            let state = STATES.iter().find(|state| **state == task.state).unwrap_or(&"pending");
            let _ = writeln!(
                svg,
                "<g><title>#{} {} {}, attempt {}</title>\
                 <rect class=\"{state}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                 height=\"{HEIGHT}\" rx=\"4\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
                task.number,
                escaped(&task.operation),
                escaped(&task.state),
                task.retry_number + 1,
                x + 8,
                y + 17,
                escaped(&name(task)),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Where each task is drawn, and how large the picture is: a row for each depth, and in it
    /// what is below the same tasks side by side.
    fn places(&self) -> (Vec<Place>, usize, usize) {
        let mut places = vec![Place::default(); self.tasks.len()];
        let mut rows: Vec<Vec<usize>> = Vec::new();
        for place in self.in_order() {
            rows.resize(rows.len().max(self.depth[place] + 1), Vec::new());
            rows[self.depth[place]].push(place);
        }
        let (mut width, mut y) = (0, MARGIN);
        for row in &mut rows {
            let above = |place: &usize| {
                let earlier = &self.before[*place];
                earlier.iter().map(|one| places[*one].x).sum::<usize>() / earlier.len().max(1)
            };
            row.sort_by_key(above);
            let mut x = MARGIN;
            for place in row {
                let own = name(&self.tasks[*place]).chars().count() * LETTER + 16;
                places[*place] = Place { x, y, width: own };
                x += own + BESIDE;
            }
            width = width.max(x);
            y += HEIGHT + BELOW;
        }
        (places, width.max(2 * MARGIN), y.max(2 * MARGIN))
    }
}

//! The picture as SVG: boxes in boxes, and arrows.

use std::fmt::Write as _;

use super::{
    Link, Picture,
    layout::{HEAD, Layout, Rect},
};

const STYLE: &str = "\
    text { font: 13px ui-monospace, monospace; fill: #1b1f24 } \
    .type { font-size: 10px; fill: #57606a } \
    rect { fill: #0969da; fill-opacity: .06; stroke: #0969da } \
    path { fill: none; stroke: #57606a } \
    .depends { stroke-dasharray: 4 3 } \
    marker path { fill: #57606a; stroke: none }";

impl Picture {
    /// Draws an SVG document.
    pub(crate) fn svg(&self) -> String {
        let layout = Layout::of(self);
        let Layout { width, height, .. } = layout;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
             <rect x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\" \
             style=\"fill: #fff; fill-opacity: 1; stroke: none\"/>\n\
             <marker id=\"tip\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" \
             orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\"/></marker>\n"
        );
        for place in self.outermost_first() {
            self.node(place, layout.boxes[place], &mut svg);
        }
        for (source, node) in self.nodes.iter().enumerate() {
            for link in &node.links {
                let ends = (layout.boxes[source], layout.boxes[link.target]);
                arrow(link, ends, &mut svg, &format!("{} to {}", node.id, self.id(link)));
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn id(&self, link: &Link) -> &str {
        &self.nodes[link.target].id
    }

    fn node(&self, place: usize, at: Rect, svg: &mut String) {
        let node = &self.nodes[place];
        let groups = node.groups.join(", ");
        let groups = if groups.is_empty() { groups } else { format!(" [{groups}]") };
        let Rect { x, y, width, height } = at;
        let (left, name, below) = (x + 12, y + 20, y + HEAD - 10);
        let _ = writeln!(
            svg,
            "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{height}\" rx=\"5\"/><text x=\"{left}\" y=\"{name}\">{}</text>\
             <text class=\"type\" x=\"{left}\" y=\"{below}\">{}</text></g>",
            escaped(&format!("{}{groups}", node.id)),
            escaped(&format!("{}{}", node.id, node.times())),
            escaped(&node.type_name),
        );
    }
}

/// Draws an arrow between the sides of two boxes that are nearest to each other.
fn arrow(link: &Link, (from, to): (Rect, Rect), svg: &mut String, title: &str) {
    let middle = |rect: Rect| rect.x + rect.width / 2;
    let (start, end, bend) = if from.y + from.height <= to.y {
        ((middle(from), from.y + from.height), (middle(to), to.y), (0, 24))
    } else if to.y + to.height <= from.y {
        ((middle(from), from.y), (middle(to), to.y + to.height), (0, -24))
    } else if from.x <= to.x {
        ((from.x + from.width, from.y + HEAD / 2), (to.x, to.y + HEAD / 2), (24, 0))
    } else {
        ((from.x, from.y + HEAD / 2), (to.x + to.width, to.y + HEAD / 2), (-24, 0))
    };
    let class = if link.short() == "connected_to" { "" } else { " class=\"depends\"" };
    let _ = writeln!(
        svg,
        "<path{class} marker-end=\"url(#tip)\" d=\"M{},{} C{},{} {},{} {},{}\">\
         <title>{} ({})</title></path>",
        start.0,
        start.1,
        start.0 + bend.0,
        start.1 + bend.1,
        end.0 - bend.0,
        end.1 - bend.1,
        end.0,
        end.1,
        escaped(title),
        escaped(link.short()),
    );
}

/// Text that is only text in XML; characters that XML cannot hold become spaces.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

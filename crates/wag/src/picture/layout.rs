//! Where the boxes stand: inside of what contains them, above what they depend on.

use super::Picture;

/// A box, in pixels from the upper left corner of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// The boxes of all nodes, and the size of the whole.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) boxes: Vec<Rect>,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// The height of a box that contains nothing, and of the head of one that does.
pub(super) const HEAD: i64 = 46;
/// Between boxes side by side, and between a box and what it contains.
const GAP: i64 = 18;
/// Between rows, where the arrows run.
const ROW_GAP: i64 = 44;
/// The width of a letter of the names, about.
const LETTER: i64 = 8;
/// How many boxes stand in a row at the most.
const IN_A_ROW: usize = 6;

// === impl Layout ===

impl Layout {
    pub(super) fn of(picture: &Picture) -> Self {
        let count = picture.nodes.len();
        let order = picture.outermost_first();
        let mut boxes = vec![Rect::default(); count];
        let mut tops = vec![];
        // Sizes from the innermost outwards, each child beside its siblings.
        let ranks = ranks(picture);
        for place in order.iter().rev().copied() {
            let node = &picture.nodes[place];
            let letters = node.id.chars().count() + node.times().chars().count();
            let letters = letters.max(node.type_name.chars().count() * 3 / 4);
            let least = i64::try_from(letters).unwrap_or(0) * LETTER + 2 * GAP;
            let (width, height) = rows(&node.contained, &ranks, &mut boxes);
            boxes[place].width = least.max(if width > 0 { width + 2 * GAP } else { 0 });
            boxes[place].height = HEAD + if height > 0 { height + GAP } else { 0 };
        }
        tops.extend(picture.roots());
        let (width, height) = rows(&tops, &ranks, &mut boxes);
        // Places from the outermost inwards: so far each is relative to its container's inside.
        for place in order {
            let (left, top) = match picture.nodes[place].container {
                Some(outer) => (boxes[outer].x + GAP, boxes[outer].y + HEAD),
                None => (GAP, GAP),
            };
            boxes[place].x += left;
            boxes[place].y += top;
        }
        Self { boxes, width: width + 2 * GAP, height: height + 2 * GAP }
    }
}

/// Puts siblings into rows, those of higher rank above, and returns the size of all.
fn rows(siblings: &[usize], ranks: &[usize], boxes: &mut [Rect]) -> (i64, i64) {
    let mut sorted = siblings.to_vec();
    sorted.sort_by_key(|place| std::cmp::Reverse(ranks[*place]));
    let of_one_rank = sorted.chunk_by(|one, two| ranks[*one] == ranks[*two]);
    let (mut width, mut y) = (0, 0);
    for row in of_one_rank.flat_map(|row| row.chunks(IN_A_ROW)) {
        let (mut x, mut height) = (0, 0);
        for place in row {
            (boxes[*place].x, boxes[*place].y) = (x, y);
            x += boxes[*place].width + GAP;
            height = height.max(boxes[*place].height);
        }
        width = width.max(x - GAP);
        y += height + ROW_GAP;
    }
    (width, (y - ROW_GAP).max(0))
}

/// How many siblings each node depends on, one behind the other; what depends on something
/// inside of a sibling depends on the sibling. A circle ends where it began.
fn ranks(picture: &Picture) -> Vec<usize> {
    let count = picture.nodes.len();
    let mut needs: Vec<Vec<usize>> = vec![vec![]; count];
    for (source, node) in picture.nodes.iter().enumerate() {
        for link in &node.links {
            if let Some((source, target)) = siblings(picture, source, link.target) {
                needs[source].push(target);
            }
        }
    }
    let mut ranks: Vec<Option<usize>> = vec![None; count];
    let mut is_on_way = vec![false; count];
    for start in 0..count {
        let mut way = vec![start];
        while let Some(here) = way.last().copied() {
            is_on_way[here] = true;
            let next = needs[here].iter().find(|it| ranks[**it].is_none() && !is_on_way[**it]);
            if let (None, Some(next)) = (ranks[here], next) {
                way.push(*next);
                continue;
            }
            let below = needs[here].iter().filter_map(|it| ranks[*it]).max();
            ranks[here] = ranks[here].or(Some(below.map_or(0, |below| below + 1)));
            is_on_way[here] = false;
            way.pop();
        }
    }
    ranks.into_iter().map(Option::unwrap_or_default).collect()
}

/// The two that stand side by side and hold, or are, the ends of a link.
fn siblings(picture: &Picture, source: usize, target: usize) -> Option<(usize, usize)> {
    let around = |mut place: usize| {
        let mut around = vec![place];
        while let Some(outer) = picture.nodes[place].container {
            around.push(outer);
            place = outer;
        }
        around.reverse();
        around
    };
    let (source, target) = (around(source), around(target));
    source.into_iter().zip(target).find(|(one, two)| one != two)
}

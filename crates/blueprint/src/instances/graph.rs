//! A directed graph of named nodes, in the order they were added; one edge between two nodes.

use indexmap::IndexMap;

#[derive(Clone, Debug)]
pub(super) struct Graph<N, E> {
    nodes: IndexMap<String, Slot<N, E>>,
}

#[derive(Clone, Debug)]
struct Slot<N, E> {
    node: N,
    out: IndexMap<String, E>,
    /// Where edges come from.
    from: Vec<String>,
}

// === impl Graph ===

impl<N, E> Default for Graph<N, E> {
    fn default() -> Self {
        Self { nodes: IndexMap::new() }
    }
}

impl<N, E> Graph<N, E> {
    /// Adds a node; one that is there keeps its edges.
    pub(super) fn add(&mut self, name: &str, node: N) {
        if let Some(slot) = self.nodes.get_mut(name) {
            slot.node = node;
        } else {
            let slot = Slot { node, out: IndexMap::new(), from: vec![] };
            self.nodes.insert(name.to_owned(), slot);
        }
    }

    /// Draws an edge between nodes that are there, over the one that was.
    pub(super) fn link(&mut self, from: &str, to: &str, edge: E) {
        let Some(source) = self.nodes.get_mut(from) else { return };
        let is_new = source.out.insert(to.to_owned(), edge).is_none();
        if let (true, Some(target)) = (is_new, self.nodes.get_mut(to)) {
            target.from.push(from.to_owned());
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    pub(super) fn node(&self, name: &str) -> Option<&N> {
        self.nodes.get(name).map(|slot| &slot.node)
    }

    pub(super) fn edge(&self, from: &str, to: &str) -> Option<&E> {
        self.nodes.get(from)?.out.get(to)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&str, &N)> {
        self.nodes.iter().map(|(name, slot)| (name.as_str(), &slot.node))
    }

    /// What a node points to.
    pub(super) fn out(&self, name: &str) -> impl Iterator<Item = (&str, &E)> {
        let edges = self.nodes.get(name).into_iter().flat_map(|slot| &slot.out);
        edges.map(|(to, edge)| (to.as_str(), edge))
    }

    /// What points to a node.
    pub(super) fn from(&self, name: &str) -> impl Iterator<Item = &str> {
        self.nodes.get(name).into_iter().flat_map(|slot| &slot.from).map(String::as_str)
    }

    /// Every edge: from, to, and what it says.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &str, &E)> {
        self.nodes.iter().flat_map(|(from, slot)| {
            slot.out.iter().map(move |(to, edge)| (from.as_str(), to.as_str(), edge))
        })
    }
}

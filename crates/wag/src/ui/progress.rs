//! An execution while it runs, node by node.
//!
//! ```text
//!  events ──▶ Board ──▶ what is worth a line ──▶ a log on stderr, or
//!  states ──▶        └▶ one line a node instance, redrawn on a terminal
//! ```

use waggoner_proto::v1::{Event, NodeInstance};

use super::Ui;

mod bars;
mod board;

use self::{bars::Bars, board::Board};

/// Shows the progress of one execution on the standard error.
#[derive(Debug)]
pub struct Progress {
    board: Board,
    bars: Option<Bars>,
}

// === impl Progress ===

impl Progress {
    /// Redraws lines where `is_live`, else writes a line for each event; log lines too with `logs`.
    pub fn new(is_live: bool, logs: bool) -> Self {
        Self { board: Board::new(is_live, logs), bars: is_live.then(Bars::new) }
    }

    /// Takes news of what happened.
    pub fn events(&mut self, events: &[Event], ui: &mut Ui) {
        for event in events {
            for line in self.board.apply(event, ui.clock()) {
                match &self.bars {
                    Some(bars) => bars.above(&line),
                    None => ui.say(line),
                }
            }
        }
        self.draw();
    }

    /// Takes the node instances as they are now.
    pub fn states(&mut self, node_instances: &[NodeInstance]) {
        self.board.states(node_instances);
        self.draw();
    }

    /// Whether the states are shown, and therefore wanted.
    pub fn wants_states(&self) -> bool {
        self.bars.is_some() && !self.board.is_crowded()
    }

    /// Leaves the last picture standing.
    pub fn finish(self) {
        if let Some(bars) = self.bars {
            bars.finish();
        }
    }

    fn draw(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.draw(&self.board.rows());
        }
    }
}

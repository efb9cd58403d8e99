//! Words to write sequences with.

use std::borrow::Cow;

use waggoner_types::plan::InstanceState;

use super::Site;
use crate::{
    graph::{Action, Call, GroupIx, Handler, Rule, Step},
    world::InstanceIx,
};

/// A sequence in the making, for one instance.
#[derive(Debug)]
pub(crate) struct Steps {
    pub(super) instance: InstanceIx,
    steps: Vec<Step>,
}

// === impl Steps ===

impl Steps {
    pub(super) fn new(instance: InstanceIx) -> Self {
        Self { instance, steps: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn tell(&mut self, text: impl Into<Cow<'static, str>>) -> &mut Self {
        self.act(Action::Tell(self.instance, text.into()))
    }

    pub(super) fn set(&mut self, state: InstanceState) -> &mut Self {
        self.act(Action::SetState(self.instance, state))
    }

    /// Adds an operation; nothing where there is none.
    pub(super) fn call(&mut self, call: Option<Call>) -> &mut Self {
        self.calls(call.into_iter().collect())
    }

    /// Adds operations that run side by side.
    pub(super) fn calls(&mut self, calls: Vec<Call>) -> &mut Self {
        if !calls.is_empty() {
            self.steps.push(Step::Calls(calls));
        }
        self
    }

    pub(super) fn append(&mut self, other: Self) -> &mut Self {
        for step in other.steps {
            match step {
                Step::Local(actions) => {
                    for action in actions {
                        self.act(action);
                    }
                }
                Step::Calls(calls) => drop(self.calls(calls)),
            }
        }
        self
    }

    /// Appends another sequence, or only says that there is nothing to do.
    pub(super) fn append_or_tell(&mut self, other: Self, nothing: &'static str) -> &mut Self {
        if other.is_empty() { self.tell(nothing) } else { self.append(other) }
    }

    /// Lets failures of all operations be passed over.
    pub(super) fn ignoring_failures(mut self) -> Self {
        for step in &mut self.steps {
            if let Step::Calls(calls) = step {
                for call in calls {
                    call.handler = Handler::Ignore;
                }
            }
        }
        self
    }

    /// Makes the sequence a group, which is sealed by the caller.
    pub(super) fn into_group(self, site: &mut Site<'_>, rule: Rule) -> GroupIx {
        let group = site.graph.add_group(self.instance, rule);
        self.extend(site.graph, group);
        group
    }

    /// Puts the sequence behind what a group has.
    pub(crate) fn extend(self, graph: &mut crate::graph::Graph, group: GroupIx) {
        for step in self.steps {
            graph.extend(group, step);
        }
    }

    /// What takes no time is one step until the next operation.
    pub(super) fn act(&mut self, action: Action) -> &mut Self {
        match self.steps.last_mut() {
            Some(Step::Local(actions)) => actions.push(action),
            Some(Step::Calls(_)) | None => self.steps.push(Step::Local(vec![action])),
        }
        self
    }
}

//! Tasks and what they wait for.
//!
//! A task counts the tasks it still waits for and lists those that wait for it, so that the cost
//! of finishing one is the number of tasks that wait for it and nothing else.
//!
//! A *group* is the life of one node instance in a phase: a begin, a sequence of steps, an end.
//!
//! ```text
//!            ┌─▶ call ─┐
//!  begin ─▶ local      local ─▶ … ─▶ end
//!            └─▶ call ─┘
//! ```
//!
//! Other groups wait for its end. A group of which a task has failed is dead: its tasks that
//! were not sent never are, and whatever waits for its end waits for ever, unless the group has
//! a rule for that.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use waggoner_types::plan::InstanceState;

use crate::{TaskNumber, world::InstanceIx};

mod call;
mod cycle;

pub(crate) use call::{Call, Drift, Handler};

/// A task's place in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskIx(u32);

/// A group's place in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupIx(u32);

/// The tasks of an execution, those of finished phases included.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    tasks: Vec<Task>,
    groups: Vec<Group>,
    /// The tasks by number, as far as numbers are those of a phase: they are without holes.
    of_phases: Vec<TaskIx>,
    /// The tasks by number that belong to a group that was built before.
    of_blocks: HashMap<TaskNumber, TaskIx>,
    /// How many tasks run an operation.
    calls: usize,
    /// The numbers of the next tasks, where they belong to a group that was built before.
    block: Option<Range<u64>>,
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) number: TaskNumber,
    pub(crate) group: GroupIx,
    /// Which attempt at the group it belongs to.
    pub(crate) round: u16,
    pub(crate) waits_for: u32,
    pub(crate) is_done: bool,
    pub(crate) then: Vec<TaskIx>,
    pub(crate) work: Work,
}

#[derive(Debug)]
pub(crate) enum Work {
    /// Only for others to wait for.
    Begin,
    /// Takes no time.
    Local(Vec<Action>),
    /// An operation.
    Call(Box<Call>),
    /// The end of a group.
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    SetState(InstanceIx, InstanceState),
    Tell(InstanceIx, Cow<'static, str>),
    /// The instance is well again.
    SetHealed(InstanceIx),
    /// The instance is as its node says.
    SetUpdated(InstanceIx),
}

/// One element of a group's sequence.
#[derive(Debug)]
pub(crate) enum Step {
    Local(Vec<Action>),
    /// Side by side.
    Calls(Vec<Call>),
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) instance: InstanceIx,
    pub(crate) begin: TaskIx,
    pub(crate) end: TaskIx,
    pub(crate) rule: Rule,
    pub(crate) round: u16,
    /// How many blocks of numbers were taken for tasks that came after it was built.
    blocks: u16,
    /// The first task that failed in this round.
    pub(crate) failed: Option<TaskIx>,
    /// Whether an operation was sent.
    pub(crate) has_begun: bool,
    /// Operations that are out.
    pub(crate) running: u32,
    /// Operations that wait to be tried again.
    pub(crate) waiting: Vec<TaskIx>,
    /// The tasks of this round.
    tasks: Range<usize>,
    /// What the next step of the sequence waits for.
    last: Vec<TaskIx>,
}

/// What becomes of a group of which a task has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The phase has failed.
    Fail,
    /// The instance is uninstalled and installed again, `subgraph_retries` times.
    Reinstall,
    /// The instance is uninstalled again, `subgraph_retries` times.
    Uninstall,
    /// It is noted, and what waits goes on.
    Note,
}

// === impl TaskIx ===

impl TaskIx {
    fn at(self) -> usize {
        self.0 as usize
    }
}

// === impl Graph ===

impl Graph {
    /// How many tasks run an operation.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    // The number of a task that came after its group was built: 20 bits that count the tasks of
    // a block, 32 bits of the number of the group's end, 11 bits of the number of the block.
    const BLOCK_BITS: u32 = 20;
    const END_BITS: u32 = 52;
    const MOST_BLOCKS: u16 = (1 << 11) - 1;

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(crate) fn task(&self, task: TaskIx) -> &Task {
        &self.tasks[task.at()]
    }

    pub(crate) fn task_mut(&mut self, task: TaskIx) -> &mut Task {
        &mut self.tasks[task.at()]
    }

    pub(crate) fn group(&self, group: GroupIx) -> &Group {
        &self.groups[group.0 as usize]
    }

    pub(crate) fn group_mut(&mut self, group: GroupIx) -> &mut Group {
        &mut self.groups[group.0 as usize]
    }

    pub(crate) fn find(&self, number: TaskNumber) -> Option<TaskIx> {
        let of_phase = usize::try_from(number.0).ok().and_then(|at| self.of_phases.get(at));
        let task = of_phase.or_else(|| self.of_blocks.get(&number)).copied()?;
        self.call(task).is_some().then_some(task)
    }

    /// Says whether a number is of a phase that has been built.
    pub(crate) fn has(&self, number: TaskNumber) -> bool {
        let TaskNumber(number) = number;
        let own = match number >> Self::END_BITS {
            0 => number,
            _ => (number & ((1 << Self::END_BITS) - 1)) >> Self::BLOCK_BITS,
        };
        usize::try_from(own).is_ok_and(|own| own < self.of_phases.len())
    }

    pub(crate) fn call(&self, task: TaskIx) -> Option<&Call> {
        match &self.task(task).work {
            Work::Call(call) => Some(call),
            Work::Begin | Work::Local(_) | Work::End => None,
        }
    }

    pub(crate) fn call_mut(&mut self, task: TaskIx) -> Option<&mut Call> {
        match &mut self.task_mut(task).work {
            Work::Call(call) => Some(call),
            Work::Begin | Work::Local(_) | Work::End => None,
        }
    }

    /// The tasks from a place on, in order.
    pub(crate) fn since(&self, first: usize) -> impl Iterator<Item = (TaskIx, &Task)> {
        self.tasks[first..].iter().zip(first..).map(|(task, at)| (ix(at), task))
    }

    /// Says whether a task of its group has failed, or the group has begun again since.
    pub(crate) fn is_dead(&self, task: TaskIx) -> bool {
        let task = self.task(task);
        let group = self.group(task.group);
        group.failed.is_some() || group.round != task.round
    }

    /// Adds an empty group.
    pub(crate) fn add_group(&mut self, instance: InstanceIx, rule: Rule) -> GroupIx {
        let group = GroupIx(index(self.groups.len()));
        let first = self.tasks.len();
        self.groups.push(Group {
            instance,
            begin: ix(first),
            end: ix(first + 1),
            rule,
            round: 0,
            blocks: 0,
            failed: None,
            has_begun: false,
            running: 0,
            waiting: Vec::new(),
            tasks: first..first + 2,
            last: vec![ix(first)],
        });
        self.push(group, Work::Begin);
        self.push(group, Work::End);
        group
    }

    /// Puts a step behind the last one of a group's sequence.
    pub(crate) fn extend(&mut self, group: GroupIx, step: Step) {
        let works: Vec<Work> = match step {
            Step::Local(actions) => vec![Work::Local(actions)],
            Step::Calls(calls) => {
                calls.into_iter().map(|call| Work::Call(Box::new(call))).collect()
            }
        };
        if works.is_empty() {
            return;
        }
        let before = std::mem::take(&mut self.group_mut(group).last);
        for work in works {
            let task = self.push(group, work);
            for earlier in &before {
                self.wait(task, *earlier);
            }
            let group = self.group_mut(group);
            group.last.push(task);
            group.tasks.end = task.at() + 1;
        }
    }

    /// Lets a group end when its sequence does.
    pub(crate) fn seal(&mut self, group: GroupIx) {
        let Group { end, .. } = *self.group(group);
        for last in std::mem::take(&mut self.group_mut(group).last) {
            self.wait(end, last);
        }
    }

    /// Lets `task` wait for `earlier`.
    pub(crate) fn wait(&mut self, task: TaskIx, earlier: TaskIx) {
        if !self.task(earlier).is_done {
            self.task_mut(earlier).then.push(task);
            self.task_mut(task).waits_for += 1;
        }
    }

    /// Begins another round of a dead group: what is extended and sealed next is what it does
    /// now. Returns the first task.
    pub(crate) fn renew(&mut self, group: GroupIx) -> TaskIx {
        let Group { end, tasks, .. } = self.group(group);
        let (end, own) = (*end, tasks.clone());
        // What waits for a task inside the group now waits for all of it.
        let inside = |task: &TaskIx| own.contains(&task.at());
        let mut outside = Vec::new();
        for task in &mut self.tasks[own.clone()] {
            if !task.is_done && !matches!(task.work, Work::End) {
                outside.extend(task.then.extract_if(.., |then| !inside(then) && *then != end));
            }
        }
        self.task_mut(end).then.extend(outside);
        self.task_mut(end).waits_for = 0;

        let first = self.tasks.len();
        let renewed = self.group_mut(group);
        renewed.failed = None;
        renewed.round += 1;
        renewed.tasks = first..first;
        self.task_mut(end).round = self.group(group).round;
        self.take_block(group);
        let begin = self.push(group, Work::Begin);
        self.group_mut(group).last = vec![begin];
        begin
    }

    /// Adds an empty group that a task of another group waits for, as nothing else does.
    pub(crate) fn add_group_before(&mut self, task: TaskIx) -> GroupIx {
        let group = self.task(task).group;
        self.take_block(group);
        let before = self.add_group(self.group(group).instance, Rule::Fail);
        let end = self.group(before).end;
        self.wait(task, end);
        before
    }

    /// Says whether a group can still get tasks after it was built.
    pub(crate) fn has_blocks(&self, group: GroupIx) -> bool {
        self.group(group).blocks < Self::MOST_BLOCKS
    }

    /// Gives the tasks that follow numbers of the phase again.
    pub(crate) fn leave_block(&mut self) {
        self.block = None;
    }

    /// Gives the tasks that follow numbers that belong to a group.
    fn take_block(&mut self, group: GroupIx) {
        let Group { end, ref mut blocks, .. } = *self.group_mut(group);
        *blocks += 1;
        let block = u64::from(*blocks);
        let base = (block << Self::END_BITS) | (self.task(end).number.0 << Self::BLOCK_BITS);
        self.block = Some(base..base + (1 << Self::BLOCK_BITS));
    }

    /// The tasks of a group that run an operation.
    pub(crate) fn calls_of(&self, group: GroupIx) -> impl Iterator<Item = (TaskIx, &Call)> {
        let own = self.group(group).tasks.clone();
        own.filter_map(move |at| {
            let task = ix(at);
            let call = self.call(task)?;
            (self.task(task).group == group).then_some((task, call))
        })
    }

    fn push(&mut self, group: GroupIx, work: Work) -> TaskIx {
        let task = ix(self.tasks.len());
        let own = self.block.as_mut().map(Iterator::next);
        let number = match own {
            Some(number) => number.expect("a life has under a million tasks"),
            None => u64::try_from(self.of_phases.len()).expect("there is no room for more"),
        };
        let number = TaskNumber(number);
        if own.is_some() {
            self.of_blocks.insert(number, task);
        } else {
            self.of_phases.push(task);
        }
        self.calls += usize::from(matches!(work, Work::Call(_)));
        let round = self.group(group).round;
        let then = Vec::new();
        self.tasks.push(Task { number, group, round, waits_for: 0, is_done: false, then, work });
        task
    }
}

fn ix(at: usize) -> TaskIx {
    TaskIx(index(at))
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a graph has under four billion tasks")
}

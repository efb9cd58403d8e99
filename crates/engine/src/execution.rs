//! One execution: a workflow on its way through its phases.
//!
//! ```text
//!             became ready            dispatched         reported
//!  waits_for=0 ──────────▶ ready queue ─────────▶ running ──────▶ done ─▶ what waits for it
//!      │                       ▲                     │
//!      │ takes no time         │ due                 │ to be tried again
//!      ▼                       │                     ▼
//!  worklist ──▶ done         timers ◀────────────────┘
//! ```
//!
//! When nothing is in any of these places, the phase is over.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use waggoner_types::{CancelMode, plan::Plan};

use crate::{
    Effect, Event, EventType, ModificationRequest, Refusal, Row, Settings, Start, TaskNumber,
    graph::{Graph, GroupIx, TaskIx},
    workflow::{Next, Past, Site, Workflow},
    world::{InstanceIx, World},
};

mod advance;
mod dispatch;
mod finish;
mod line;
mod note;
mod replay;
mod settle;
mod turn;
mod work;

use line::Line;
use turn::Turn;

pub use replay::Resume;

/// A workflow on its way.
#[derive(Debug)]
pub struct Execution {
    name: String,
    workflow: Workflow,
    world: World,
    settings: Settings,
    graph: Graph,

    phase: u32,
    /// What takes no time and is to be done.
    worklist: VecDeque<TaskIx>,
    /// Operations that may be dispatched.
    ready: Line,
    /// Operations that wait to be tried again.
    timers: BTreeSet<(Timestamp, TaskIx)>,
    /// Operations that are out.
    running: BTreeSet<TaskIx>,
    /// Groups that died in this turn.
    dying: Vec<GroupIx>,
    /// The tasks that made the phase fail.
    errors: Vec<TaskIx>,
    /// The instances whose failure in this phase was noted and passed over.
    noted: BTreeSet<InstanceIx>,
    /// Nothing more is dispatched in this phase.
    is_closed: bool,

    cancelling: Option<CancelMode>,
    /// When a killed execution ends at the latest.
    killed_by: Option<Timestamp>,
    wake: Option<Timestamp>,
    is_over: bool,
    /// What happened before a restore, to be gone through again.
    replay: HashMap<TaskNumber, Row>,
    /// How far what happened is taken back, in a replay for a resume.
    resuming: Option<Resume>,
    /// The rows of what was taken back.
    reset: Vec<Row>,
    /// What takes no time and begins with the resume.
    held: VecDeque<TaskIx>,
}

// === impl Execution ===

impl Execution {
    /// Accepts an execution. It begins with [`Event::Started`].
    pub fn start(plan: Arc<Plan>, start: &Start) -> Result<Self, Refusal> {
        let world = World::new(plan, &start.instances)?;
        let workflow = Workflow::new(start, &world)?;
        let mut settings = start.settings.clone();
        if let Some(retries) = workflow.task_retries() {
            settings.task_retries = retries;
        }
        let mut execution = Self {
            name: start.workflow.clone(),
            workflow,
            world,
            settings,
            graph: Graph::default(),
            phase: 0,
            worklist: VecDeque::new(),
            ready: Line::default(),
            timers: BTreeSet::new(),
            running: BTreeSet::new(),
            dying: Vec::new(),
            errors: Vec::new(),
            noted: BTreeSet::new(),
            is_closed: false,
            cancelling: None,
            killed_by: None,
            wake: None,
            is_over: false,
            replay: HashMap::new(),
            resuming: None,
            reset: Vec::new(),
            held: VecDeque::new(),
        };
        execution.build(Ok(()))?;
        Ok(execution)
    }

    /// Says which deployment modification has to be made before the execution is started, so
    /// that it can be put into [`Start::modification`]. Most workflows need none.
    pub fn modification(
        plan: Arc<Plan>,
        start: &Start,
    ) -> Result<Option<ModificationRequest>, Refusal> {
        let world = World::new(plan, &start.instances)?;
        Workflow::modification(start, &world)
    }

    /// Takes what happened and answers with what is to be done.
    ///
    /// After [`Effect::Finish`] nothing changes any more and the answer is empty.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut turn = Turn::at(now);
        if !self.is_over {
            self.take(event, &mut turn);
        }
        if !self.is_over {
            self.advance(&mut turn);
        }
        if !self.is_over {
            self.wish(&mut turn);
        }
        turn.effects
    }

    /// Says whether the execution has ended.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many operations the task graph has, as far as it is known: a later phase may add some.
    pub fn operations(&self) -> usize {
        self.graph.calls()
    }

    /// How many operations are out.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Operations that may be dispatched but have to queue.
    pub(crate) fn ready(&self) -> impl Iterator<Item = TaskIx> {
        self.ready.iter()
    }

    fn take(&mut self, event: Event, turn: &mut Turn) {
        match event {
            Event::Started => {
                let dry = self.dry();
                let message = format!("Starting '{}' workflow execution{dry}", self.name);
                turn.tell(EventType::WorkflowStarted, message);
            }
            Event::Restored { cancelling } => {
                self.pick_up(turn);
                if let Some(mode) = cancelling {
                    self.cancel(mode, turn);
                }
            }
            Event::Resumed => {
                let message = format!("Resuming '{}' workflow execution{}", self.name, self.dry());
                turn.tell(EventType::WorkflowStarted, message);
                turn.effects.extend(self.reset.drain(..).map(Effect::Save));
                self.worklist.append(&mut self.held);
                self.pick_up(turn);
            }
            Event::OperationStarted { task, retry_number } => {
                if let Some(task) = self.attempt(task, retry_number) {
                    self.began(task, turn);
                }
            }
            Event::OperationSucceeded { task, retry_number, result } => {
                if let Some(task) = self.attempt(task, retry_number) {
                    self.succeeded(task, &result, turn);
                }
            }
            Event::OperationFailed { task, retry_number, error } => {
                if let Some(task) = self.attempt(task, retry_number) {
                    self.failed(task, &error, turn);
                }
            }
            // A clock that runs fast wakes too early: it is asked again.
            Event::Woken => self.wake = None,
            Event::Cancel(mode) => self.cancel(mode, turn),
        }
    }

    /// Sends what is out once more, and forgets what was wished for.
    fn pick_up(&mut self, turn: &mut Turn) {
        self.wake = None;
        for task in &self.running {
            self.dispatch_again(*task, turn);
        }
    }

    /// The task whose attempt this is, if it is out.
    fn attempt(&self, number: TaskNumber, retry_number: u32) -> Option<TaskIx> {
        let task = self.graph.find(number)?;
        let is_it = self.graph.call(task)?.retry_number == retry_number;
        (is_it && self.running.contains(&task)).then_some(task)
    }

    fn cancel(&mut self, mode: CancelMode, turn: &mut Turn) {
        if self.cancelling.is_some_and(|earlier| earlier.as_str() == mode.as_str()) {
            return;
        }
        self.cancelling = Some(mode);
        self.close(turn);
        match mode {
            CancelMode::Cancel => {}
            CancelMode::Force => self.finish_cancelled(turn),
            CancelMode::Kill => {
                self.killed_by = Some(turn::later(turn.now, self.settings.kill_grace));
                for task in &self.running {
                    let call = self.graph.call(*task).expect("only operations run");
                    let task = self.graph.task(*task).number;
                    let retry_number = call.retry_number;
                    turn.effects.push(Effect::CancelOperation { task, retry_number });
                }
            }
        }
    }

    /// Builds the next phase and puts what waits for nothing on the worklist.
    fn build(&mut self, last: Result<(), String>) -> Result<Next, Refusal> {
        let first = self.graph.len();
        let noted = std::mem::take(&mut self.noted);
        let past = Past { phase: self.phase, last, noted };
        let mut site = Site { graph: &mut self.graph, world: &self.world };
        let next = self.workflow.phase(past, &mut site)?;
        if let Some(instances) = self.graph.cycle(first) {
            let id = |instance| self.world.instance(instance).id.clone();
            return Err(Refusal::Cycle {
                workflow: self.name.clone(),
                instances: instances.into_iter().map(id).collect(),
            });
        }
        let free: Vec<TaskIx> = self
            .graph
            .since(first)
            .filter(|(_, task)| task.waits_for == 0)
            .map(|(task, _)| task)
            .collect();
        self.worklist.extend(free);
        Ok(next)
    }

    fn dry(&self) -> &'static str {
        if self.settings.dry_run { " (dry run)" } else { "" }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

//! What holds for every deployment, every run of luck and every crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use proptest::prelude::*;
use serde_json::{Value, json};
use waggoner_types::{
    CancelMode, ErrorKind, ExecutionStatus,
    plan::{InstanceState, Plan},
};

use crate::{
    Dispatch, Effect, Event, Modification, Resume, Start, TaskState,
    testkit::{ALL, Act, PlanBuilder, Sim, start},
};

/// A deployment and what is done with it.
#[derive(Clone, Debug)]
struct Case {
    plan: Arc<Plan>,
    start: Start,
    /// Decides what attempts do.
    seed: u64,
    /// Of a hundred attempts so many fail.
    failing: u64,
}

const WORKFLOWS: &[(&str, &str)] = &[
    ("install", "{}"),
    ("uninstall", "{}"),
    ("uninstall", r#"{"ignore_failure": true}"#),
    ("reinstall", "{}"),
    ("restart", r#"{"run_by_dependency_order": true}"#),
    ("check_status", r#"{"run_by_dependency_order": true, "ignore_failure": true}"#),
    ("check_drift", "{}"),
    ("heal", "{}"),
    ("heal", r#"{"node_instance_id": "n0_1", "ignore_failure": false}"#),
    ("rollback", r#"{"full_rollback": true}"#),
    ("scale", r#"{"scalable_entity_name": "n0", "delta": 1}"#),
    ("scale", r#"{"scalable_entity_name": "n0", "delta": -1}"#),
    (
        "execute_operation",
        r#"{"operation": "cloudify.interfaces.lifecycle.create", "run_by_dependency_order": true}"#,
    ),
];

/// Operations apart from the lifecycle's own.
const MORE: &[&str] = &["heal", "check_drift", "cloudify.interfaces.validation.check_status"];

fn plans() -> impl Strategy<Value = Arc<Plan>> {
    // Per node: its operations, and of the nodes before it those it is related to.
    let node = (
        prop::sample::subsequence([ALL, MORE].concat(), 0..=ALL.len() + MORE.len()),
        prop::collection::vec(any::<bool>(), 7),
    );
    prop::collection::vec(node, 1..8).prop_map(|nodes| {
        let mut builder = PlanBuilder::default();
        for (at, (operations, related)) in nodes.iter().enumerate() {
            // `execute_operation` wants the operation to be known somewhere.
            let operations: &[&str] = if at == 0 { ALL } else { operations };
            builder = builder.node(&format!("n{at}"), operations);
            for (target, _) in related[..at].iter().enumerate().filter(|(_, related)| **related) {
                let target = format!("n{target}");
                builder = builder.related(
                    &target,
                    "depends_on",
                    &["preconfigure", "unlink", "check_drift"],
                );
            }
        }
        builder.build()
    })
}

fn cases() -> impl Strategy<Value = Case> {
    let states = prop::collection::vec(
        prop::sample::select(vec![
            InstanceState::Uninitialized,
            InstanceState::Creating,
            InstanceState::Configured,
            InstanceState::Started,
            InstanceState::Deleted,
        ]),
        8,
    );
    (
        plans(),
        prop::sample::select(WORKFLOWS),
        states,
        any::<u64>(),
        prop::sample::select(vec![0, 0, 5, 30]),
        0..3_i64,
        prop::sample::select(vec![1, 2, 256]),
    )
        .prop_map(|(plan, (workflow, parameters), states, seed, failing, lives, most)| {
            let parameters: Value = serde_json::from_str(parameters).unwrap();
            let mut start = start(workflow, &plan, parameters);
            for (instance, state) in start.instances.iter_mut().zip(states) {
                instance.state = state;
            }
            start.modification = Some(Modification {
                added: vec!["n0_1".to_owned()],
                removed: vec!["n0_1".to_owned()],
            });
            start.settings.subgraph_retries = lives;
            start.settings.max_in_flight = most;
            Case { plan, start, seed, failing }
        })
}

impl Case {
    fn sim(&self) -> Sim {
        Sim::new(&self.plan, self.start.clone()).unwrap()
    }

    /// What an attempt does depends on nothing but which one it is.
    fn act(&self, dispatch: &Dispatch) -> Act {
        let mut hasher = DefaultHasher::new();
        (self.seed, dispatch.task, dispatch.retry_number).hash(&mut hasher);
        let luck = hasher.finish();
        if luck % 100 >= self.failing {
            return Act::Succeed(json!(true));
        }
        Act::Fail(match luck / 100 % 3 {
            0 => ErrorKind::Recoverable,
            1 => ErrorKind::NonRecoverable,
            _ => ErrorKind::Retry,
        })
    }

    /// Ends the attempt of the lowest task, or lets time pass.
    fn next(&self, sim: &mut Sim) {
        let lowest = (0..sim.out.len()).min_by_key(|at| sim.out[*at].task);
        match lowest {
            Some(at) => {
                let act = self.act(&sim.out[at]);
                sim.settle(at, act);
            }
            None => sim.sleep(),
        }
    }

    fn targets(&self) -> BTreeMap<&str, Vec<&str>> {
        let instances = self.plan.node_instances.iter();
        instances
            .map(|instance| {
                let targets = instance.relationships.iter().map(|r| r.target_id.as_str());
                (instance.id.as_str(), targets.collect())
            })
            .collect()
    }
}

/// An execution that takes more steps than this does not end.
const ENDLESS: usize = 5_000;

proptest! {
    /// No operation of an instance starts before the instances it waits for are there, or gone.
    #[test]
    fn nothing_starts_before_what_it_depends_on(case in cases()) {
        let targets = case.targets();
        let mut sim = case.sim();
        let mut seen = 0;
        while sim.finish.is_none() {
            for effect in &sim.effects[seen..] {
                let Effect::Dispatch(dispatch) = effect else { continue };
                if dispatch.relationship.is_some() {
                    continue;
                }
                let own = dispatch.instance.as_str();
                match case.start.workflow.as_str() {
                    "install" => for target in &targets[own] {
                        prop_assert_eq!(sim.states[*target], InstanceState::Started);
                    },
                    "uninstall" => for (source, targets) in &targets {
                        if targets.contains(&own) {
                            prop_assert_eq!(sim.states[*source], InstanceState::Deleted);
                        }
                    },
                    _ => {}
                }
            }
            seen = sim.effects.len();
            case.next(&mut sim);
        }
    }

    /// Every execution that is accepted ends, and as its operations did.
    #[test]
    fn every_execution_ends(case in cases()) {
        let mut sim = case.sim();
        for _ in 0..ENDLESS {
            if sim.finish.is_some() {
                break;
            }
            case.next(&mut sim);
        }
        let finish = sim.finish.clone().expect("it has ended");
        prop_assert!(sim.out.is_empty() && sim.execution.is_over());
        if case.failing == 0 {
            prop_assert_eq!(finish.status, ExecutionStatus::Terminated);
            let end = match case.start.workflow.as_str() {
                "install" | "reinstall" => Some(InstanceState::Started),
                "uninstall" => Some(InstanceState::Deleted),
                _ => None,
            };
            for state in sim.states.values() {
                prop_assert!(end.is_none_or(|end| end == *state));
            }
        }
    }

    /// After a cancel nothing is sent, and the execution ends when what was out is back.
    #[test]
    fn cancel_always_wins(case in cases(), after in 0_usize..20, mode in 0_usize..3) {
        let mode = [CancelMode::Cancel, CancelMode::Force, CancelMode::Kill][mode];
        let mut sim = case.sim();
        for _ in 0..after {
            if sim.finish.is_none() {
                case.next(&mut sim);
            }
        }
        if sim.finish.is_none() {
            let sent = sim.calls.len();
            sim.step(Event::Cancel(mode));
            while sim.finish.is_none() {
                prop_assert!(!sim.out.is_empty(), "it waits for nothing");
                case.next(&mut sim);
            }
            prop_assert_eq!(sim.calls.len(), sent);
            prop_assert_eq!(sim.finish.unwrap().status, ExecutionStatus::Cancelled);
        }
    }

    /// No attempt is dispatched twice, and reports that come twice change nothing.
    #[test]
    fn no_effect_comes_twice(case in cases()) {
        let mut sim = case.sim();
        while sim.finish.is_none() {
            let Some(dispatch) = sim.out.front().cloned() else {
                sim.sleep();
                continue;
            };
            let act = case.act(&dispatch);
            sim.settle(0, act);
            let before = sim.effects.len();
            let (task, retry_number) = (dispatch.task, dispatch.retry_number);
            sim.step(Event::OperationSucceeded { task, retry_number, result: Value::Null });
            sim.step(Event::OperationStarted { task, retry_number });
            prop_assert_eq!(sim.effects.len(), before);
        }
        let mut attempts = BTreeSet::new();
        for effect in &sim.effects {
            if let Effect::Dispatch(dispatch) = effect {
                prop_assert!(attempts.insert((dispatch.task, dispatch.retry_number)));
            }
        }
    }

    /// An execution that failed or was cancelled, and goes on, comes to its end; what was done
    /// is not done again, and a crash on the way changes nothing.
    #[test]
    fn a_resumed_execution_comes_to_its_end(
        mut case in cases(),
        cancel in prop::option::of((0_usize..20, any::<bool>())),
        force in any::<bool>(),
        crash in 0_usize..10,
    ) {
        let mut sim = case.sim();
        let mut steps = 0;
        while sim.finish.is_none() {
            match cancel {
                Some((at, softly)) if at == steps => {
                    let mode = if softly { CancelMode::Cancel } else { CancelMode::Force };
                    sim.step(Event::Cancel(mode));
                }
                _ => case.next(&mut sim),
            }
            steps += 1;
        }
        let resume = if force { Resume::Force } else { Resume::Unfinished };
        let status = sim.finish.clone().unwrap().status;
        if status == ExecutionStatus::Terminated {
            return Ok(());
        }
        if let Err(refusal) = sim.resume(resume) {
            // Its modification was taken back.
            prop_assert_eq!(case.start.workflow, "scale", "{}", refusal);
            return Ok(());
        }
        case.failing = 0;
        let done: Vec<_> = sim.rows.values().filter(|row| row.state.is_end()).cloned().collect();
        for step in 0..ENDLESS {
            if sim.finish.is_some() {
                break;
            }
            if step == crash {
                sim.crash();
            }
            case.next(&mut sim);
        }
        prop_assert_eq!(sim.finish.clone().unwrap().status, ExecutionStatus::Terminated);
        if let "install" | "reinstall" = case.start.workflow.as_str() {
            prop_assert!(sim.states.values().all(|state| *state == InstanceState::Started));
        }
        for row in done {
            if row.state == TaskState::Succeeded {
                prop_assert_eq!(&sim.rows[&row.task], &row);
            }
        }
        let mut attempts = BTreeSet::new();
        for effect in &sim.effects {
            if let Effect::Dispatch(dispatch) = effect {
                let is_new = attempts.insert((dispatch.task, dispatch.retry_number));
                prop_assert!(is_new || dispatch.again);
            }
        }
    }

    /// An execution whose manager crashes at any steps does what an undisturbed one does.
    #[test]
    fn a_restored_execution_goes_on_as_if_nothing_had_been(
        mut case in cases(),
        crashes in prop::collection::vec(any::<bool>(), 30),
    ) {
        // With a limit the order of the queue is luck, and with failures luck would decide.
        if case.failing > 0 {
            case.start.settings.max_in_flight = 256;
        }
        let is_ordered = case.start.settings.max_in_flight == 256;
        let mut quiet = case.sim();
        let mut crashed = case.sim();
        for step in 0..ENDLESS {
            if quiet.finish.is_some() {
                break;
            }
            if crashes[step % crashes.len()] {
                crashed.crash();
            }
            case.next(&mut quiet);
            case.next(&mut crashed);
            if is_ordered {
                prop_assert!(quiet.rows.keys().eq(crashed.rows.keys()));
            }
        }
        prop_assert_eq!(&quiet.finish, &crashed.finish);
        prop_assert_eq!(&quiet.states, &crashed.states);
        prop_assert_eq!(sorted(&quiet.calls), sorted(&crashed.calls));
        prop_assert_eq!(sorted(&quiet.told), sorted(&crashed.told));
        prop_assert_eq!(&quiet.rows, &crashed.rows);
    }
}

fn sorted(lines: &[String]) -> Vec<&String> {
    let mut lines: Vec<&String> = lines.iter().collect();
    lines.sort();
    lines
}

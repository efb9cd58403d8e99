use jiff::tz::TimeZone;

use super::*;

fn event(event_type: &str, operation: &str) -> Event {
    Event {
        event_type: event_type.to_owned(),
        message: event_type.to_owned(),
        node_instance_id: "web_1".to_owned(),
        operation: format!("cloudify.interfaces.lifecycle.{operation}"),
        ..Event::default()
    }
}

fn log(operation: &str, message: &str) -> Event {
    Event {
        message: message.to_owned(),
        level: "info".to_owned(),
        attempt_id: "a-1".to_owned(),
        ..event("", operation)
    }
}

/// Applies events, and returns how many lines each was worth.
fn worth(board: &mut Board, events: &[Event]) -> Vec<usize> {
    let clock = Clock::new(TimeZone::UTC);
    events.iter().map(|event| board.apply(event, &clock).len()).collect()
}

fn only(board: &Board) -> Row {
    board.rows()[0].clone()
}

#[test]
fn a_row_follows_the_operations_of_its_node_instance() {
    let mut board = Board::new(true, false);
    worth(&mut board, &[event("task_started", "create"), event("task_started", "poll")]);
    assert_eq!(only(&board).operations, ["create", "poll"]);
    worth(&mut board, &[event("task_rescheduled", "create")]);
    assert_eq!(only(&board).operations, ["poll"]);
    worth(&mut board, &[event("task_failed", "poll")]);
    assert!(only(&board).has_failed && only(&board).operations.is_empty());
    worth(&mut board, &[event("task_started", "poll"), event("task_succeeded", "poll")]);
    assert!(!only(&board).has_failed, "a retry that went well makes good");
}

#[test]
fn of_many_node_instances_only_those_at_work_are_shown() {
    let mut board = Board::new(true, false);
    let node_instance = |n: usize| NodeInstance { id: n.to_string(), ..NodeInstance::default() };
    board.states(&(0..ROWS).map(node_instance).collect::<Vec<_>>());
    assert_eq!(board.rows().len(), ROWS);
    worth(&mut board, &[event("task_started", "create")]);
    assert_eq!(board.rows().len(), 1);
    worth(&mut board, &[event("task_succeeded", "create")]);
    assert!(board.rows().is_empty());
}

#[test]
fn where_rows_are_redrawn_only_failures_are_worth_a_line() {
    let events = ["workflow_started", "task_started", "task_succeeded", "workflow_succeeded"];
    let events = events.map(|event_type| event(event_type, "create"));
    assert_eq!(worth(&mut Board::new(true, false), &events), [0, 0, 0, 0]);
    assert_eq!(worth(&mut Board::new(false, false), &events), [1, 1, 1, 1]);
    let failed = [event("task_failed", "create"), event("workflow_failed", "")];
    assert_eq!(worth(&mut Board::new(true, false), &failed), [1, 0]);
}

#[test]
fn a_failure_shows_the_last_lines_of_its_own_operation() {
    let mut board = Board::new(false, false);
    let mut events: Vec<_> = (0..30).map(|n| log("create", &format!("line {n}"))).collect();
    events.push(log("other", "not this one"));
    worth(&mut board, &events);
    let clock = Clock::new(TimeZone::UTC);
    let lines = board.apply(&event("task_failed", "create"), &clock);
    assert_eq!(lines.len(), 1 + TAIL);
    assert!(lines[1].ends_with("line 20") && lines[TAIL].ends_with("line 29"), "{lines:?}");
}

#[test]
fn log_lines_that_were_shown_are_not_shown_again() {
    let mut board = Board::new(false, true);
    assert_eq!(worth(&mut board, &[log("create", "once")]), [1]);
    assert_eq!(worth(&mut board, &[event("task_failed", "create")]), [1]);
}

#[test]
fn operations_without_end_cost_no_more_than_their_bound() {
    let mut board = Board::new(false, false);
    let events: Vec<_> = (0..TAILS * 4).map(|n| log(&n.to_string(), "x")).collect();
    worth(&mut board, &events);
    assert_eq!(board.tails.len(), TAILS);
}

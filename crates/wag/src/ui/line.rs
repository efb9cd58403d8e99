//! One event, one line.

use owo_colors::OwoColorize as _;
use serde_json::Value;
use waggoner_proto::v1::Event;

use super::Clock;

/// Shows an event or a log line, with what led to a failure below.
///
/// `11:05:03.123 [web_1a2b.create] Task started 'web.tasks.create'`
pub(crate) fn event_line(event: &Event, clock: &Clock) -> String {
    let time = clock.moment(event.time.as_ref());
    let place = place(event);
    let message = printable(event.message.trim_end());
    let level = format!("{}:", event.level);
    let what = match event.level.as_str() {
        "" if is_failure(event) => message.red().to_string(),
        "" => message.bold().to_string(),
        "error" | "critical" => format!("{} {message}", level.red()),
        "warning" => format!("{} {message}", level.yellow()),
        _ => format!("{} {message}", level.dimmed()),
    };
    let mut line = format!("{} [{}] {what}", time.dimmed(), place.cyan());
    for cause in causes(event) {
        line.push_str("\n    ");
        line.push_str(&cause);
    }
    line
}

/// Whether the event tells of a failure.
pub(super) fn is_failure(event: &Event) -> bool {
    matches!(event.event_type.as_str(), "task_failed" | "workflow_failed")
}

/// What led to a failure, outermost first: a line each.
pub(super) fn causes(event: &Event) -> Vec<String> {
    let causes: Vec<Value> = serde_json::from_str(&event.causes_json).unwrap_or_default();
    let text = |cause: &Value, name| {
        cause.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let line =
        |cause: &Value| printable(&format!("{}: {}", text(cause, "type"), text(cause, "message")));
    causes.iter().map(line).collect()
}

/// The last part of an operation's name: `create` of `cloudify.interfaces.lifecycle.create`.
pub(super) fn short(operation: &str) -> &str {
    operation.rsplit('.').next().unwrap_or(operation)
}

/// Text that cannot steer a terminal: control characters become visible, line ends become `⏎`.
pub(crate) fn printable(text: &str) -> String {
    let visible = |c: char| match c {
        '\n' => '⏎',
        '\t' => ' ',
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('·'),
        '\u{7f}'..='\u{9f}' => '·',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(visible).collect()
}

fn place(event: &Event) -> String {
    let who = match (event.node_instance_id.as_str(), event.target_id.as_str()) {
        ("", _) if event.workflow_id.is_empty() => event.deployment_id.clone(),
        ("", _) => event.workflow_id.clone(),
        (source, "") => source.to_owned(),
        (source, target) => format!("{source}->{target}"),
    };
    match short(&event.operation) {
        "" => who,
        operation => format!("{who}.{operation}"),
    }
}

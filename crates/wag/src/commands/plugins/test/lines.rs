//! Records as the lines that people see.
//!
//! The stock dispatcher prints each failure a second time (`cloudify/dispatch.py`, `main`), also that
//! an operation asks to be run again. That is left out: it is told where the operation's end is.

use jiff::Timestamp;
use waggoner_proto::v1::Event;
use waggoner_types::{Body, Outcome, OutputStream, Record, output_lines};

/// Makes events of records; of what a process prints, one for each line.
#[derive(Debug)]
pub(super) struct Lines {
    operation: String,
    /// The line with which the dispatcher begins to tell of a failure ends so.
    raised: String,
    /// What came from that line on.
    held: Option<Vec<Event>>,
    /// What was printed since the last end of a line, of either stream.
    begun: [Vec<u8>; 2],
    /// When something was printed last.
    last: Timestamp,
}

/// The node instance that the operation is about, to people.
const WHO: &str = "node";

// === impl Lines ===

impl Lines {
    /// Lines of one attempt at an operation: its function, the attempt's id, its name.
    pub(super) fn new(function: &str, attempt: &str, operation: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            raised: format!("ERROR: Task {function}[{attempt}] raised:"),
            held: None,
            begun: [Vec::new(), Vec::new()],
            last: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn take(&mut self, record: Record) -> Vec<Event> {
        let Record { sequence: _, time, body } = record;
        match body {
            Body::Log { level, logger, message } => {
                vec![Event {
                    level: level.as_str().to_owned(),
                    logger,
                    ..self.event(time, message)
                }]
            }
            Body::Event { event_type, message } => {
                vec![Event { event_type, ..self.event(time, message) }]
            }
            Body::Output { stream, data, lines: true, .. } => {
                let level = "info".to_owned();
                let lines = output_lines(stream, &data);
                lines.map(|line| Event { level: level.clone(), ..self.event(time, line) }).collect()
            }
            Body::Output { stream, data, lines: false, .. } => {
                self.last = time;
                let begun = &mut self.begun[place(stream)];
                begun.extend(data);
                let whole = begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let rest = begun.split_off(whole);
                let whole = std::mem::replace(begun, rest);
                self.printed(stream, &whole, time)
            }
            Body::Gap { from, to, reason, .. } => {
                let bytes = to.saturating_sub(from);
                let message = format!("{bytes} bytes of output were not kept: {reason}");
                vec![Event { level: "warning".to_owned(), ..self.event(time, message) }]
            }
            Body::Lost { reason, .. } if !reason.is_empty() => {
                let message = format!("records of the operation are lost: {reason}");
                vec![Event { level: "warning".to_owned(), ..self.event(time, message) }]
            }
            Body::ProcessStarted { .. } | Body::Lost { .. } | Body::Outcome(_) => Vec::new(),
        }
    }

    /// What is left when the operation has ended so: what was printed without an end of its line.
    pub(super) fn rest(&mut self, outcome: &Outcome) -> Vec<Event> {
        let mut rest = Vec::new();
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let begun = std::mem::take(&mut self.begun[place(stream)]);
            rest.extend(self.printed(stream, &begun, self.last));
        }
        let Some(mut held) = self.held.take() else { return rest };
        let traceback = outcome.result.as_ref().err().map_or("", |error| &error.traceback);
        held.retain(|event| {
            let line = event.message.as_str();
            let is_told =
                line.is_empty() || line == "None" || traceback.lines().any(|of| of == line);
            !is_told && !line.ends_with(&self.raised)
        });
        held.extend(rest);
        held
    }

    fn printed(&mut self, stream: OutputStream, data: &[u8], time: Timestamp) -> Vec<Event> {
        let mut shown = Vec::new();
        for line in String::from_utf8_lossy(data).lines() {
            let level = match stream {
                OutputStream::Stdout => "stdout",
                OutputStream::Stderr => "stderr",
            };
            let event = Event { level: level.to_owned(), ..self.event(time, line.to_owned()) };
            match (&mut self.held, stream) {
                (Some(held), OutputStream::Stdout) => held.push(event),
                (none, OutputStream::Stdout) if line.ends_with(&self.raised) => {
                    *none = Some(vec![event]);
                }
                _ => shown.push(event),
            }
        }
        shown
    }

    fn event(&self, time: Timestamp, message: String) -> Event {
        Event {
            time: Some(waggoner_wire::timestamp(time)),
            message,
            node_instance_id: WHO.to_owned(),
            operation: self.operation.clone(),
            ..Event::default()
        }
    }
}

fn place(stream: OutputStream) -> usize {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use waggoner_types::OperationError;

    use super::*;

    fn output(stream: OutputStream, data: &str) -> Record {
        let (data, offset, lines) = (data.as_bytes().to_vec(), 0, false);
        let body = Body::Output { stream, offset, lines, data };
        Record { sequence: 1, time: Timestamp::UNIX_EPOCH, body }
    }

    fn said(pieces: &[(OutputStream, &str)], result: Result<Value, OperationError>) -> Vec<String> {
        let mut lines = Lines::new("a.tasks.create", "id", "interface.create");
        let mut events = Vec::new();
        for (stream, data) in pieces {
            events.extend(lines.take(output(*stream, data)));
        }
        events.extend(lines.rest(&Outcome { result, exit: None }));
        events.iter().map(|event| format!("{} {}", event.level, event.message)).collect()
    }

    #[test]
    fn what_is_printed_in_pieces_is_shown_line_by_line() {
        use OutputStream::{Stderr, Stdout};
        let pieces = [(Stdout, "one\ntw"), (Stderr, "bad"), (Stdout, "o\n"), (Stdout, "three")];
        assert_eq!(
            said(&pieces, Ok(Value::Null)),
            ["stdout one", "stdout two", "stdout three", "stderr bad"]
        );
    }

    #[test]
    fn what_the_dispatcher_repeats_is_left_out_and_nothing_else() {
        use OutputStream::{Stderr, Stdout};
        let mut error = OperationError::recoverable("no");
        error.traceback = "Traceback:\n  File \"a.py\"\n\nAgain:\nError: no\n".to_owned();
        let printed = format!(
            "mine\n2026-11-22 17:25:40,702:ERROR: Task a.tasks.create[id] raised:\n{}\nat exit\n",
            error.traceback
        );
        let pieces = [(Stdout, printed.as_str()), (Stderr, "meanwhile\n")];
        assert_eq!(
            said(&pieces, Err(error)),
            ["stdout mine", "stderr meanwhile", "stdout at exit"]
        );
    }
}

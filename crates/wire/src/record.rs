//! Records and outcomes.

use std::mem::take;

use serde_json::Value;
use waggoner_proto::agent::v1 as pb;
use waggoner_types::{
    Body, ErrorKind, Exit, LogLevel, OperationError, Outcome, OutputStream, Record,
};

use crate::{
    refusal::{At, Refused},
    time::{duration, from_duration, from_timestamp, timestamp},
};

/// The message of a record.
pub fn to_record(record: Record) -> pb::Record {
    let Record { sequence, time, body } = record;
    pb::Record { sequence, time: Some(timestamp(time)), body: Some(to_body(body)), chain: 0 }
}

/// The bytes by which a record is kept and digested: its message without sequence and chain.
pub fn payload(message: &pb::Record) -> Vec<u8> {
    use prost::Message as _;
    let bare = pb::Record { sequence: 0, chain: 0, ..message.clone() };
    bare.encode_to_vec()
}

/// The digest of a record that continues those up to `previous`, as [`chain`] of its [`payload`].
/// The message is as before when this returns. Of a record that is lost only its sender can tell.
pub fn chained(previous: u64, message: &mut pb::Record) -> u64 {
    use prost::Message as _;
    if let Some(pb::record::Body::Lost(_)) = message.body {
        return message.chain;
    }
    let place = (take(&mut message.sequence), take(&mut message.chain));
    let digest = chain(previous, &message.encode_to_vec());
    (message.sequence, message.chain) = place;
    digest
}

/// The digest of a record's [`payload`] and of all records before it (`Record.chain`).
pub fn chain(previous: u64, payload: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(payload, previous)
}

/// The record of a message.
pub fn from_record(message: pb::Record) -> Result<Record, Refused> {
    let pb::Record { sequence, time, body, chain: _ } = message;
    if sequence == 0 {
        return Err(Refused::field("record.sequence", "records are counted from 1"));
    }
    Ok(Record {
        sequence,
        time: from_timestamp(time.ok_or_else(|| Refused::missing("record.time"))?)?,
        body: from_body(body.ok_or_else(|| Refused::missing("record.body"))?)?,
    })
}

fn to_body(body: Body) -> pb::record::Body {
    use pb::record::Body as Message;
    match body {
        Body::ProcessStarted { pid } => Message::ProcessStarted(pb::ProcessStarted { pid }),
        Body::Output { stream, offset, lines, data } => Message::Output(pb::Output {
            stream: to_stream(stream),
            data: data.into(),
            offset,
            lines,
        }),
        Body::Gap { stream, from, to, reason } => {
            Message::Gap(pb::Gap { stream: to_stream(stream), from, to, reason })
        }
        Body::Lost { first, reason } => Message::Lost(pb::Lost { first, reason }),
        Body::Log { level, logger, message } => {
            Message::Log(pb::Log { level: level.to_string(), logger, message })
        }
        Body::Event { event_type, message } => Message::Event(pb::Event { event_type, message }),
        Body::Outcome(outcome) => Message::Outcome(to_outcome(outcome)),
    }
}

fn from_body(body: pb::record::Body) -> Result<Body, Refused> {
    use pb::record::Body as Message;
    Ok(match body {
        Message::ProcessStarted(pb::ProcessStarted { pid }) => Body::ProcessStarted { pid },
        Message::Output(pb::Output { stream, data, offset, lines }) => {
            let stream = from_stream(stream, "record.output.stream")?;
            Body::Output { stream, offset, lines, data: data.into() }
        }
        Message::Gap(pb::Gap { stream, from, to, reason }) => {
            Body::Gap { stream: from_stream(stream, "record.gap.stream")?, from, to, reason }
        }
        Message::Lost(pb::Lost { first, reason }) => Body::Lost { first, reason },
        Message::Log(pb::Log { level, logger, message }) => {
            // A level that this side does not know is no reason to lose the line.
            Body::Log { level: level.parse().unwrap_or(LogLevel::Info), logger, message }
        }
        Message::Event(pb::Event { event_type, message }) => Body::Event { event_type, message },
        Message::Outcome(outcome) => Body::Outcome(from_outcome(outcome)?),
    })
}

fn to_stream(stream: OutputStream) -> i32 {
    match stream {
        OutputStream::Stdout => pb::OutputStream::Stdout.into(),
        OutputStream::Stderr => pb::OutputStream::Stderr.into(),
    }
}

fn from_stream(stream: i32, field: &'static str) -> Result<OutputStream, Refused> {
    match pb::OutputStream::try_from(stream) {
        Ok(pb::OutputStream::Stdout) => Ok(OutputStream::Stdout),
        Ok(pb::OutputStream::Stderr) => Ok(OutputStream::Stderr),
        Ok(pb::OutputStream::Unspecified) | Err(_) => Err(Refused::field(field, "no such stream")),
    }
}

fn to_outcome(outcome: Outcome) -> pb::Outcome {
    let Outcome { result, exit } = outcome;
    let result = match result {
        Ok(value) => pb::outcome::Outcome::ResultJson(value.to_string()),
        Err(error) => pb::outcome::Outcome::Error(to_error(error)),
    };
    pb::Outcome { outcome: Some(result), exit: exit.map(to_exit) }
}

fn from_outcome(message: pb::Outcome) -> Result<Outcome, Refused> {
    let pb::Outcome { outcome, exit } = message;
    let result = match outcome.ok_or_else(|| Refused::missing("record.outcome.outcome"))? {
        pb::outcome::Outcome::ResultJson(json) => {
            Ok(serde_json::from_str(&json).at("record.outcome.result_json")?)
        }
        pb::outcome::Outcome::Error(error) => Err(from_error(error)?),
    };
    Ok(Outcome { result, exit: exit.map(from_exit).transpose()? })
}

fn to_error(error: OperationError) -> pb::OperationError {
    let OperationError { kind, exception_type, message, retry_after, traceback, causes } = error;
    let kind = match kind {
        ErrorKind::Recoverable => pb::ErrorKind::Recoverable,
        ErrorKind::NonRecoverable => pb::ErrorKind::NonRecoverable,
        ErrorKind::Retry => pb::ErrorKind::Retry,
        ErrorKind::Cancelled => pb::ErrorKind::Cancelled,
    };
    pb::OperationError {
        kind: kind.into(),
        r#type: exception_type,
        message,
        retry_after: retry_after.map(duration),
        traceback,
        causes_json: Value::Array(causes).to_string(),
    }
}

fn from_error(message: pb::OperationError) -> Result<OperationError, Refused> {
    let pb::OperationError { kind, r#type, message, retry_after, traceback, causes_json } = message;
    let kind = match pb::ErrorKind::try_from(kind) {
        Ok(pb::ErrorKind::Recoverable) => ErrorKind::Recoverable,
        Ok(pb::ErrorKind::NonRecoverable) => ErrorKind::NonRecoverable,
        Ok(pb::ErrorKind::Retry) => ErrorKind::Retry,
        Ok(pb::ErrorKind::Cancelled) => ErrorKind::Cancelled,
        Ok(pb::ErrorKind::Unspecified) | Err(_) => {
            return Err(Refused::field("record.outcome.error.kind", "no such kind"));
        }
    };
    let causes = match causes_json.as_str() {
        "" => Vec::new(),
        json => serde_json::from_str(json).at("record.outcome.error.causes_json")?,
    };
    Ok(OperationError {
        kind,
        exception_type: r#type,
        message,
        retry_after: retry_after.map(from_duration).transpose()?,
        traceback,
        causes,
    })
}

/// The message of how a process ended.
pub fn to_exit(exit: Exit) -> pb::Exit {
    let (cause, code, signal) = match exit {
        Exit::Code(code) => (pb::ExitCause::Exited, code, 0),
        Exit::Signal(signal) => (pb::ExitCause::Signalled, 0, signal),
        Exit::TimedOut => (pb::ExitCause::TimedOut, 0, 0),
        Exit::Cancelled => (pb::ExitCause::Cancelled, 0, 0),
        Exit::Idle => (pb::ExitCause::Idle, 0, 0),
        Exit::Unlinked => (pb::ExitCause::Unlinked, 0, 0),
        Exit::OutOfMemory => (pb::ExitCause::OutOfMemory, 0, 0),
        Exit::HostRebooted => (pb::ExitCause::HostRebooted, 0, 0),
        Exit::Lost => (pb::ExitCause::Lost, 0, 0),
    };
    pb::Exit { cause: cause.into(), code, signal }
}

/// How a process ended, by its message.
pub fn from_exit(message: pb::Exit) -> Result<Exit, Refused> {
    let pb::Exit { cause, code, signal } = message;
    match pb::ExitCause::try_from(cause) {
        Ok(pb::ExitCause::Exited) => Ok(Exit::Code(code)),
        Ok(pb::ExitCause::Signalled) => Ok(Exit::Signal(signal)),
        Ok(pb::ExitCause::TimedOut) => Ok(Exit::TimedOut),
        Ok(pb::ExitCause::Cancelled) => Ok(Exit::Cancelled),
        Ok(pb::ExitCause::Idle) => Ok(Exit::Idle),
        Ok(pb::ExitCause::Unlinked) => Ok(Exit::Unlinked),
        Ok(pb::ExitCause::OutOfMemory) => Ok(Exit::OutOfMemory),
        Ok(pb::ExitCause::HostRebooted) => Ok(Exit::HostRebooted),
        Ok(pb::ExitCause::Lost) => Ok(Exit::Lost),
        Ok(pb::ExitCause::Unspecified) | Err(_) => {
            Err(Refused::field("record.outcome.exit.cause", "no such cause"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_record_comes_back_as_it_went() {
        let error = OperationError {
            retry_after: Some(Duration::from_millis(1500)),
            traceback: "Traceback".to_owned(),
            causes: vec![json!({"message": "m", "type": "T", "traceback": "t"})],
            ..OperationError::recoverable("no")
        };
        let exits = [
            Exit::Code(3),
            Exit::Signal(9),
            Exit::TimedOut,
            Exit::Cancelled,
            Exit::Idle,
            Exit::Unlinked,
            Exit::OutOfMemory,
            Exit::HostRebooted,
            Exit::Lost,
        ]
        .map(Some);
        let outcomes = exits.into_iter().chain([None]).flat_map(|exit| {
            [Ok(json!({"big": 9_007_199_254_740_993_i64})), Err(error.clone())]
                .map(|result| Body::Outcome(Outcome { result, exit }))
        });
        let bodies = [
            Body::ProcessStarted { pid: 7 },
            Body::Output {
                stream: OutputStream::Stderr,
                offset: 5,
                lines: true,
                data: vec![0, 255, 10],
            },
            Body::Gap { stream: OutputStream::Stdout, from: 1, to: 9, reason: "r".into() },
            Body::Lost { first: 1, reason: "r".into() },
            Body::Log { level: LogLevel::Error, logger: "l".into(), message: "m".into() },
            Body::Event { event_type: "plugin_event".into(), message: "m".into() },
        ];
        for body in bodies.into_iter().chain(outcomes) {
            let record = Record { sequence: 1, time: Timestamp::UNIX_EPOCH, body };
            assert_eq!(from_record(to_record(record.clone())).unwrap(), record);
        }
    }

    #[test]
    fn the_digest_of_a_lost_record_is_what_its_sender_says() {
        let body = Body::Lost { first: 1, reason: String::new() };
        let lost = to_record(Record { sequence: 1, time: Timestamp::UNIX_EPOCH, body });
        assert_eq!(chained(5, &mut pb::Record { chain: 9, ..lost }), 9);
    }

    #[test]
    fn a_record_without_its_parts_is_refused_by_name() {
        let whole = to_record(Record {
            sequence: 1,
            time: Timestamp::UNIX_EPOCH,
            body: Body::ProcessStarted { pid: 1 },
        });
        let refusal = |record| from_record(record).unwrap_err().to_string();
        assert_eq!(
            refusal(pb::Record { sequence: 0, ..whole.clone() }),
            "`record.sequence` cannot be taken: records are counted from 1"
        );
        assert_eq!(
            refusal(pb::Record { body: None, ..whole }),
            "`record.body` cannot be taken: the field is required"
        );
    }
}

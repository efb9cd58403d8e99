//! Words to messages and back. What leaves this module is believed.

use std::collections::BTreeMap;

use bytes::Bytes;
use waggoner_proto::supervisor::v1 as pb;
use waggoner_types::AttemptId;
use waggoner_wire::{duration, from_duration, from_exit, from_timestamp, timestamp, to_exit};

use crate::{
    refusal::Refused,
    words::{
        Attempt, CancelOrder, Exited, Greeting, Limits, Mode, Place, Process, Spawn, Tail, Warm,
        Written,
    },
};

/// The version of the protocol that is spoken here.
pub(crate) const PROTOCOL: u32 = 1;

pub(crate) fn from_id(id: &str) -> Result<AttemptId, Refused> {
    id.parse().map_err(Refused::invalid)
}

pub(crate) fn to_place(place: Place) -> pb::Place {
    pb::Place { segment: place.segment, offset: place.offset }
}

pub(crate) fn from_place(message: Option<pb::Place>) -> Place {
    let pb::Place { segment, offset } = message.unwrap_or_default();
    Place { segment, offset }
}

pub(crate) fn from_written(message: pb::Written) -> Written {
    let pb::Written { sequence, chain } = message;
    Written { sequence, chain }
}

pub(crate) fn from_greeting(message: pb::Greeting) -> Greeting {
    let pb::Greeting { protocol: _, version, pid, instance_id, boot_id, place, cgroups } = message;
    let place = from_place(place);
    Greeting { version, pid: pid.cast_signed(), instance_id, boot_id, place, cgroups }
}

pub(crate) fn to_spawn(attempt: AttemptId, spawn: &Spawn) -> pb::Spawn {
    let Limits { run, idle, unlinked, grace, linger } = spawn.limits;
    pb::Spawn {
        attempt_id: attempt.to_string(),
        program: spawn.program.to_string(),
        args: spawn.args.clone(),
        env: spawn.env.clone().into_iter().collect(),
        cwd: spawn.cwd.to_string(),
        stdout: to_mode(spawn.stdout),
        stderr: to_mode(spawn.stderr),
        run_timeout: run.map(duration),
        idle_timeout: idle.map(duration),
        unlinked_timeout: unlinked.map(duration),
        grace: Some(duration(grace)),
        linger: linger.map(duration),
        warm: spawn.warm.clone().map(to_warm),
    }
}

fn to_warm(warm: Warm) -> pb::Warm {
    let Warm { args, env, preload } = warm;
    pb::Warm { args, env: env.into_iter().collect(), preload: preload.unwrap_or_default() }
}

fn from_warm(message: pb::Warm) -> Warm {
    let pb::Warm { args, env, preload } = message;
    let preload = Some(preload).filter(|preload| !preload.is_empty());
    Warm { args, env: env.into_iter().collect(), preload }
}

pub(crate) fn from_spawn(message: pb::Spawn) -> Result<(AttemptId, Spawn), Refused> {
    let pb::Spawn {
        attempt_id,
        program,
        args,
        env,
        cwd,
        stdout,
        stderr,
        run_timeout,
        idle_timeout,
        unlinked_timeout,
        grace,
        linger,
        warm,
    } = message;
    let time = |given: Option<_>| {
        given.map(|given| from_duration(given).map_err(Refused::invalid)).transpose()
    };
    let limits = Limits {
        run: time(run_timeout)?,
        idle: time(idle_timeout)?,
        unlinked: time(unlinked_timeout)?,
        grace: time(grace)?.unwrap_or(Limits::default().grace),
        linger: time(linger)?,
    };
    let spawn = Spawn {
        program: program.into(),
        args,
        env: env.into_iter().collect(),
        cwd: cwd.into(),
        stdout: from_mode(stdout)?,
        stderr: from_mode(stderr)?,
        limits,
        warm: warm.map(from_warm),
    };
    Ok((from_id(&attempt_id)?, spawn))
}

fn to_mode(mode: Mode) -> i32 {
    let mode = match mode {
        Mode::Raw => pb::StreamMode::Raw,
        Mode::Lines => pb::StreamMode::Lines,
        Mode::Discard => pb::StreamMode::Discard,
    };
    mode.into()
}

fn from_mode(mode: i32) -> Result<Mode, Refused> {
    match pb::StreamMode::try_from(mode) {
        Ok(pb::StreamMode::Raw) => Ok(Mode::Raw),
        Ok(pb::StreamMode::Lines) => Ok(Mode::Lines),
        Ok(pb::StreamMode::Discard) => Ok(Mode::Discard),
        Ok(pb::StreamMode::Unspecified) | Err(_) => Err(Refused::invalid("no such stream mode")),
    }
}

pub(crate) fn to_exited(exited: &Exited) -> pb::Exited {
    let Exited { exit, stdout, stderr, cut, left, time } = exited;
    pb::Exited {
        exit: Some(to_exit(*exit)),
        stdout_tail: stdout.bytes.clone(),
        stderr_tail: stderr.bytes.clone(),
        stdout_bytes: stdout.written,
        stderr_bytes: stderr.written,
        cut: *cut,
        left_pids: left.iter().map(|pid| pid.unsigned_abs()).collect(),
        time: Some(timestamp(*time)),
    }
}

pub(crate) fn from_exited(message: pb::Exited) -> Result<Exited, Refused> {
    let pb::Exited {
        exit,
        stdout_tail,
        stderr_tail,
        stdout_bytes,
        stderr_bytes,
        cut,
        left_pids,
        time,
    } = message;
    Ok(Exited {
        exit: from_exit(exit.unwrap_or_default()).map_err(Refused::invalid)?,
        stdout: Tail { written: stdout_bytes, bytes: stdout_tail },
        stderr: Tail { written: stderr_bytes, bytes: stderr_tail },
        cut,
        left: left_pids.into_iter().map(u32::cast_signed).collect(),
        time: from_timestamp(time.unwrap_or_default()).map_err(Refused::invalid)?,
    })
}

pub(crate) fn from_attempt(message: pb::Attempt) -> Result<Attempt, Refused> {
    let pb::Attempt {
        attempt_id,
        epoch,
        start,
        birth,
        exited,
        cancel,
        notes,
        last,
        chain,
        acked,
        ended,
        forgotten,
        lost,
    } = message;
    let process = match birth.map(|birth| birth.pid) {
        None => Process::None,
        Some(None) => Process::Begun,
        Some(Some(pid)) => Process::Started { pid: pid.cast_signed() },
    };
    let cancel =
        cancel.map(|pb::Cancel { attempt_id: _, kill, reason }| CancelOrder { kill, reason });
    let notes =
        notes.into_iter().filter_map(|(slot, bytes)| Some((slot.try_into().ok()?, bytes.into())));
    let notes: BTreeMap<u8, Bytes> = notes.collect();
    Ok(Attempt {
        id: from_id(&attempt_id)?,
        epoch,
        start: start.into(),
        process,
        exited: exited.map(from_exited).transpose()?,
        cancel,
        notes,
        last,
        chain,
        acked,
        ended,
        forgotten,
        lost: lost.into_iter().map(|pb::Range { first, last }| first..=last).collect(),
    })
}

//! The methods of the logger, and the `%` of its messages.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use waggoner_types::LogLevel;

use super::{Halt, Outcome, object::LogMethod, signature::Signature};
use crate::{python, reply::Error};

/// Calls a method of `logging.Logger`.
pub(super) fn call(
    method: LogMethod,
    args: &[Value],
    kwargs: &Map<String, Value>,
) -> Result<Outcome, Halt> {
    let (name, level, required): (_, _, &'static [&'static str]) = match method {
        LogMethod::Debug => ("debug", LogLevel::Debug, &["msg"]),
        LogMethod::Info => ("info", LogLevel::Info, &["msg"]),
        LogMethod::Warning => ("warning", LogLevel::Warning, &["msg"]),
        LogMethod::Warn => ("warn", LogLevel::Warning, &["msg"]),
        LogMethod::Error => ("error", LogLevel::Error, &["msg"]),
        LogMethod::Exception => ("exception", LogLevel::Error, &["msg"]),
        LogMethod::Critical => ("critical", LogLevel::Critical, &["msg"]),
        LogMethod::Log => ("log", LogLevel::Info, &["level", "msg"]),
    };
    let named: Map<_, _> = required
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), kwargs.get(*name)?.clone())))
        .collect();
    let own = args.len().min(required.len());
    let signature = Signature::method("Logger", name, required, &[]);
    let [first, second] = signature.bind(&args[..own], named)?.take();
    let known = ["exc_info", "extra", "stack_info", "stacklevel"];
    let stranger = kwargs
        .keys()
        .find(|name| !known.contains(&name.as_str()) && !required.contains(&name.as_str()));
    if let Some(name) = stranger {
        let message = format!("Logger._log() got an unexpected keyword argument '{name}'");
        return Err(Error::type_error(message).into());
    }
    let (level, message) = match method {
        LogMethod::Log => (level_of(&first)?, second),
        _ => (level, first),
    };
    let message = python::text(&message);
    let values = &args[own..];
    let message = interpolate(&message, values).unwrap_or_else(|| {
        let words = values.iter().map(python::text);
        std::iter::once(message.clone()).chain(words).collect::<Vec<_>>().join(" ")
    });
    Ok(Outcome::Log { level, message })
}

/// Reads Python's number of a level.
fn level_of(level: &Value) -> Result<LogLevel, Error> {
    let level = level.as_i64().ok_or_else(|| Error::type_error("level must be an integer"))?;
    Ok(match level {
        ..20 => LogLevel::Debug,
        20..30 => LogLevel::Info,
        30..40 => LogLevel::Warning,
        40..50 => LogLevel::Error,
        50.. => LogLevel::Critical,
    })
}

/// Python's `message % values`, for the conversions that people log with. `None` means that they
/// do not fit. Without values the message stands as it is.
fn interpolate(message: &str, values: &[Value]) -> Option<String> {
    if values.is_empty() {
        return Some(message.to_owned());
    }
    let (mut out, mut values) = (String::new(), values.iter());
    let mut letters = message.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        match letters.next()? {
            '%' => out.push('%'),
            's' => out.push_str(&python::text(values.next()?)),
            'r' => out.push_str(&python::repr(values.next()?)),
            'd' | 'i' => out.push_str(&whole(values.next()?)?),
            'f' => write!(out, "{:.6}", number(values.next()?)?).ok()?,
            _ => return None,
        }
    }
    values.next().is_none().then_some(out)
}

fn whole(value: &Value) -> Option<String> {
    match value {
        Value::Bool(truth) => Some(u8::from(*truth).to_string()),
        Value::Number(number) if number.is_f64() => {
            Some(format!("{:.0}", number.as_f64()?.trunc()))
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        value => value.as_f64(),
    }
}

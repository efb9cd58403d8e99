//! What the manager knows, as people and programs see it: one shape and one row for each thing.
//!
//! A shape has the names of the message's fields; what is free (inputs, outputs, properties) is
//! JSON itself, under the name without `_json`. Every message is taken apart in full, so that a
//! new field does not stay unseen.

use prost_types::{Duration, Timestamp};
use serde_json::Value;

use crate::ui::Clock;

mod admin;
mod catalog;
mod changes;
mod local;
mod runs;
mod waits;

pub(crate) use self::{
    admin::{join_token, status, token_made},
    changes::{changed, changes},
    local::{PlannedNode, finding, told},
    runs::{event, is_ended, outcome, outputs},
    waits::explanation,
};

/// A thing that can be shown.
pub trait Record {
    /// The heads of the columns.
    const COLUMNS: &'static [&'static str];

    /// The shape for programs.
    fn shape(&self) -> Value;

    /// The row for people, as long as [`Record::COLUMNS`].
    fn row(&self, clock: &Clock) -> Vec<String>;

    /// How it is.
    fn mood(&self) -> Mood {
        Mood::Plain
    }
}

/// How a thing is, shown as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Plain,
    Busy,
    Bad,
    Gone,
}

/// A time as text by RFC 3339, in UTC.
fn time(given: Option<&Timestamp>) -> Value {
    let time = given.and_then(instant);
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// A time of the wire; none where it is out of range.
pub(crate) fn instant(given: &Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(given.seconds, given.nanos).ok()
}

/// A duration in seconds.
fn seconds(given: Option<&Duration>) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "offsets of clocks are small")]
    given.map_or(Value::Null, |given| {
        Value::from(given.seconds as f64 + f64::from(given.nanos) / 1e9)
    })
}

/// JSON text as what it is; what is no JSON stays text.
fn free(json: &str, empty: Value) -> Value {
    if json.is_empty() {
        return empty;
    }
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()))
}

/// A value of an enumeration without the enumeration's name: `started`; null for none.
fn word(name: &str, prefix: &str) -> Value {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => Value::Null,
        word => Value::String(word.to_ascii_lowercase()),
    }
}

//! Times and durations.

use std::time::Duration;

use jiff::Timestamp;

use crate::refusal::{At, Refused};

/// The message of a time.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// The time of a message.
pub fn from_timestamp(message: prost_types::Timestamp) -> Result<Timestamp, Refused> {
    Timestamp::new(message.seconds, message.nanos).at("time")
}

/// The message of a duration; what is longer than messages can say is cut to what they can.
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration)
        .unwrap_or(prost_types::Duration { seconds: 315_576_000_000, nanos: 0 })
}

/// The duration of a message, which may not be negative.
pub fn from_duration(message: prost_types::Duration) -> Result<Duration, Refused> {
    Duration::try_from(message).at("duration")
}

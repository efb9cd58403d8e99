//! Times for people, in their time zone.

use jiff::tz::TimeZone;
use prost_types::Timestamp;

use crate::record::instant;

/// Shows times in one time zone.
#[derive(Clone, Debug)]
pub struct Clock(TimeZone);

// === impl Clock ===

impl Clock {
    pub fn new(zone: TimeZone) -> Self {
        Self(zone)
    }

    /// The day and the time to the second; `-` for none.
    pub fn day(&self, time: Option<&Timestamp>) -> String {
        self.show(time, "%Y-%m-%d %H:%M:%S")
    }

    /// The time to the millisecond; `-` for none.
    pub fn moment(&self, time: Option<&Timestamp>) -> String {
        self.show(time, "%H:%M:%S%.3f")
    }

    fn show(&self, time: Option<&Timestamp>, format: &str) -> String {
        time.and_then(instant).map_or_else(
            || "-".to_owned(),
            |time| time.to_zoned(self.0.clone()).strftime(format).to_string(),
        )
    }
}

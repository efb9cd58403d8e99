//! The times of schedules, in the time zones of this host's database.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    tz::TimeZone,
};

/// Turns `2030-01-31 12:00`, or `12:00` of the day of `now`, into UTC: `2030-01-31 12:00:00`.
///
/// A time that a change of clocks repeats or leaves out is taken as winter time.
/// Source: `cloudify/utils.py`, `parse_utc_datetime_absolute`.
pub(super) fn to_utc(time: &str, timezone: Option<&str>, now: Timestamp) -> Option<String> {
    let zone = timezone.map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok())?;
    let today = || now.to_zoned(TimeZone::UTC).date();
    let time = DateTime::strptime("%Y-%m-%d %H:%M", time)
        .or_else(|_| Time::strptime("%H:%M", time).map(|time| today().to_datetime(time)))
        .ok()?;
    let at = zone.into_ambiguous_zoned(time).later().ok()?;
    Some(at.timestamp().strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::to_utc;

    #[test]
    fn times_are_told_in_utc_whatever_the_zone_and_the_season() {
        let now = "2030-06-01T08:30:00Z".parse().unwrap();
        for (time, zone, utc) in [
            ("2030-01-31 12:00", None, Some("2030-01-31 12:00:00")),
            ("2030-01-31 12:00", Some("Asia/Jerusalem"), Some("2030-01-31 10:00:00")),
            ("2030-07-31 12:00", Some("Asia/Jerusalem"), Some("2030-07-31 09:00:00")),
            ("2030-01-31 12:00", Some("EST"), Some("2030-01-31 17:00:00")),
            // 02:30 is left out that night, and 01:30 comes twice.
            ("2030-03-10 02:30", Some("America/New_York"), Some("2030-03-10 07:30:00")),
            ("2030-11-03 01:30", Some("America/New_York"), Some("2030-11-03 06:30:00")),
            ("23:15", None, Some("2030-06-01 23:15:00")),
            ("2030-02-30 12:00", None, None),
            ("2030-01-31 12:00", Some("Mars/Olympus"), None),
            ("soon", None, None),
        ] {
            assert_eq!(to_utc(time, zone, now).as_deref(), utc, "{time} {zone:?}");
        }
    }
}

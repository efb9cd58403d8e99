//! Dates and times, written as Python's `str()` writes `date` and `datetime`.

use crate::Value;

/// Reads a timestamp of YAML 1.1: `None` when the text does not look like one, an error when
/// it does but no such day or time exists.
pub(crate) fn read(text: &str) -> Option<Result<Value, String>> {
    let mut rest = text;
    let year = take(&mut rest, 4, 4)?;
    skip(&mut rest, '-')?;
    let month_from = rest;
    let month = take(&mut rest, 1, 2)?;
    let month_digits = month_from.len() - rest.len();
    skip(&mut rest, '-')?;
    let day_from = rest;
    let day = take(&mut rest, 1, 2)?;
    let day_digits = day_from.len() - rest.len();
    let missing = || Err(format!("there is no such date or time as `{text}`"));
    if rest.is_empty() {
        if month_digits != 2 || day_digits != 2 {
            return None;
        }
        return Some(if is_day(year, month, day) {
            Ok(Value::Timestamp(format!("{year:04}-{month:02}-{day:02}")))
        } else {
            missing()
        });
    }
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest = if spaces > 0 { &rest[spaces..] } else { rest.strip_prefix(['T', 't'])? };
    let hour = take(&mut rest, 1, 2)?;
    skip(&mut rest, ':')?;
    let minute = take(&mut rest, 2, 2)?;
    skip(&mut rest, ':')?;
    let second = take(&mut rest, 2, 2)?;
    let fraction = fraction(&mut rest);
    let zone = zone(&mut rest)?;
    if !rest.is_empty() {
        return None;
    }
    if !is_day(year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return Some(missing());
    }
    let date = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    Some(Ok(Value::Timestamp(date + &fraction + &zone)))
}

/// Takes between `least` and `most` digits off the front.
fn take(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let (digits, after) = rest.split_at(count);
    *rest = after;
    digits.parse().ok()
}

fn skip(rest: &mut &str, mark: char) -> Option<()> {
    *rest = rest.strip_prefix(mark)?;
    Some(())
}

/// Six digits of the second's fraction, or nothing when it is zero.
fn fraction(rest: &mut &str) -> String {
    let Some(after) = rest.strip_prefix('.') else { return String::new() };
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, after) = after.split_at(count);
    *rest = after;
    let shown = &digits[..count.min(6)];
    if shown.bytes().all(|digit| digit == b'0') { String::new() } else { format!(".{shown:0<6}") }
}

fn zone(rest: &mut &str) -> Option<String> {
    let trimmed = rest.trim_start_matches([' ', '\t']);
    if let Some(after) = trimmed.strip_prefix('Z') {
        *rest = after;
        return Some("+00:00".to_owned());
    }
    let Some(after) = trimmed.strip_prefix(['+', '-']) else { return Some(String::new()) };
    let sign = &trimmed[..1];
    *rest = after;
    let hours = take(rest, 1, 2)?;
    let minutes = if skip(rest, ':').is_some() { take(rest, 2, 2)? } else { 0 };
    let sign = if hours == 0 && minutes == 0 { "+" } else { sign };
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    year >= 1 && (1..=days).contains(&day)
}

//! What a scalar is: the implicit resolvers and constructors of YAML 1.1.
//!
//! Source: PyYAML 6, `resolver.py` (which plain text is what) and `constructor.py` (its value).

use crate::{Value, timestamp};

/// Resolves a plain scalar, in PyYAML's order: boolean, float, integer, null, timestamp.
pub(crate) fn resolve(text: &str) -> Result<Value, String> {
    let first = text.bytes().next().unwrap_or(b'~');
    match first {
        b'y' | b'Y' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'n' | b'N' | b'~' => {
            Ok(boolean(text)
                .map(Value::Bool)
                .or_else(|| is_null(text).then_some(Value::Null))
                .unwrap_or_else(|| Value::Str(text.to_owned())))
        }
        b'0'..=b'9' | b'-' | b'+' | b'.' => number_or_time(text),
        b'=' if text == "=" => {
            Err("`=` alone is YAML's default key: write it in quotes".to_owned())
        }
        b'<' if text == "<<" => Err("`<<` is a key: write the text in quotes".to_owned()),
        _ => Ok(Value::Str(text.to_owned())),
    }
}

/// Constructs the value of a scalar that carries an explicit core tag.
pub(crate) fn tagged(tag: &str, text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is not a value of type `!!{tag}`");
    match tag {
        "str" => Ok(Value::Str(text.to_owned())),
        "null" => Ok(Value::Null),
        "bool" => boolean(&text.to_lowercase()).map(Value::Bool).ok_or_else(wrong),
        "int" => integer(text).ok_or_else(wrong),
        "float" => float(text).ok_or_else(wrong),
        "timestamp" => timestamp::read(text).unwrap_or_else(|| Err(wrong())),
        _ => Err(format!("the tag `!!{tag}` is not known for a single value")),
    }
}

fn number_or_time(text: &str) -> Result<Value, String> {
    let too_big = || format!("the number `{text}` does not fit in 128 bits");
    if looks_like_float(text) {
        float(text).ok_or_else(|| format!("`{text}` is not a number"))
    } else if looks_like_integer(text) {
        integer(text).ok_or_else(too_big)
    } else {
        timestamp::read(text).unwrap_or_else(|| Ok(Value::Str(text.to_owned())))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(|byte| byte == b'_' || allowed(byte))
}

fn digits(text: &str) -> bool {
    all(text, |byte| byte.is_ascii_digit())
}

/// `[0-9][0-9_]*(:[0-5]?[0-9])+`, the part before an optional fraction.
fn is_sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let Some(head) = parts.next() else { return false };
    let mut sixtieths = 0;
    for part in parts {
        let fits = match part.as_bytes() {
            [one] => one.is_ascii_digit(),
            [ten @ b'0'..=b'5', one] => ten.is_ascii_digit() && one.is_ascii_digit(),
            _ => false,
        };
        if !fits {
            return false;
        }
        sixtieths += 1;
    }
    sixtieths > 0 && head.starts_with(|first: char| first.is_ascii_digit()) && digits(head)
}

fn looks_like_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (_, body) = unsigned(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let Some((whole, fraction)) = body.split_once('.') else { return false };
    if is_sexagesimal(whole) {
        return digits(fraction);
    }
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], Some(&fraction[at + 1..])),
        None => (fraction, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['-', '+']).is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    });
    let starts = |part: &str| part.starts_with(|first: char| first.is_ascii_digit());
    let body_fits = if whole.is_empty() {
        // Only the unsigned form may begin with the point.
        body.len() == text.len() && starts(fraction) && digits(fraction)
    } else {
        starts(whole) && digits(whole) && digits(fraction)
    };
    exponent_fits && body_fits
}

fn looks_like_integer(text: &str) -> bool {
    let (_, body) = unsigned(text);
    if let Some(bits) = body.strip_prefix("0b") {
        return !bits.is_empty() && all(bits, |byte| matches!(byte, b'0' | b'1'));
    }
    if let Some(hex) = body.strip_prefix("0x") {
        return !hex.is_empty() && all(hex, |byte| byte.is_ascii_hexdigit());
    }
    match body.as_bytes() {
        [b'0'] => true,
        [b'0', ..] => all(&body[1..], |byte| matches!(byte, b'0'..=b'7')),
        [b'1'..=b'9', ..] => digits(body) || is_sexagesimal(body),
        _ => false,
    }
}

fn integer(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    let (negative, body) = unsigned(&plain);
    let value = if let Some(bits) = body.strip_prefix("0b") {
        i128::from_str_radix(bits, 2).ok()?
    } else if let Some(hex) = body.strip_prefix("0x") {
        i128::from_str_radix(hex, 16).ok()?
    } else if body == "0" {
        0
    } else if body.starts_with('0') {
        i128::from_str_radix(body, 8).ok()?
    } else if body.contains(':') {
        sexagesimal(body)?
    } else {
        body.parse().ok()?
    };
    Some(Value::Int(if negative { -value } else { value }))
}

fn sexagesimal(body: &str) -> Option<i128> {
    body.split(':')
        .try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse::<i128>().ok()?))
}

fn float(text: &str) -> Option<Value> {
    let plain = text.replace('_', "").to_lowercase();
    let (negative, body) = unsigned(&plain);
    let value = match body {
        ".inf" => f64::INFINITY,
        ".nan" => f64::NAN,
        _ if body.contains(':') => {
            let mut sum = 0.0;
            for part in body.split(':') {
                sum = sum * 60.0 + part.parse::<f64>().ok()?;
            }
            sum
        }
        _ => body.parse().ok()?,
    };
    Some(Value::Float(if negative { -value } else { value }))
}

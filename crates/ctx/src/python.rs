//! How Python shows values: `repr`, `str`, truth, type names, and `json.dumps`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns what Python's `str()` makes of a value.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => repr(value),
    }
}

/// Returns what Python's `repr()` makes of a value.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

/// Returns what Python's `repr()` makes of a list.
pub(crate) fn repr_list(values: &[Value]) -> String {
    let mut out = String::new();
    write_list(&mut out, values, write_repr);
    out
}

/// Returns what Python's `json.dumps()` makes of a value: ASCII, a space after each `,` and `:`.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

/// Says whether Python takes a value for true.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// Returns the name of a value's Python type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_repr_of_text(out, text),
        Value::Array(items) => write_list(out, items, write_repr),
        Value::Object(map) => write_map(out, map, write_repr_of_text, write_repr),
    }
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_json_text(out, text),
        Value::Array(items) => write_list(out, items, write_json),
        Value::Object(map) => write_map(out, map, write_json_text, write_json),
    }
}

fn write_list(out: &mut String, items: &[Value], write: fn(&mut String, &Value)) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(out, item);
    }
    out.push(']');
}

fn write_map(
    out: &mut String,
    map: &Map<String, Value>,
    write_key: fn(&mut String, &str),
    write: fn(&mut String, &Value),
) {
    out.push('{');
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write_key(out, key);
        out.push_str(": ");
        write(out, value);
    }
    out.push('}');
}

/// Writes the shortest digits that read back as the same number, as `float.__repr__` does.
fn write_number(out: &mut String, number: &serde_json::Number) {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        _ = write!(out, "{number}");
        return;
    };
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        _ = write!(out, "{float:?}");
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        _ = write!(out, "{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
}

fn write_repr_of_text(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => out.extend(['\\', quote]),
            ' '..='~' => out.push(letter),
            _ if is_printable(letter) => out.push(letter),
            _ => write_escape(out, letter),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, letter: char) {
    let code = u32::from(letter);
    _ = match code {
        0..=0xff => write!(out, "\\x{code:02x}"),
        0x100..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Rust's `escape_debug` and Python's `repr` leave out the same characters (Unicode's "other" and
/// "separator" categories), except that Rust also escapes a combining mark that stands first.
fn is_printable(letter: char) -> bool {
    let pair: String = ['a', letter].iter().collect();
    !letter.is_control() && pair.escape_debug().count() == 2
}

fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_in_python() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!([true, false]), "[True, False]"),
            (json!({"a": 1, "b": {"c": []}}), "{'a': 1, 'b': {'c': []}}"),
            (json!(["it's", "\"", "'\"", "a\\b\n\t\r"]), r#"["it's", '"', '\'"', 'a\\b\n\t\r']"#),
            (
                json!(["grüß", "\u{7f}\u{a0}\u{200b}\u{1f600}", "e\u{301}"]),
                "['grüß', '\\x7f\\xa0\\u200b\u{1f600}', 'e\u{301}']",
            ),
            (json!(["\u{e000}\u{e0001}\0"]), "['\\ue000\\U000e0001\\x00']"),
            (
                json!([1.0, 0.1, 100.5, 1e15, 1e16, 1.5e300, 1e-4, 1e-5, -2.5e-7, -0.0]),
                "[1.0, 0.1, 100.5, 1000000000000000.0, 1e+16, 1.5e+300, 0.0001, 1e-05, -2.5e-07, -0.0]",
            ),
            (json!([u64::MAX, i64::MIN]), "[18446744073709551615, -9223372036854775808]"),
        ] {
            assert_eq!(repr(&value), expected);
        }
        assert_eq!(text(&json!("as it is")), "as it is");
    }

    #[test]
    fn json_is_ascii() {
        let value = json!({"a": ["ü\u{1f600}\"\\\n\u{8}\u{c}\u{7f}", 1e16, null, true]});
        assert_eq!(
            json(&value),
            r#"{"a": ["\u00fc\ud83d\ude00\"\\\n\b\f\u007f", 1e+16, null, true]}"#
        );
        assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
    }

    #[test]
    fn what_is_empty_is_false() {
        for value in
            [json!(null), json!(0), json!(0.0), json!(""), json!([]), json!({}), json!(false)]
        {
            assert!(!is_true(&value), "{value}");
        }
        for value in [json!(-1), json!(0.1), json!("0"), json!([0]), json!({"a": 0}), json!(true)] {
            assert!(is_true(&value), "{value}");
        }
    }
}

//! Values as Python's `str()` writes them, which is what `concat` joins.

use std::fmt::Write;

use serde_json::{Number, Value as Json};
use waggoner_yaml::python_float;

/// Writes a value as `str()` does: text as it is, the rest as `repr()`.
pub(crate) fn python_text(value: &Json) -> String {
    if let Json::String(text) = value {
        return text.clone();
    }
    let mut written = String::new();
    repr(value, &mut written);
    written
}

fn repr(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("None"),
        Json::Bool(true) => out.push_str("True"),
        Json::Bool(false) => out.push_str("False"),
        Json::Number(number) => out.push_str(&number_text(number)),
        Json::String(text) => quoted(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                repr(item, out);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            for (index, (key, item)) in object.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                quoted(key, out);
                out.push_str(": ");
                repr(item, out);
            }
            out.push('}');
        }
    }
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => python_float(float),
        _ => number.to_string(),
    }
}

/// Single quotes, unless the text has those and no double ones.
fn quoted(text: &str, out: &mut String) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter == mark => {
                out.push('\\');
                out.push(letter);
            }
            letter if u32::from(letter) < 0x20 || u32::from(letter) == 0x7f => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push(mark);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::python_text;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let rows = [
            (json!("a'b"), "a'b"),
            (json!(true), "True"),
            (json!(null), "None"),
            (json!(1.0), "1.0"),
            (json!(1e-7), "1e-07"),
            (json!({"a": ["x'y", "p\"q", 'z']}), r#"{'a': ["x'y", 'p"q', 'z']}"#),
            (json!(["a'\"b\n"]), r#"['a\'"b\n']"#),
        ];
        for (value, expected) in rows {
            assert_eq!(python_text(&value), expected);
        }
    }
}

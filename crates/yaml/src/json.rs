//! From a tree of values to JSON.

use serde_json::{Map as Object, Number, Value as Json};

use crate::{Node, Value};

// === impl Node ===

impl Node {
    /// Converts to JSON as Python's `json.dumps` would: keys become text, a timestamp its
    /// `str()`, and the floats that JSON lacks the words that Python writes for them.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(given) => Json::Bool(*given),
            Value::Int(given) => Json::Number(integer(*given)),
            Value::Float(given) => float(*given),
            Value::Str(text) | Value::Timestamp(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(map) => {
                let pairs = map.iter().map(|(key, entry)| (key.to_text(), entry.node.to_json()));
                Json::Object(pairs.collect::<Object<_, _>>())
            }
        }
    }
}

/// An integer of JSON. Beyond 64 bits it becomes the nearest float, as in most readers.
fn integer(given: i128) -> Number {
    #[expect(clippy::cast_precision_loss, reason = "beyond 64 bits JSON readers have floats only")]
    let nearest = given as f64;
    i64::try_from(given)
        .map(Number::from)
        .or_else(|_| u64::try_from(given).map(Number::from))
        .ok()
        .or_else(|| Number::from_f64(nearest))
        .expect("a 128-bit integer is a finite float")
}

fn float(given: f64) -> Json {
    Number::from_f64(given).map_or_else(
        || {
            let word = match given {
                _ if given.is_nan() => "NaN",
                _ if given > 0.0 => "Infinity",
                _ => "-Infinity",
            };
            Json::String(word.to_owned())
        },
        Json::Number,
    )
}

/// Writes a float as Python's `repr` does: `1.0`, `1e-05`, `1e+16`, `nan`.
pub fn python_float(given: f64) -> String {
    if given.is_nan() {
        return "nan".to_owned();
    }
    if given.is_infinite() {
        return if given > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{given:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if given == 0.0 || (-4..16).contains(&exponent) {
        let plain = given.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

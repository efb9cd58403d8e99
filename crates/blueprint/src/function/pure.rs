//! Functions of their arguments alone: joining, merging, and texts.

use serde_json::{Map as Object, Value as Json};

use super::{
    Name,
    call::{Call, is_function},
    lookup, python_text,
};
use crate::{Kind, Refusal};

/// Evaluates `concat`, `merge` and the functions of texts.
pub(super) fn evaluate(call: &Call, raw: &Json) -> Result<Json, Refusal> {
    let arguments = call.list();
    match call.name {
        Name::Concat | Name::Merge if arguments.iter().any(is_function) => Ok(raw.clone()),
        Name::Concat => {
            Ok(Json::String(arguments.iter().map(python_text).collect::<Vec<_>>().concat()))
        }
        Name::Merge => merge(call),
        Name::StringFind => {
            let (text, wanted) = (text(call, 0, "text")?, self::text(call, 1, "text to find")?);
            let found = text.find(wanted).map(|at| text[..at].chars().count());
            Ok(found.map_or(Json::from(-1), Json::from))
        }
        Name::StringReplace => replace(call),
        Name::StringSplit => split(call),
        Name::StringLower => Ok(Json::String(text(call, 0, "text")?.to_lowercase())),
        Name::StringUpper => Ok(Json::String(text(call, 0, "text")?.to_uppercase())),
        _ => Ok(raw.clone()),
    }
}

/// Judges the arguments of a function of texts that are not functions themselves.
pub(super) fn validate(call: &Call) -> Result<(), Refusal> {
    let wrong = |what: &str, given: &Json| {
        let name = call.name.as_str();
        let message = format!("`{name}` takes {what}, not `{given}`");
        Refusal::new(Kind::FunctionValidation, message)
    };
    let texts = match call.name {
        Name::StringFind | Name::StringSplit => 2,
        Name::StringReplace => 3,
        Name::StringLower | Name::StringUpper => 1,
        _ => return Ok(()),
    };
    for (at, argument) in call.list().iter().enumerate() {
        if is_function(argument) {
            continue;
        }
        if at < texts && !argument.is_string() {
            return Err(wrong("texts", argument));
        }
        if at >= texts && !(argument.is_i64() || argument.is_boolean() || argument.is_null()) {
            return Err(wrong("an integer as its last argument", argument));
        }
    }
    Ok(())
}

fn merge(call: &Call) -> Result<Json, Refusal> {
    let mut merged = Object::new();
    for argument in call.list() {
        let Json::Object(object) = argument else {
            return Err(call.refusal(format!("it merges dicts, `{argument}` is none")));
        };
        merged.extend(object.clone());
    }
    Ok(Json::Object(merged))
}

fn replace(call: &Call) -> Result<Json, Refusal> {
    let (text, old) = (self::text(call, 0, "text")?, self::text(call, 1, "text to replace")?);
    let new = self::text(call, 2, "replacement")?;
    let replaced = match call.list().get(3).filter(|count| !count.is_null()) {
        None => text.replace(old, new),
        Some(count) => match whole(call, count)? {
            count if count < 0 => text.replace(old, new),
            count => text.replacen(old, new, usize::try_from(count).unwrap_or(usize::MAX)),
        },
    };
    Ok(Json::String(replaced))
}

fn split(call: &Call) -> Result<Json, Refusal> {
    let (text, separator) = (self::text(call, 0, "text")?, self::text(call, 1, "separator")?);
    if separator.is_empty() {
        return Err(Refusal::new(
            Kind::Value,
            "`string_split` needs a separator, not an empty text",
        ));
    }
    let parts = Json::Array(text.split(separator).map(Json::from).collect());
    match call.list().get(2).filter(|index| !index.is_null()) {
        None => Ok(parts),
        Some(index) => {
            whole(call, index)?;
            lookup::step(&parts, index).cloned().map_err(|lost| call.refusal(lost.text()))
        }
    }
}

fn text<'c>(call: &'c Call, at: usize, what: &str) -> Result<&'c str, Refusal> {
    let given = call.list().get(at).unwrap_or(&Json::Null);
    given.as_str().ok_or_else(|| {
        let given = if is_function(given) {
            "something that is known at run time only".to_owned()
        } else {
            format!("`{given}`")
        };
        call.refusal(format!("the {what} must be a string, not {given}"))
    })
}

fn whole(call: &Call, given: &Json) -> Result<i64, Refusal> {
    given
        .as_i64()
        .or_else(|| given.as_bool().map(i64::from))
        .ok_or_else(|| call.refusal(format!("`{given}` is not an integer")))
}

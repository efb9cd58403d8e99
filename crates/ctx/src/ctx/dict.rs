//! Paths into dictionaries (`PathDictAccess`, `cloudify/proxy/server.py`) and their methods.

use serde_json::{Map, Value};

use super::{
    Ctx, Halt, Outcome, not_serializable,
    object::{Dict, DictMethod},
    signature::{Bound, Signature, builtin},
};
use crate::{python::type_name, reply::Error};

/// Gets a value by a path like `a.b[0].c`.
pub(super) fn get(map: &Map<String, Value>, path: &str) -> Result<Value, Error> {
    let mut segments = path.split('.');
    let first = segments.next().unwrap_or_default();
    let mut current = match indexed(first) {
        Some((name, index)) => item(map.get(name).ok_or_else(|| illegal(path))?, index, path)?,
        None => map.get(first).ok_or_else(|| illegal(path))?,
    };
    for segment in segments {
        current = match indexed(segment) {
            Some((name, index)) => item(member(current, name, path)?, index, path)?,
            None => member(current, segment, path)?,
        };
    }
    Ok(current.clone())
}

/// Sets a value by a path, whose dictionaries are made where they are missing. The last part is a
/// name as it stands.
pub(super) fn set(
    map: &mut Map<String, Value>,
    path: &str,
    value: Value,
    is_fixed: bool,
) -> Result<(), Error> {
    let Some((parents, name)) = path.rsplit_once('.') else {
        if is_fixed {
            return Err(read_only());
        }
        map.insert(path.to_owned(), value);
        return Ok(());
    };
    let mut segments = parents.split('.');
    let first = segments.next().unwrap_or_default();
    let mut current = if let Some((name, index)) = indexed(first) {
        item_mut(map.get_mut(name).ok_or_else(|| illegal(parents))?, index, parents)?
    } else {
        if is_fixed && !map.contains_key(first) {
            return Err(read_only());
        }
        map.entry(first).or_insert_with(|| Value::Object(Map::new()))
    };
    for segment in segments {
        current = if let Some((name, index)) = indexed(segment) {
            contains(current, name)?.then_some(()).ok_or_else(|| illegal(parents))?;
            item_mut(member_mut(current, name)?, index, parents)?
        } else {
            if !contains(current, segment)? {
                assign(current, segment, Value::Object(Map::new()))?;
            }
            member_mut(current, segment)?
        };
    }
    assign(current, name, value)
}

pub(super) fn read_only() -> Error {
    Error::non_recoverable("Cannot override read only properties")
}

fn illegal(path: &str) -> Error {
    Error::runtime(format!("illegal path: {path}"))
}

/// Splits `name[7]`. What follows the last such bracket is ignored, as Python's `re.match` does.
fn indexed(segment: &str) -> Option<(&str, &str)> {
    let brackets = segment.match_indices('[').map(|(at, _)| at).filter(|at| *at > 0);
    brackets.rev().find_map(|at| {
        let (index, _) = segment[at + 1..].split_once(']')?;
        let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some((&segment[..at], index))
    })
}

/// Python's `name in value`.
fn contains(value: &Value, name: &str) -> Result<bool, Error> {
    match value {
        Value::Object(map) => Ok(map.contains_key(name)),
        Value::Array(items) => Ok(items.iter().any(|item| item == name)),
        Value::String(text) => Ok(text.contains(name)),
        other => {
            let name = type_name(other);
            Err(Error::type_error(format!("argument of type '{name}' is not iterable")))
        }
    }
}

/// Python's `value[name]`, once it is in it.
fn member<'a>(value: &'a Value, name: &str, path: &str) -> Result<&'a Value, Error> {
    if !contains(value, name)? {
        return Err(illegal(path));
    }
    value.get(name).ok_or_else(|| wrong_index(value))
}

fn member_mut<'a>(value: &'a mut Value, name: &str) -> Result<&'a mut Value, Error> {
    let error = wrong_index(value);
    value.as_object_mut().and_then(|map| map.get_mut(name)).ok_or(error)
}

fn item<'a>(value: &'a Value, index: &str, path: &str) -> Result<&'a Value, Error> {
    let items = value.as_array().ok_or_else(|| illegal(path))?;
    index.parse().ok().and_then(|index: usize| items.get(index)).ok_or_else(|| out_of_range(index))
}

fn item_mut<'a>(value: &'a mut Value, index: &str, path: &str) -> Result<&'a mut Value, Error> {
    let items = value.as_array_mut().ok_or_else(|| illegal(path))?;
    let at = index.parse().ok().and_then(|index: usize| items.get_mut(index));
    at.ok_or_else(|| out_of_range(index))
}

/// Python's `value[name] = new`.
fn assign(value: &mut Value, name: &str, new: Value) -> Result<(), Error> {
    match value {
        Value::Object(map) => drop(map.insert(name.to_owned(), new)),
        Value::Array(_) => return Err(wrong_index(value)),
        other => {
            let name = type_name(other);
            return Err(Error::type_error(format!(
                "'{name}' object does not support item assignment"
            )));
        }
    }
    Ok(())
}

fn wrong_index(value: &Value) -> Error {
    Error::type_error(match value {
        Value::String(_) => "string indices must be integers, not 'str'",
        _ => "list indices must be integers or slices, not str",
    })
}

fn out_of_range(index: &str) -> Error {
    Error::new(
        "IndexError",
        match index.parse::<i64>() {
            Ok(_) => "list index out of range",
            Err(_) => "cannot fit 'int' into an index-sized integer",
        },
    )
}

// === impl Ctx ===

impl Ctx {
    /// Calls a method of a dictionary (`dict`; `DirtyTrackingDict`, `cloudify/manager.py`;
    /// `ImmutableProperties`, `cloudify/context.py`).
    pub(super) fn call_dict(
        &mut self,
        dict: &Dict,
        method: DictMethod,
        args: &[Value],
        mut kwargs: Map<String, Value>,
    ) -> Result<Outcome, Halt> {
        let class = match dict {
            Dict::Runtime(_) => "DirtyTrackingDict",
            Dict::Properties(_) => "ImmutableProperties",
            Dict::Copy(_) => "dict",
        };
        let own = (class != "dict").then_some(class);
        let result = match (method, own) {
            (DictMethod::Get, _) => {
                let [key, default] = builtin(class, "get", args, &kwargs)?;
                self.map(dict)?.get(&self::key(&key)?).cloned().unwrap_or(default)
            }
            (DictMethod::SetDefault, _) => {
                let [key, default] = builtin(class, "setdefault", args, &kwargs)?;
                let map = self.map(dict)?;
                match map.get(&self::key(&key)?) {
                    Some(value) => value.clone(),
                    None => self.change(dict, |map, _| {
                        map.insert(self::key(&key)?, default.clone());
                        Ok(default)
                    })?,
                }
            }
            (DictMethod::Pop, Some(class)) => {
                let signature = Signature::method(class, "pop", &["k"], &["d"]);
                let [key, default] = signature.bind(args, kwargs)?.take();
                self.change(dict, |map, is_fixed| {
                    if is_fixed {
                        return Err(read_only());
                    }
                    Ok(map.shift_remove(&self::key(&key)?).unwrap_or(default))
                })?
            }
            (DictMethod::Pop, None) => {
                let has_default = args.len() > 1;
                let [key, default] = builtin(class, "pop", args, &kwargs)?;
                let missing = || Error::new("KeyError", crate::python::repr(&key));
                let found = self.map(dict)?.get(&self::key(&key)?).cloned();
                found.or_else(|| has_default.then_some(default)).ok_or_else(missing)?
            }
            (DictMethod::PopItem, _) => {
                nothing(own, class, "popitem", args, kwargs)?;
                self.change(dict, |map, is_fixed| {
                    if is_fixed {
                        return Err(read_only());
                    }
                    let last = map.keys().next_back().cloned();
                    let empty = || Error::new("KeyError", "'popitem(): dictionary is empty'");
                    let key = last.ok_or_else(empty)?;
                    let value = map.shift_remove(&key).unwrap_or_default();
                    Ok(Value::Array(vec![key.into(), value]))
                })?
            }
            (DictMethod::Clear, _) => {
                nothing(own, class, "clear", args, kwargs)?;
                self.change(dict, |map, is_fixed| {
                    if is_fixed {
                        return Err(read_only());
                    }
                    map.clear();
                    Ok(Value::Null)
                })?
            }
            (DictMethod::Update, None) => {
                if args.len() > 1 {
                    let given = args.len();
                    let message = format!("update expected at most 1 argument, got {given}");
                    return Err(Error::type_error(message).into());
                }
                let mut map = self.map(dict)?;
                args.first().map_or(Ok(()), |given| extend(&mut map, given.clone()))?;
                Value::Null
            }
            (DictMethod::Update, Some(class)) => {
                let named = kwargs.shift_remove_entry("E").into_iter().collect();
                let signature = Signature::method(class, "update", &[], &["E"]);
                let [given] = signature.bind(args, named)?.take();
                self.change(dict, |map, is_fixed| {
                    if is_fixed {
                        return Err(read_only());
                    }
                    extend(map, given)?;
                    map.extend(kwargs);
                    Ok(Value::Null)
                })?
            }
            (DictMethod::Copy, _) => {
                nothing(None, class, "copy", args, kwargs)?;
                self.map(dict)?.into()
            }
            (DictMethod::View(view), _) => {
                nothing(None, class, &view["dict_".len()..], args, kwargs)?;
                return Err(not_serializable(view).into());
            }
        };
        Ok(Outcome::result(result))
    }
}

/// JSON has keys of text only, and so have the properties of a node instance once they are stored.
fn key(key: &Value) -> Result<String, Error> {
    match key {
        Value::Array(_) | Value::Object(_) => {
            Err(Error::type_error(format!("unhashable type: '{}'", type_name(key))))
        }
        Value::Null => Ok("null".into()),
        Value::Bool(_) | Value::Number(_) => Ok(crate::python::json(key)),
        Value::String(text) => Ok(text.clone()),
    }
}

/// Checks that there are no arguments. `own` is the class if the method is its own, in Python.
fn nothing(
    own: Option<&'static str>,
    class: &str,
    name: &'static str,
    args: &[Value],
    kwargs: Map<String, Value>,
) -> Result<(), Error> {
    if let Some(own) = own {
        return Signature::method(own, name, &[], &[]).bind(args, kwargs).map(|_: Bound| ());
    }
    if !kwargs.is_empty() {
        return Err(Error::type_error(format!("{class}.{name}() takes no keyword arguments")));
    }
    if !args.is_empty() {
        let count = args.len();
        return Err(Error::type_error(format!(
            "{class}.{name}() takes no arguments ({count} given)"
        )));
    }
    Ok(())
}

/// Python's `dict.update(sequence)`.
fn extend(map: &mut Map<String, Value>, sequence: Value) -> Result<(), Error> {
    let items = match sequence {
        Value::Object(more) => {
            map.extend(more);
            return Ok(());
        }
        Value::Array(items) => items,
        Value::String(text) => text.chars().map(|letter| letter.to_string().into()).collect(),
        other => {
            let name = type_name(&other);
            return Err(Error::type_error(format!("'{name}' object is not iterable")));
        }
    };
    for (at, item) in items.into_iter().enumerate() {
        let pair: Vec<Value> = match item {
            Value::Array(pair) => pair,
            Value::String(text) => text.chars().map(|letter| letter.to_string().into()).collect(),
            _ => {
                let message = format!(
                    "cannot convert dictionary update sequence element #{at} to a sequence"
                );
                return Err(Error::type_error(message));
            }
        };
        let length = pair.len();
        let [key, value] = <[Value; 2]>::try_from(pair).map_err(|_| {
            let message = format!(
                "dictionary update sequence element #{at} has length {length}; 2 is required"
            );
            Error::new("ValueError", message)
        })?;
        map.insert(self::key(&key)?, value);
    }
    Ok(())
}

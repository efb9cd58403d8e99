//! From a list of arguments to a result (`process_ctx_request`, `cloudify/proxy/server.py`).

use serde_json::{Map, Value};

use super::{
    Ctx, Halt, Outcome, cannot_be_processed, dict, not_serializable,
    object::{Dict, Object},
};
use crate::{context::Ids, python, reply::Error};

impl Ctx {
    /// Each argument is an attribute of what the ones before it have led to, or begins a path
    /// into a dictionary, or the arguments of a call.
    pub(super) fn walk(&mut self, args: &[Value]) -> Result<Outcome, Halt> {
        let mut current = Object::Ctx;
        for (at, arg) in args.iter().enumerate() {
            if let Some(next) = self.desugared(&current, arg)? {
                current = next;
                continue;
            }
            let rest = &args[at..];
            return match current {
                Object::Dict(dict) => self.access(&dict, rest),
                Object::Method(method) => {
                    let (args, kwargs) = split_kwargs(rest);
                    self.call(method, args, kwargs)
                }
                _ => Err(cannot_be_processed(arg, args).into()),
            };
        }
        match current {
            Object::Method(method) => self.call(method, &[], Map::new()),
            current => self.show(current),
        }
    }

    /// Finds an attribute by its name, with `-` for `_` if need be.
    fn desugared(&self, object: &Object, arg: &Value) -> Result<Option<Object>, Halt> {
        let Value::String(name) = arg else { return Ok(None) };
        match self.attribute(object, name)? {
            None if name.contains('-') => self.attribute(object, &name.replace('-', "_")),
            found => Ok(found),
        }
    }

    /// Gets or sets a value in a dictionary by its path.
    fn access(&mut self, dict: &Dict, args: &[Value]) -> Result<Outcome, Halt> {
        let path = |arg: &Value| match arg {
            Value::String(path) => Ok(path.clone()),
            other => {
                let type_name = python::type_name(other);
                Err(Error::new(
                    "AttributeError",
                    format!("'{type_name}' object has no attribute 'split'"),
                ))
            }
        };
        match args {
            [at] => {
                let found = dict::get(&self.map(dict)?, &path(at)?)?;
                Ok(Outcome::result(found))
            }
            [at, value] => {
                let path = path(at)?;
                self.change(dict, |map, is_fixed| dict::set(map, &path, value.clone(), is_fixed))?;
                Ok(Outcome::NOTHING)
            }
            _ => Err(Error::runtime("Illegal argument while accessing dict").into()),
        }
    }

    /// Returns what is not called as a result.
    fn show(&self, object: Object) -> Result<Outcome, Halt> {
        match object {
            Object::Value(value) => Ok(Outcome::result(value)),
            Object::Dict(dict) => Ok(Outcome::result(self.map(&dict)?)),
            Object::Plugin => Ok(Outcome::result(self.plugin_name())),
            Object::Objects(_, 0) => Ok(Outcome::result(Value::Array(Vec::new()))),
            object => Err(not_serializable(object.type_name()).into()),
        }
    }

    /// Returns what a dictionary holds.
    pub(super) fn map(&self, dict: &Dict) -> Result<Map<String, Value>, Error> {
        let lost = || Error::runtime("the dictionary is not loaded");
        match dict {
            Dict::Copy(map) => Ok(map.clone()),
            Dict::Runtime(id) => {
                self.instances.get(id).map(|at| at.runtime_properties.clone()).ok_or_else(lost)
            }
            Dict::Properties(id) => {
                let node = self.nodes.get(id).ok_or_else(lost)?;
                Ok(node.get("properties").and_then(Value::as_object).cloned().unwrap_or_default())
            }
        }
    }

    /// Changes a dictionary. `change` is told whether its first level is read only. Nothing is
    /// changed if it fails.
    pub(super) fn change<T>(
        &mut self,
        dict: &Dict,
        change: impl FnOnce(&mut Map<String, Value>, bool) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut map = self.map(dict)?;
        let result = change(&mut map, matches!(dict, Dict::Properties(_)))?;
        match dict {
            Dict::Copy(_) => {}
            Dict::Runtime(id) => {
                if let Some(instance) = self.instances.get_mut(id) {
                    instance.runtime_properties = map;
                    instance.touch();
                }
            }
            Dict::Properties(id) => {
                if let Some(node) = self.nodes.get_mut(id) {
                    node.insert("properties".into(), map.into());
                }
            }
        }
        Ok(result)
    }

    pub(super) fn plugin_name(&self) -> Value {
        match self.context.inner("plugin", "name") {
            Value::Null => "".into(),
            name => name,
        }
    }

    /// Returns the ids of the node instance whose relationships `capabilities` follows
    /// (`CloudifyContext.__init__`, `cloudify/context.py`).
    pub(super) fn owner(&self) -> Option<Ids> {
        let subjects = self.context.subjects();
        let is_target = self.context.inner("related", "is_target") == Value::Bool(true);
        let at = usize::from(subjects.len() == 2 && !is_target);
        subjects.get(at).map(|ids| (*ids).clone())
    }
}

/// A final dictionary holds the keyword arguments.
fn split_kwargs(args: &[Value]) -> (&[Value], Map<String, Value>) {
    match args.split_last() {
        Some((Value::Object(kwargs), args)) => (args, kwargs.clone()),
        _ => (args, Map::new()),
    }
}

//! Evaluation when a value is needed: everything is known, or can be asked for.

use std::{collections::HashMap, rc::Rc};

use serde_json::Value as Json;

use super::{
    Name,
    call::{self, Call, is_function},
    context::{Context, Spot},
    evaluate::{self, Effort, Evaluate},
    instance, lookup, plan, pure, python_text,
};
use crate::{Kind, Refusal, Storage};

/// Evaluates calls against a store; what was brought once is not asked for again.
pub(crate) struct RunTime<'s> {
    storage: &'s dyn Storage,
    nodes: HashMap<String, Rc<Json>>,
    instances: HashMap<String, Rc<Json>>,
    of_node: HashMap<String, Rc<Vec<Rc<Json>>>>,
    secrets: HashMap<String, String>,
    effort: Effort,
}

// === impl RunTime ===

impl<'s> RunTime<'s> {
    pub(crate) fn new(storage: &'s dyn Storage) -> Self {
        Self {
            storage,
            nodes: HashMap::new(),
            instances: HashMap::new(),
            of_node: HashMap::new(),
            secrets: HashMap::new(),
            effort: Effort::default(),
        }
    }

    pub(super) fn node(&mut self, id: &str) -> Result<Rc<Json>, Refusal> {
        if let Some(node) = self.nodes.get(id) {
            return Ok(node.clone());
        }
        let node = Rc::new(self.storage.node(id)?);
        self.nodes.insert(id.to_owned(), node.clone());
        Ok(node)
    }

    pub(super) fn instance(&mut self, id: &str) -> Result<Rc<Json>, Refusal> {
        if let Some(instance) = self.instances.get(id) {
            return Ok(instance.clone());
        }
        let instance = Rc::new(self.storage.node_instance(id)?);
        self.instances.insert(id.to_owned(), instance.clone());
        Ok(instance)
    }

    pub(super) fn instances_of(&mut self, node: &str) -> Result<Rc<Vec<Rc<Json>>>, Refusal> {
        if let Some(instances) = self.of_node.get(node) {
            return Ok(instances.clone());
        }
        let brought = self.storage.node_instances(node)?;
        let instances = Rc::new(brought.into_iter().map(Rc::new).collect::<Vec<_>>());
        for instance in instances.iter() {
            if let Some(id) = instance["id"].as_str() {
                self.instances.insert(id.to_owned(), instance.clone());
            }
        }
        self.of_node.insert(node.to_owned(), instances.clone());
        Ok(instances)
    }

    /// Follows a path of properties or runtime properties; values on the way are evaluated.
    pub(super) fn follow(
        &mut self,
        properties: &Json,
        path: &[Json],
        spot: &Spot,
    ) -> Result<Result<Json, lookup::Lost>, Refusal> {
        lookup::property(properties, path, spot, &mut |value, spot| {
            let spot = Spot { part: super::context::Part::Elsewhere, ..spot.clone() };
            evaluate::value(self, value, &spot)
        })
    }

    fn property(&mut self, call: &Call, spot: &mut Spot) -> Result<Json, Refusal> {
        let [node, path @ ..] = call.list() else { return Err(call.refusal("no arguments")) };
        let word = python_text(node);
        let context = spot.context.clone();
        let name = match word.as_str() {
            "SELF" => self.node_of(context.self_instance.as_deref(), context.node.as_deref())?,
            "SOURCE" => {
                self.node_of(context.source_instance.as_deref(), context.node.as_deref())?
            }
            "TARGET" => {
                self.node_of(context.target_instance.as_deref(), context.target_node.as_deref())?
            }
            _ => {
                spot.context = Context::of_node(&word);
                Some(word.clone())
            }
        };
        let name = name.ok_or_else(|| call.refusal(format!("`{word}` means nothing here")))?;
        let node = self.node(&name)?;
        let found = self.follow(&node["properties"], path, &spot.clone())?;
        found.map_err(|lost| {
            let path = lookup::describe(path);
            call.refusal(format!("the node `{name}` has no property `{path}`: {}", lost.text()))
        })
    }

    fn node_of(
        &mut self,
        instance: Option<&str>,
        node: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        match instance {
            Some(id) => Ok(self.instance(id)?["node_id"].as_str().map(str::to_owned)),
            None => Ok(node.map(str::to_owned)),
        }
    }

    fn secret(&mut self, call: &Call) -> Result<Json, Refusal> {
        let [name, path @ ..] = call.list() else { return Err(call.refusal("no arguments")) };
        let name = python_text(name);
        if !self.secrets.contains_key(&name) {
            self.secrets.insert(name.clone(), self.storage.secret(&name)?);
        }
        let secret = self.secrets[&name].clone();
        if !call.arguments.is_array() {
            return Ok(Json::String(secret));
        }
        // What a secret holds is not told in an error.
        let mut value: Json = serde_json::from_str(&secret).map_err(|_| {
            call.refusal(format!("the secret `{name}` is not JSON, so it has no keys"))
        })?;
        for key in path {
            let next = lookup::step(&value, key).cloned().map_err(|_| {
                call.refusal(format!("the secret `{name}` has no `{}`", lookup::describe(path)))
            })?;
            value = next;
        }
        Ok(value)
    }

    fn label(&mut self, call: &Call) -> Result<Json, Refusal> {
        let (key, index) = match call.list() {
            [key, index] => (python_text(key), Some(index)),
            [key] => (python_text(key), None),
            _ => return Err(call.refusal("it has no arguments")),
        };
        let index = index.and_then(|index| python_text(index).parse().ok());
        self.storage.label(&key, index)
    }
}

impl Evaluate for RunTime<'_> {
    fn call(&mut self, call: &Call, raw: &Json, spot: &mut Spot) -> Result<Json, Refusal> {
        let needs_arguments = !matches!(call.name, Name::Concat | Name::Merge);
        if needs_arguments && call.list().iter().any(is_function) && call.name.is_static() {
            return Err(call.refusal("an argument of it cannot be evaluated"));
        }
        match call.name {
            Name::GetInput => plan::input(call, &spot.path, |name| self.storage.input(name)),
            Name::GetProperty => self.property(call, spot),
            Name::GetAttribute => match instance::attribute(self, call, spot) {
                Err(refusal)
                    if spot.context.is_output && refusal.kind == Kind::FunctionEvaluation =>
                {
                    Ok(Json::String(format!("<ERROR: {}>", refusal.message)))
                }
                result => result,
            },
            Name::GetAttributesList => instance::attributes_list(self, call, spot),
            Name::GetAttributesDict => instance::attributes_dict(self, call, spot),
            Name::GetSecret => self.secret(call),
            Name::GetCapability => self.storage.capability(call.list()),
            Name::GetGroupCapability => self.storage.group_capability(call.list()),
            Name::GetEnvironmentCapability => self.storage.environment_capability(call.list()),
            Name::GetLabel => self.label(call),
            Name::GetSys => {
                let [entity, property, ..] = call.list() else {
                    return Err(call.refusal("it has no arguments"));
                };
                self.storage.system(&python_text(entity), &python_text(property))
            }
            Name::GetConsumers => {
                self.storage.consumers(call.arguments.as_str().unwrap_or_default())
            }
            _ => pure::evaluate(call, raw),
        }
    }

    fn effort(&mut self) -> &mut Effort {
        &mut self.effort
    }
}

pub(super) fn identifier(path: &Json) -> String {
    call::identifier(path)
}

//! Evaluation when a deployment is planned: inputs and properties are known, nothing else is.

use std::collections::HashMap;

use serde_json::{Map as Object, Value as Json};

use super::{
    Name,
    call::{Call, is_function},
    context::{Context, Part, Spot},
    evaluate::{self, Effort, Evaluate},
    lookup::{self, Lost},
    pure,
    scan::{self, Visit},
};
use crate::{Kind, Refusal, property};

/// What is known of a plan before anything runs.
pub(crate) struct Known {
    inputs: Object<String, Json>,
    /// The properties of each node, by its name.
    nodes: HashMap<String, Json>,
}

struct PlanTime {
    known: Known,
    /// Whether everything is left for run time.
    leaves_all: bool,
    /// Whether something was left in the inputs of the operation at hand.
    left: bool,
    effort: Effort,
}

/// Replaces in a plan what can be evaluated before anything runs; operations with something
/// left are marked.
pub(crate) fn fill_in(plan: &mut Json, leave_all: bool) -> Result<(), Refusal> {
    let known = Known::of(plan);
    scan::plan(
        plan,
        &mut PlanTime { known, leaves_all: leave_all, left: false, effort: Effort::default() },
    )
}

// === impl Known ===

impl Known {
    pub(crate) fn of(plan: &Json) -> Self {
        let nodes = plan["nodes"].as_array().into_iter().flatten();
        Self {
            inputs: plan["inputs"].as_object().cloned().unwrap_or_default(),
            nodes: nodes
                .filter_map(|node| {
                    let name = node["name"].as_str().or_else(|| node["id"].as_str())?;
                    Some((name.to_owned(), node["properties"].clone()))
                })
                .collect(),
        }
    }

    pub(crate) fn has_input(&self, name: &str) -> bool {
        self.inputs.contains_key(name)
    }

    pub(crate) fn input_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().map(String::as_str)
    }

    pub(crate) fn has_node(&self, name: &str) -> bool {
        self.nodes.contains_key(name)
    }

    fn set(&mut self, node: &str, property: &str, value: &Json) {
        if let Some(known) = self.nodes.get_mut(node).and_then(|known| known.get_mut(property)) {
            known.clone_from(value);
        }
    }

    fn node(&self, name: &str) -> Result<&Json, Refusal> {
        self.nodes
            .get(name)
            .ok_or_else(|| Refusal::new(Kind::Key, format!("there is no node `{name}`")))
    }

    /// Evaluates `get_property`. The result may hold further functions, which then stand in
    /// the context of the node it came from.
    pub(crate) fn property(&self, call: &Call, spot: &mut Spot) -> Result<Json, Refusal> {
        let arguments = call.list();
        if arguments.iter().any(is_function) {
            return Err(call.refusal("an argument of it is known at run time only"));
        }
        let [node, path @ ..] = arguments else { return Err(call.refusal("it has no arguments")) };
        let word = super::python_text(node);
        let (name, properties) = self.resolve_node(&word, spot)?;
        let found = lookup::property(properties, path, spot, &mut |value, _| Ok(value))?;
        let path = lookup::describe(path);
        found.map_err(|lost| {
            let why = match lost {
                Lost::Missing(why) | Lost::NotAnIndex(why) => why,
            };
            call.refusal(format!("the node `{name}` has no property `{path}`: {why}"))
        })
    }

    fn resolve_node(&self, word: &str, spot: &mut Spot) -> Result<(String, &Json), Refusal> {
        let misplaced = |needed: &str| {
            let message =
                format!("`{word}` means something in {needed} only, not in `{}`", spot.path);
            Refusal::new(Kind::Value, message)
        };
        let name = match word {
            "SELF" if spot.part != Part::Node => return Err(misplaced("a node")),
            "SOURCE" | "TARGET" if spot.part != Part::Relationship => {
                return Err(misplaced("a relationship"));
            }
            "SELF" | "SOURCE" => spot.context.node.clone().unwrap_or_default(),
            "TARGET" => spot.context.target_node.clone().unwrap_or_default(),
            name => {
                let properties = self.node(name)?;
                spot.context = Context::of_node(name);
                return Ok((name.to_owned(), properties));
            }
        };
        let properties = self.node(&name)?;
        Ok((name, properties))
    }
}

// === impl PlanTime ===

impl Visit for PlanTime {
    fn replaces(&self) -> bool {
        true
    }

    fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal> {
        self.left = false;
        let node = spot.context.node.as_deref().filter(|_| spot.path.ends_with(".properties"));
        match (node, values) {
            // What is evaluated later sees what was evaluated before.
            (Some(node), Json::Object(properties)) if spot.part == Part::Node => {
                for (name, value) in properties {
                    let evaluated = evaluate::value(self, value.take(), &spot.key(name))?;
                    self.known.set(node, name, &evaluated);
                    *value = evaluated;
                }
            }
            (_, values) => evaluate::children(self, values, spot)?,
        }
        Ok(self.left)
    }
}

impl Evaluate for PlanTime {
    fn call(&mut self, call: &Call, raw: &Json, spot: &mut Spot) -> Result<Json, Refusal> {
        if self.leaves_all || !call.name.is_static() {
            self.left |= spot.context.in_operation;
            return Ok(raw.clone());
        }
        match call.name {
            Name::GetInput => input(call, &spot.path, |name| {
                self.known.inputs.get(name).cloned().ok_or_else(|| unknown_input(name))
            }),
            Name::GetProperty => self.known.property(call, spot),
            _ => pure::evaluate(call, raw),
        }
    }

    fn effort(&mut self) -> &mut Effort {
        &mut self.effort
    }
}

pub(crate) fn unknown_input(name: &str) -> Refusal {
    Refusal::new(
        Kind::UnknownInput,
        format!("`get_input` asks for `{name}`, which is not an input"),
    )
}

/// Evaluates `get_input`; `fetch` brings the value of an input.
pub(crate) fn input(
    call: &Call,
    path: &str,
    fetch: impl FnOnce(&str) -> Result<Json, Refusal>,
) -> Result<Json, Refusal> {
    let arguments = call.list();
    if arguments.iter().any(is_function) {
        return Err(call.refusal("an argument of it is known at run time only"));
    }
    let [name, keys @ ..] = arguments else { return Err(call.refusal("it has no arguments")) };
    let name = super::python_text(name);
    let mut value = fetch(&name)?;
    for key in keys {
        let next = lookup::step(&value, key).map_err(|lost| {
            let message =
                format!("the input `{name}` has no `{}`: {}", lookup::describe(keys), lost.text());
            match value {
                Json::Object(_) | Json::Array(_) => Refusal::new(Kind::InputEvaluation, message),
                _ => call.refusal(message),
            }
        })?;
        value = next.clone();
    }
    match &call.return_type {
        Some(type_name) if !property::fits(&value, type_name) => {
            let message = format!(
                "`{path}` must be of type {type_name}, yet the input `{name}` is `{value}`"
            );
            Err(Refusal::new(Kind::InputEvaluation, message))
        }
        _ => Ok(value),
    }
}

//! Goes through every place of a plan where functions may stand, in `dsl_parser`'s order.
//!
//! Source: `dsl_parser/scan.py`.

use serde_json::{Map, Value as Json};

use super::context::{Context, Part, Spot};
use crate::Refusal;

/// Sees one container of values (properties, inputs, an output) and may replace what it holds.
/// Answers whether functions are left for run time.
pub(crate) trait Visit {
    /// Whether it replaces values: what it left is then visited again where it also stands.
    fn replaces(&self) -> bool {
        false
    }

    fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal>;
}

/// Shows every container to `visitor`.
pub(crate) fn plan(plan: &mut Json, visitor: &mut dyn Visit) -> Result<(), Refusal> {
    for node in plan["nodes"].as_array_mut().into_iter().flatten() {
        self::node(node, visitor)?;
        operations(node, visitor)?;
    }
    section(plan, "outputs", None, Part::Outputs, visitor)?;
    section(plan, "policies", Some("properties"), Part::Policies, visitor)?;
    section(plan, "scaling_groups", Some("properties"), Part::ScalingGroups, visitor)?;
    section(plan, "capabilities", None, Part::Capabilities, visitor)?;
    section(plan, "labels", None, Part::Labels, visitor)?;
    if let Some(settings) = plan.get_mut("deployment_settings") {
        let path = "deployment_settings".to_owned();
        visitor.visit(settings, &Spot::new(Part::DeploymentSettings, Context::default(), path))?;
    }
    Ok(())
}

/// Shows the properties and the capabilities of one node.
pub(crate) fn node(node: &mut Json, visitor: &mut dyn Visit) -> Result<(), Refusal> {
    let name = name_of(node);
    let context = Context::of_node(&name);
    if let Some(properties) = node.get_mut("properties") {
        let path = format!("nodes.{name}.properties");
        visitor.visit(properties, &Spot::new(Part::Node, context.clone(), path))?;
    }
    for (key, capability) in object_mut(node.get_mut("capabilities")) {
        if let Some(properties) = capability.get_mut("properties") {
            let path = format!("nodes.{name}.capabilities.{key}");
            visitor.visit(properties, &Spot::new(Part::Node, context.clone(), path))?;
        }
    }
    Ok(())
}

fn operations(node: &mut Json, visitor: &mut dyn Visit) -> Result<(), Refusal> {
    let name = name_of(node);
    let context = Context { in_operation: true, ..Context::of_node(&name) };
    let spot = Spot::new(Part::Node, context.clone(), format!("nodes.{name}.operations"));
    inputs(node.get_mut("operations"), &spot, visitor)?;
    for relationship in node["relationships"].as_array_mut().into_iter().flatten() {
        let text = |key: &str| relationship[key].as_str().map(str::to_owned);
        let (target_node, relationship_type) = (text("target_id"), text("type"));
        let path = format!("nodes.{name}.{}", relationship_type.as_deref().unwrap_or_default());
        let context = Context { target_node, relationship_type, ..context.clone() };
        let spot = Spot::new(Part::Relationship, context, path);
        inputs(relationship.get_mut("source_operations"), &spot, visitor)?;
        inputs(relationship.get_mut("target_operations"), &spot, visitor)?;
    }
    Ok(())
}

fn inputs(
    operations: Option<&mut Json>,
    spot: &Spot,
    visitor: &mut dyn Visit,
) -> Result<(), Refusal> {
    let Some(operations) = operations.and_then(Json::as_object_mut) else { return Ok(()) };
    if visitor.replaces() {
        return shared_inputs(operations, spot, visitor);
    }
    for (name, operation) in operations.iter_mut().filter(|(_, it)| may_have_functions(it)) {
        if let Some(inputs) = operation.get_mut("inputs") {
            visitor.visit(inputs, &spot.key(name).key("inputs"))?;
        }
    }
    Ok(())
}

/// An operation that stands in the plan under two names is one: it is visited under the short
/// name, and what that left under the full one.
fn shared_inputs(
    operations: &mut Map<String, Json>,
    spot: &Spot,
    visitor: &mut dyn Visit,
) -> Result<(), Refusal> {
    let names = operations.iter().filter(|(_, it)| may_have_functions(it)).map(|(name, _)| name);
    let names: Vec<(String, Option<String>)> =
        names.map(|name| (name.clone(), short_of(name, operations))).collect();
    let (full, short): (Vec<_>, Vec<_>) = names.into_iter().partition(|(_, short)| short.is_some());
    for (name, shares) in short.into_iter().chain(full) {
        if let Some(short) = &shares {
            operations[&name] = operations[short].clone();
        }
        let operation = &mut operations[&name];
        let Some(inputs) = operation.get_mut("inputs") else { continue };
        if visitor.visit(inputs, &spot.key(&name).key("inputs"))? {
            operation["has_intrinsic_functions"] = Json::Bool(true);
        }
        if let Some(short) = shares {
            operations[&short] = operations[&name].clone();
        }
    }
    Ok(())
}

/// Whether an input of an operation is more than a plain value. Most are not.
fn may_have_functions(operation: &Json) -> bool {
    let inputs = operation["inputs"].as_object();
    inputs.is_some_and(|inputs| inputs.values().any(|value| value.is_object() || value.is_array()))
}

/// The short name of the operation that has this full one.
fn short_of(name: &str, operations: &Map<String, Json>) -> Option<String> {
    let operation = &operations[name];
    let is_same = |short: &&str| operations.get(*short) == Some(operation);
    let after = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
    after.into_iter().find(is_same).map(str::to_owned)
}

fn section(
    plan: &mut Json,
    name: &str,
    inner: Option<&str>,
    part: Part,
    visitor: &mut dyn Visit,
) -> Result<(), Refusal> {
    for (key, entry) in object_mut(plan.get_mut(name)) {
        let path = format!("{name}.{key}");
        let spot = Spot::new(part, Context::default(), path);
        match inner {
            None => drop(visitor.visit(entry, &spot)?),
            Some(inner) => {
                if let Some(entry) = entry.get_mut(inner) {
                    visitor.visit(entry, &spot.key(inner))?;
                }
            }
        }
    }
    Ok(())
}

fn name_of(node: &Json) -> String {
    let name = node["name"].as_str().or_else(|| node["id"].as_str());
    name.unwrap_or_default().to_owned()
}

fn object_mut(json: Option<&mut Json>) -> impl Iterator<Item = (&String, &mut Json)> {
    json.and_then(Json::as_object_mut).into_iter().flatten()
}

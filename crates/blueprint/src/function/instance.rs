//! `get_attribute` and its kin: which instance is meant, and what it holds.

use std::{collections::HashSet, rc::Rc};

use serde_json::{Map as Object, Value as Json};

use super::{
    call::Call,
    context::{Context, Spot},
    lookup, python_text,
    runtime::{RunTime, identifier},
};
use crate::{Kind, Refusal};

const CONTAINED_IN: &str = "cloudify.relationships.contained_in";

/// Evaluates `get_attribute`: a runtime property, else a property.
pub(super) fn attribute(
    run: &mut RunTime<'_>,
    call: &Call,
    spot: &mut Spot,
) -> Result<Json, Refusal> {
    let [node, path @ ..] = call.list() else { return Err(call.refusal("it has no arguments")) };
    let instance = resolve(run, call, &python_text(node), &spot.context)?;
    let id = instance["id"].as_str().unwrap_or_default();
    if spot.context.self_instance.as_deref().is_some_and(|known| known != id) {
        spot.context.self_instance = Some(id.to_owned());
    }
    value_of(run, &instance, path, &spot.clone())
}

/// Evaluates `get_attributes_list`: the attribute of every instance.
pub(super) fn attributes_list(
    run: &mut RunTime<'_>,
    call: &Call,
    spot: &Spot,
) -> Result<Json, Refusal> {
    let [node, path @ ..] = call.list() else { return Err(call.refusal("it has no arguments")) };
    let instances = all(run, call, &python_text(node), spot)?;
    let values = instances.iter().map(|instance| value_of(run, instance, path, spot));
    Ok(Json::Array(values.collect::<Result<_, _>>()?))
}

/// Evaluates `get_attributes_dict`: some attributes of every instance, by instance.
pub(super) fn attributes_dict(
    run: &mut RunTime<'_>,
    call: &Call,
    spot: &Spot,
) -> Result<Json, Refusal> {
    let [node, paths @ ..] = call.list() else { return Err(call.refusal("it has no arguments")) };
    let mut by_instance = Object::new();
    for instance in all(run, call, &python_text(node), spot)?.iter() {
        let mut values = Object::new();
        for path in paths {
            let steps = path.as_array().map_or(std::slice::from_ref(path), Vec::as_slice);
            values.insert(identifier(path), value_of(run, instance, steps, spot)?);
        }
        let id = instance["id"].as_str().unwrap_or_default().to_owned();
        by_instance.insert(id, Json::Object(values));
    }
    Ok(Json::Object(by_instance))
}

fn all(
    run: &mut RunTime<'_>,
    call: &Call,
    word: &str,
    spot: &Spot,
) -> Result<Rc<Vec<Rc<Json>>>, Refusal> {
    let node = match meant(word, &spot.context) {
        Meant::Node => word.to_owned(),
        Meant::Instance(Some(id)) => {
            run.instance(&id)?["node_id"].as_str().unwrap_or_default().to_owned()
        }
        Meant::Instance(None) => {
            return Err(call.refusal(format!("`{word}` means nothing in `{}`", spot.path)));
        }
    };
    run.instances_of(&node)
}

/// What a word means as the name of a node.
enum Meant {
    /// This instance, if the context has it.
    Instance(Option<String>),
    /// The word is a node's name.
    Node,
}

fn meant(word: &str, context: &Context) -> Meant {
    match word {
        "SELF" => Meant::Instance(context.self_instance.clone()),
        "SOURCE" => Meant::Instance(context.source_instance.clone()),
        "TARGET" => Meant::Instance(context.target_instance.clone()),
        _ => Meant::Node,
    }
}

/// What an instance holds: runtime properties first, then its id and index, then properties.
fn value_of(
    run: &mut RunTime<'_>,
    instance: &Json,
    path: &[Json],
    spot: &Spot,
) -> Result<Json, Refusal> {
    let found = run.follow(&instance["runtime_properties"], path, spot)?;
    let found = found.ok().filter(|value| !value.is_null());
    if let Some(value) = found {
        return Ok(value);
    }
    let own = match path {
        [Json::String(key)] if key == "node_instance_id" => &instance["id"],
        [Json::String(key)] if key == "node_instance_index" => &instance["index"],
        _ => &Json::Null,
    };
    if !own.is_null() {
        return Ok(own.clone());
    }
    let node = run.node(instance["node_id"].as_str().unwrap_or_default())?;
    match run.follow(&node["properties"], path, spot)? {
        Ok(value) => Ok(value),
        Err(lookup::Lost::Missing(_)) => Ok(Json::Null),
        Err(lookup::Lost::NotAnIndex(why)) => Err(Refusal::new(
            Kind::FunctionEvaluation,
            format!("`{}` cannot be followed in `{}`: {why}", lookup::describe(path), spot.path),
        )),
    }
}

fn resolve(
    run: &mut RunTime<'_>,
    call: &Call,
    word: &str,
    context: &Context,
) -> Result<Rc<Json>, Refusal> {
    if let Some(preferred) = &context.preferred_instance {
        let instance = run.instance(preferred)?;
        if instance["node_id"] == word {
            return Ok(instance);
        }
    }
    match meant(word, context) {
        Meant::Instance(Some(id)) => run.instance(&id),
        Meant::Instance(None) => match (&context.node, word) {
            (Some(node), "SELF") => by_name(run, call, node, context),
            _ => Err(call.refusal(format!("`{word}` means nothing here"))),
        },
        Meant::Node => by_name(run, call, word, context),
    }
}

/// The instance of a node: the only one, the one that this instance relates to, or the one in
/// the same instance of a scaling group.
fn by_name(
    run: &mut RunTime<'_>,
    call: &Call,
    node: &str,
    context: &Context,
) -> Result<Rc<Json>, Refusal> {
    let instances = run.instances_of(node)?;
    match instances.as_slice() {
        [] => return Err(call.refusal(format!("the node `{node}` has no instances"))),
        [one] => return Ok(one.clone()),
        _ => {}
    }
    if let Some(related) = by_relationship(run, node, &instances, context)? {
        return Ok(related);
    }
    let around = match &context.self_instance {
        Some(own) => vec![own],
        None => context.source_instance.iter().chain(&context.target_instance).collect(),
    };
    for id in around {
        if let Some(instance) = by_group(run, id, &instances)? {
            return Ok(instance);
        }
    }
    let count = instances.len();
    Err(call.refusal(format!("the node `{node}` has {count} instances, and none is meant clearly")))
}

fn by_relationship(
    run: &mut RunTime<'_>,
    node: &str,
    instances: &[Rc<Json>],
    context: &Context,
) -> Result<Option<Rc<Json>>, Refusal> {
    let Some(own) = &context.self_instance else { return Ok(None) };
    let own = run.instance(own)?;
    let relationships = own["relationships"].as_array().into_iter().flatten();
    let targets: HashSet<&str> = relationships
        .filter(|relationship| relationship["target_name"] == node)
        .filter_map(|relationship| relationship["target_id"].as_str())
        .collect();
    let Some(target) = targets.iter().next().filter(|_| targets.len() == 1) else {
        return Ok(None);
    };
    Ok(instances.iter().find(|instance| instance["id"] == **target).cloned())
}

/// The instance that is in the same instance of the innermost group that both nodes share.
fn by_group(
    run: &mut RunTime<'_>,
    id: &str,
    instances: &[Rc<Json>],
) -> Result<Option<Rc<Json>>, Refusal> {
    let own = run.instance(id)?;
    let own = groups(run, &own)?;
    let theirs = match instances.first() {
        Some(first) => groups(run, first)?,
        None => return Ok(None),
    };
    let shared = own.iter().find(|(name, _)| theirs.iter().any(|(their, _)| their == name));
    let Some((name, group)) = shared else { return Ok(None) };
    let mut same = vec![];
    for instance in instances {
        if groups(run, instance)?.iter().any(|(other, id)| other == name && id == group) {
            same.push(instance);
        }
    }
    Ok(match same.as_slice() {
        [one] => Some(Rc::clone(one)),
        _ => None,
    })
}

/// The instances of groups around an instance, by name, the innermost first.
fn groups(run: &mut RunTime<'_>, instance: &Rc<Json>) -> Result<Vec<(String, String)>, Refusal> {
    let mut around = vec![];
    let mut seen = HashSet::new();
    let mut here = Some(instance.clone());
    while let Some(instance) = here {
        if !seen.insert(instance["id"].as_str().unwrap_or_default().to_owned()) {
            break;
        }
        for group in instance["scaling_groups"].as_array().into_iter().flatten() {
            let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
            around.push((text("name"), text("id")));
        }
        here = container(run, &instance)?;
    }
    Ok(around)
}

/// The instance that contains an instance.
fn container(run: &mut RunTime<'_>, instance: &Json) -> Result<Option<Rc<Json>>, Refusal> {
    let node = run.node(instance["node_id"].as_str().unwrap_or_default())?;
    let mut relationships = node["relationships"].as_array().into_iter().flatten();
    let Some(contains) = relationships.find(|relationship| {
        let hierarchy = relationship["type_hierarchy"].as_array().into_iter().flatten();
        hierarchy.into_iter().any(|name| name == CONTAINED_IN)
    }) else {
        return Ok(None);
    };
    let mut own = instance["relationships"].as_array().into_iter().flatten();
    let own = own.find(|relationship| relationship["target_name"] == contains["target_id"]);
    match own.and_then(|relationship| relationship["target_id"].as_str()) {
        Some(id) => run.instance(id).map(Some),
        None => Ok(None),
    }
}

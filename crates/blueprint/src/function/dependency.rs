//! What a plan needs of other deployments and of secrets.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map as Object, Value as Json, json};

use super::{
    Name,
    call::{Call, is_function},
    context::{Part, Spot},
    scan::{self, Visit},
};
use crate::{Kind, Refusal};

/// A capability of another deployment that some value of the plan asks for.
pub(crate) struct Dependency {
    spot: Spot,
    /// The id of the deployment, or the function that tells it.
    deployment: Json,
}

#[derive(Default)]
struct Finder {
    dependencies: Vec<Dependency>,
    secrets: BTreeSet<String>,
}

/// Finds the capabilities of other deployments that a plan asks for.
pub(crate) fn find(plan: &mut Json) -> Result<Vec<Dependency>, Refusal> {
    let mut finder = Finder::default();
    scan::plan(plan, &mut finder)?;
    Ok(finder.dependencies)
}

/// The names of the secrets that a plan asks for, as far as they are known.
pub(crate) fn secrets(plan: &mut Json) -> Result<BTreeSet<String>, Refusal> {
    let mut finder = Finder::default();
    scan::plan(plan, &mut finder)?;
    Ok(finder.secrets)
}

/// Describes dependencies as the plan does, once for each instance that has them.
pub(crate) fn describe(plan: &Json, dependencies: &[Dependency]) -> Result<Json, Refusal> {
    let mut instances: HashMap<&str, Vec<&Json>> = HashMap::new();
    for instance in plan["node_instances"].as_array().into_iter().flatten() {
        let node = instance["node_id"].as_str().unwrap_or_default();
        instances.entry(node).or_default().push(instance);
    }
    let mut described = vec![];
    for dependency in dependencies {
        let node = dependency.spot.context.node.as_deref().unwrap_or_default();
        let of_node = instances.get(node).map(Vec::as_slice).unwrap_or_default();
        match dependency.spot.part {
            Part::Node => {
                for instance in of_node {
                    described.push(dependency.describe(&json!({ "self": instance["id"] })));
                }
            }
            Part::Relationship => {
                for instance in of_node {
                    let id = &instance["id"];
                    let target = dependency.target_of(instance)?;
                    let context = json!({ "self": id, "source": id, "target": target });
                    described.push(dependency.describe(&context));
                }
            }
            _ => described.push(dependency.describe(&Json::Object(Object::new()))),
        }
    }
    Ok(Json::Array(described))
}

// === impl Dependency ===

impl Dependency {
    fn describe(&self, context: &Json) -> Json {
        let known = if is_function(&self.deployment) { &Json::Null } else { &self.deployment };
        json!({
            "function_identifier": format!("{}.get_capability", self.spot.path),
            "target_deployment": [known, self.deployment],
            "context": context,
        })
    }

    /// The instance at the other end of the relationship that has the dependency.
    fn target_of(&self, instance: &Json) -> Result<Json, Refusal> {
        let context = &self.spot.context;
        let is_it = |relationship: &&Json| {
            relationship["target_name"].as_str() == context.target_node.as_deref()
                && relationship["type"].as_str() == context.relationship_type.as_deref()
        };
        let relationships = instance["relationships"].as_array().into_iter().flatten();
        let found = relationships.into_iter().find(is_it);
        found.map(|relationship| relationship["target_id"].clone()).ok_or_else(|| {
            let message =
                format!("`{}` is in no relationship of {}", self.spot.path, instance["id"]);
            Refusal::new(Kind::Key, message)
        })
    }
}

// === impl Finder ===

impl Visit for Finder {
    fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal> {
        self.children(values, spot)?;
        Ok(false)
    }
}

impl Finder {
    fn children(&mut self, values: &Json, spot: &Spot) -> Result<(), Refusal> {
        match values {
            Json::Object(object) => {
                for (key, value) in object.iter().filter(|(_, it)| it.is_object() || it.is_array())
                {
                    self.value(value, &spot.key(key))?;
                }
            }
            Json::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    if value.is_object() || value.is_array() {
                        self.value(value, &spot.index(index))?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, value: &Json, spot: &Spot) -> Result<(), Refusal> {
        self.children(value, spot)?;
        let Some(call) = Call::parse(value)? else { return Ok(()) };
        match call.name {
            Name::GetCapability => {
                let deployment = call.list().first().cloned().unwrap_or_default();
                self.dependencies.push(Dependency { spot: spot.clone(), deployment });
            }
            Name::GetSecret => {
                if let Some(Json::String(name)) = call.list().first() {
                    self.secrets.insert(name.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

//! Judges every function of a plan when the blueprint is uploaded, and lists what the plan
//! will need of others: secrets and capabilities of the environment.

use std::collections::HashSet;

use serde_json::{Value as Json, json};

use super::{
    Name,
    call::{Call, is_function},
    context::{Part, Spot},
    plan::{Known, unknown_input},
    pure,
    scan::{self, Visit},
};
use crate::{Kind, Refusal, nearest, version::Version};

/// A fault in a function, and the way to the function.
pub(crate) struct Faulty {
    pub(crate) path: String,
    pub(crate) refusal: Refusal,
    pub(crate) hint: Option<String>,
}

struct Validator<'k> {
    known: &'k Known,
    nodes: HashSet<String>,
    version: Version,
    faults: Vec<Faulty>,
}

struct Requirements {
    secrets: Vec<Json>,
    parent_capabilities: Vec<Json>,
}

/// Judges every function of the plan.
pub(crate) fn validate(plan: &mut Json) -> Vec<Faulty> {
    let known = Known::of(plan);
    let nodes = plan["nodes"].as_array().into_iter().flatten();
    let nodes = nodes.filter_map(|node| node["id"].as_str().map(str::to_owned)).collect();
    let version = Version::of_plan(plan);
    let mut validator = Validator { known: &known, nodes, version, faults: vec![] };
    if let Err(refusal) = scan::plan(plan, &mut validator) {
        validator.faults.push(Faulty { path: String::new(), refusal, hint: None });
    }
    validator.faults
}

/// The plan's `requirements`.
pub(crate) fn requirements(plan: &mut Json) -> Result<Json, Refusal> {
    let mut found = Requirements { secrets: vec![], parent_capabilities: vec![] };
    scan::plan(plan, &mut found)?;
    Ok(json!({ "parent_capabilities": found.parent_capabilities, "secrets": found.secrets }))
}

/// Shows every call to `see`, a call before its arguments.
fn calls(values: &Json, spot: &Spot, see: &mut dyn FnMut(Result<Call, Refusal>, &Spot)) {
    let mut child = |value: &Json, spot: &Spot| {
        match Call::parse(value) {
            Ok(None) => {}
            Ok(Some(call)) => see(Ok(call), spot),
            Err(refusal) => return see(Err(refusal), spot),
        }
        calls(value, spot, see);
    };
    match values {
        Json::Object(object) => {
            for (key, value) in object {
                if value.is_object() || value.is_array() {
                    child(value, &spot.key(key));
                }
            }
        }
        Json::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                if value.is_object() || value.is_array() {
                    child(value, &spot.index(index));
                }
            }
        }
        _ => {}
    }
}

// === impl Validator ===

impl Visit for Validator<'_> {
    fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal> {
        calls(values, spot, &mut |call, spot| {
            let judged = match call {
                Ok(call) => self.judge(&call, spot),
                Err(refusal) => Err((refusal, None)),
            };
            if let Err((refusal, hint)) = judged {
                self.faults.push(Faulty { path: spot.path.clone(), refusal, hint });
            }
        });
        Ok(false)
    }
}

impl Validator<'_> {
    fn judge(&self, call: &Call, spot: &Spot) -> Result<(), (Refusal, Option<String>)> {
        let bare = |refusal| (refusal, None);
        match call.name {
            Name::GetInput => match call.list().first() {
                Some(Json::String(name)) if !self.known.has_input(name) => {
                    let hint = nearest::hint(name, self.known.input_names());
                    Err((unknown_input(name), hint))
                }
                _ => Ok(()),
            },
            Name::GetProperty if !call.list().iter().any(is_function) => {
                let judged = self.known.property(call, &mut spot.clone()).map(drop);
                let hint = || {
                    let name = call.list()[0].as_str()?;
                    let unknown = !self.known.has_node(name);
                    unknown.then(|| nearest::hint(name, self.nodes.iter().map(String::as_str)))?
                };
                judged.map_err(|refusal| (refusal, hint()))
            }
            Name::GetAttribute | Name::GetAttributesList | Name::GetAttributesDict => {
                self.attribute(call, spot)
            }
            Name::GetSys => system(call).map_err(bare),
            Name::Concat => self.since(Version::V1_1, call).map_err(bare),
            Name::Merge => self.since(Version::V1_3, call).and_then(|()| dicts(call)).map_err(bare),
            _ => pure::validate(call).map_err(bare),
        }
    }

    fn since(&self, least: Version, call: &Call) -> Result<(), Refusal> {
        self.version.require(least, &format!("`{}`", call.name.as_str())).map_err(|refusal| {
            Refusal { kind: Kind::FunctionValidation, code: None, message: refusal.message }
        })
    }

    fn attribute(&self, call: &Call, spot: &Spot) -> Result<(), (Refusal, Option<String>)> {
        let arguments = call.list();
        if arguments.iter().any(is_function) {
            return Ok(());
        }
        let word = arguments.first().map(super::python_text).unwrap_or_default();
        if !matches!(word.as_str(), "SELF" | "SOURCE" | "TARGET") {
            if self.nodes.contains(&word) {
                return Ok(());
            }
            let message =
                format!("`{}` asks for the node `{word}`, which is not there", call.name.as_str());
            let hint = nearest::hint(&word, self.nodes.iter().map(String::as_str));
            return Err((Refusal::new(Kind::Key, message), hint));
        }
        let (kind, allowed) = match spot.part {
            Part::Outputs => (Kind::Value, false),
            Part::Relationship => (Kind::Value, word != "SELF"),
            Part::Node => (Kind::Value, word == "SELF"),
            _ => (Kind::Key, false),
        };
        if allowed {
            return Ok(());
        }
        let message = format!("`{word}` means nothing in `{}`", spot.path);
        Err((Refusal::new(kind, message), None))
    }
}

/// What can be asked of the system.
const SYSTEM: [(&str, &str); 5] = [
    ("tenant", "name"),
    ("deployment", "id"),
    ("deployment", "name"),
    ("deployment", "blueprint"),
    ("deployment", "owner"),
];

fn system(call: &Call) -> Result<(), Refusal> {
    let [entity, property, ..] = call.list() else { return Ok(()) };
    if is_function(entity) {
        return Ok(());
    }
    let entity = super::python_text(entity);
    if !SYSTEM.iter().any(|(known, _)| *known == entity) {
        let message = format!("`get_sys` knows `tenant` and `deployment`, not `{entity}`");
        return Err(Refusal::new(Kind::UnknownSysEntity, message));
    }
    let known = |property: &Json| {
        property.as_str().is_some_and(|property| SYSTEM.contains(&(entity.as_str(), property)))
    };
    if is_function(property) || known(property) {
        return Ok(());
    }
    let message = format!("`get_sys` knows no `{}` of `{entity}`", super::python_text(property));
    Err(Refusal::new(Kind::UnknownSysProperty, message))
}

fn dicts(call: &Call) -> Result<(), Refusal> {
    match call.list().iter().find(|item| !item.is_object()) {
        None => Ok(()),
        Some(item) => {
            let message = format!("`merge` takes dicts, not `{item}`");
            Err(Refusal::new(Kind::FunctionValidation, message))
        }
    }
}

// === impl Requirements ===

impl Visit for Requirements {
    fn visit(&mut self, values: &mut Json, spot: &Spot) -> Result<bool, Refusal> {
        let mut fault = None;
        calls(values, spot, &mut |call, _| match call {
            Ok(call) if call.name == Name::GetSecret => self.secrets.push(call.arguments),
            Ok(call) if call.name == Name::GetEnvironmentCapability => {
                self.parent_capabilities.push(Json::Array(call.list().to_vec()));
            }
            Ok(_) => {}
            Err(refusal) => fault = fault.take().or(Some(refusal)),
        });
        fault.map_or(Ok(false), Err)
    }
}

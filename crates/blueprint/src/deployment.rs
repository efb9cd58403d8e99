//! A plan with its inputs filled in: what a deployment is made from.
//!
//! Source: `dsl_parser/tasks.py`, `prepare_deployment_plan`.

use serde_json::{Map as Object, Value as Json};

use crate::{
    Ids, Kind, Plan, Refusal, TakenIds, Values, code, constraint, function,
    function::dependency,
    instances, nearest,
    property::{DataTypes, Judge, is_truthy, schema_of_json},
};

/// What a deployment is asked to be.
#[derive(Default)]
pub struct Request<'r> {
    pub inputs: Object<String, Json>,
    /// Whether functions are left alone until their values are needed.
    pub runtime_only_evaluation: bool,
    /// Whether text that looks like a number or a boolean becomes one where its input says so:
    /// for inputs that were typed on a command line.
    pub auto_correct_types: bool,
    /// Knows the names that inputs of types such as `deployment_id` may have.
    pub values: Option<&'r dyn Values>,
    /// Says whether a secret is there. A plan that needs secrets needs this.
    pub has_secret: Option<&'r dyn Fn(&str) -> bool>,
    /// The instance ids that are taken, by node.
    pub taken_ids: TakenIds,
}

/// Fills in inputs, evaluates what is known, and makes the node instances.
///
/// The answer is the plan with `inputs` as values, `node_instances` and
/// `inter_deployment_functions`.
pub fn prepare_deployment(
    plan: Plan,
    request: Request<'_>,
    ids: &mut dyn Ids,
) -> Result<Json, Refusal> {
    let mut plan = plan.0;
    let inputs = inputs(&plan, &request)?;
    plan["inputs"] = Json::Object(inputs);
    function::plan::fill_in(&mut plan, request.runtime_only_evaluation)?;
    share_inputs(&mut plan);
    check_secrets(&mut plan, request.has_secret)?;
    let dependencies = dependency::find(&mut plan)?;
    instances::create_node_instances(&mut plan, ids, request.taken_ids)?;
    plan["inter_deployment_functions"] = dependency::describe(&plan, &dependencies)?;
    Ok(plan)
}

fn inputs(plan: &Json, request: &Request<'_>) -> Result<Object<String, Json>, Refusal> {
    let none = Object::new();
    let definitions = plan["inputs"].as_object().unwrap_or(&none);
    let types = plan["data_types"].as_object().into_iter().flatten();
    let data_types: DataTypes =
        types.map(|(name, of)| (name.clone(), schema_of_json(&of["properties"]))).collect();
    let mut inputs = request.inputs.clone();
    let mut missing = vec![];
    for (name, definition) in definitions {
        let given =
            inputs.get(name).or_else(|| definition.get("default").filter(|it| !it.is_null()));
        let value = match given.cloned().or_else(|| from_type(name, definition, &data_types)) {
            Some(value) => value,
            None if definition["required"].as_bool().unwrap_or(true) => {
                missing.push(format!("`{name}`"));
                continue;
            }
            None => {
                inputs.insert(name.clone(), Json::Null);
                continue;
            }
        };
        let type_name = definition["type"].as_str();
        let value = if request.auto_correct_types { corrected(value, type_name) } else { value };
        constraint::judge(name, definition, &value, request.values)?;
        let holder = format!("the input `{name}`");
        let judge = Judge { data_types: &data_types, holder: &holder, must_be_complete: true };
        let value = judge.value(&value, None, type_name, &[]).map_err(|misfit| {
            let mut refusal = misfit.refusal;
            if refusal.kind == Kind::Logic {
                refusal.kind = Kind::Parsing;
                refusal.code = Some(code::INPUT_VIOLATES_DATA_TYPE);
            }
            refusal
        })?;
        inputs.insert(name.clone(), value);
    }
    let known = || definitions.keys().map(String::as_str);
    if !missing.is_empty() {
        let message = format!("the deployment needs a value for the input {}", missing.join(", "));
        return Err(Refusal::new(Kind::MissingInput, message));
    }
    match inputs.keys().find(|name| !definitions.contains_key(*name)) {
        None => Ok(inputs),
        Some(unknown) => {
            let hint = nearest::hint(unknown, known()).map(|hint| format!("; {hint}"));
            let names: Vec<_> = known().collect();
            let message = format!(
                "the blueprint has no input `{unknown}`, only: {}{}",
                if names.is_empty() { "none".to_owned() } else { names.join(", ") },
                hint.unwrap_or_default()
            );
            Err(Refusal::new(Kind::UnknownInput, message))
        }
    }
}

/// A value of a data type whose properties all have defaults.
fn from_type(name: &str, definition: &Json, data_types: &DataTypes) -> Option<Json> {
    let judge = Judge { data_types, holder: name, must_be_complete: true };
    let empty = Json::Object(Object::new());
    let value = judge.value(&empty, None, definition["type"].as_str(), &[]).ok()?;
    is_truthy(&value).then_some(value)
}

fn corrected(value: Json, type_name: Option<&str>) -> Json {
    let Json::String(text) = &value else { return value };
    let corrected = match type_name {
        Some("integer") => text.trim().parse::<i64>().ok().map(Json::from),
        Some("float") => text.trim().parse::<f64>().ok().map(Json::from),
        Some("boolean") => match text.as_str() {
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            _ => None,
        },
        _ => None,
    };
    corrected.unwrap_or(value)
}

/// The inputs of operations are told twice, under `operations` and under `interfaces`; in
/// `dsl_parser` both are one dict, so that what is evaluated shows in both.
fn share_inputs(plan: &mut Json) {
    for node in plan["nodes"].as_array_mut().into_iter().flatten() {
        share(node, "operations", "interfaces");
        for relationship in node["relationships"].as_array_mut().into_iter().flatten() {
            share(relationship, "source_operations", "source_interfaces");
            share(relationship, "target_operations", "target_interfaces");
        }
    }
}

fn share(holder: &mut Json, operations: &str, interfaces: &str) {
    let mut taken = holder[interfaces].take();
    let operations = &holder[operations];
    for (interface, of) in taken.as_object_mut().into_iter().flatten() {
        for (name, operation) in of.as_object_mut().into_iter().flatten() {
            let evaluated = &operations[format!("{interface}.{name}")]["inputs"];
            let Some(evaluated) = evaluated.as_object() else { continue };
            // A script has inputs of its own: those of the interface and the script's path.
            if evaluated.len() != operation["inputs"].as_object().map_or(0, Object::len) {
                continue;
            }
            for (input, value) in operation["inputs"].as_object_mut().into_iter().flatten() {
                if let Some(evaluated) = evaluated.get(input) {
                    *value = evaluated.clone();
                }
            }
        }
    }
    holder[interfaces] = taken;
}

fn check_secrets(
    plan: &mut Json,
    has_secret: Option<&dyn Fn(&str) -> bool>,
) -> Result<(), Refusal> {
    let secrets = dependency::secrets(plan)?;
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(has_secret) = has_secret else {
        let message = "the plan needs secrets, which cannot be had here";
        return Err(Refusal::new(Kind::UnsupportedSecret, message));
    };
    let missing: Vec<_> =
        secrets.iter().filter(|name| !has_secret(name)).map(|name| format!("`{name}`")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message =
        format!("the deployment needs secrets that are not there: {}", missing.join(", "));
    Err(Refusal::new(Kind::UnknownSecret, message))
}

//! Functions evaluate at run time as the real `dsl_parser` evaluates them. `rows.jsonl` was
//! recorded from `dsl_parser.functions.evaluate_functions` of cloudify-common 7.0.5 against the
//! store in `storage.json`.

use serde_json::Value as Json;
use waggoner_blueprint::{
    Kind, Refusal, Scope, Storage, evaluate, evaluate_capabilities, evaluate_outputs, nested_value,
};

/// The store of `storage.json`.
struct Recorded(Json);

impl Recorded {
    fn read() -> Self {
        Self(serde_json::from_str(include_str!("runtime/storage.json")).expect("it is JSON"))
    }

    fn get(&self, section: &str, name: &str) -> Result<Json, Refusal> {
        let missing = || Refusal::new(Kind::Key, format!("there is no `{name}` in {section}"));
        self.0[section].get(name).cloned().ok_or_else(missing)
    }
}

impl Storage for Recorded {
    fn input(&self, name: &str) -> Result<Json, Refusal> {
        self.get("inputs", name).map_err(|it| Refusal::new(Kind::UnknownInput, it.message))
    }

    fn node(&self, id: &str) -> Result<Json, Refusal> {
        self.get("nodes", id)
    }

    fn node_instances(&self, node: &str) -> Result<Vec<Json>, Refusal> {
        let all = self.0["instances"].as_object().into_iter().flatten();
        Ok(all.map(|(_, it)| it).filter(|it| it["node_id"] == node).cloned().collect())
    }

    fn node_instance(&self, id: &str) -> Result<Json, Refusal> {
        self.get("instances", id)
    }

    fn secret(&self, name: &str) -> Result<String, Refusal> {
        let secret = self.get("secrets", name);
        let secret = secret.map_err(|it| Refusal::new(Kind::UnknownSecret, it.message))?;
        Ok(secret.as_str().expect("a secret is text").to_owned())
    }

    fn capability(&self, path: &[Json]) -> Result<Json, Refusal> {
        let [deployment, capability, keys @ ..] = path else { panic!("a path has two steps") };
        let of = self.get("capabilities", deployment.as_str().unwrap_or_default())?;
        nested_value(&of[capability.as_str().unwrap_or_default()], keys)
    }

    fn label(&self, key: &str, index: Option<usize>) -> Result<Json, Refusal> {
        let values = self.get("labels", key)?;
        Ok(index.map_or_else(|| values.clone(), |index| values[index].clone()))
    }

    fn system(&self, entity: &str, property: &str) -> Result<Json, Refusal> {
        Ok(Json::String(format!("{entity}.{property}")))
    }

    fn consumers(&self, property: &str) -> Result<Json, Refusal> {
        Ok(Json::String(property.to_owned()))
    }
}

fn scope(recorded: &Json) -> Scope {
    let id = |key: &str| recorded[key].as_str().map(str::to_owned);
    match (id("self"), id("source"), id("target")) {
        (Some(id), ..) => Scope::Instance(id),
        (None, Some(source), Some(target)) => Scope::Relationship { source, target },
        _ => Scope::Deployment,
    }
}

#[test]
fn every_row_evaluates_as_dsl_parser_evaluates_it() {
    let storage = Recorded::read();
    let mut wrong = vec![];
    for row in include_str!("runtime/rows.jsonl").lines() {
        let row: Json = serde_json::from_str(row).unwrap();
        let ours = evaluate(row["value"].clone(), &scope(&row["scope"]), "payload.v", &storage);
        let agrees = match (&ours, row.get("result")) {
            (Ok(value), Some(expected)) => value == expected,
            (Err(refusal), None) => {
                // Where Python runs into an error of its own, any refusal will do.
                let theirs = row["error"].as_str().unwrap_or_default();
                refusal.kind.exception() == theirs || !theirs.ends_with("EvaluationError")
            }
            _ => false,
        };
        if !agrees {
            wrong.push(format!("{row}\n    ours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_output_that_cannot_be_had_does_not_spoil_the_others() {
    let storage = Recorded::read();
    let outputs = serde_json::json!({
        "good": { "value": { "get_attribute": ["host", "public"] }, "description": "an address" },
        "unclear": { "value": { "get_attribute": ["none", "x"] } },
        "secret": { "value": { "get_secret": "nope" } },
    });
    let values = evaluate_outputs(&outputs, &storage).unwrap();
    assert_eq!(values["good"], "1.2.3.4");
    assert!(values["unclear"].as_str().unwrap().starts_with("<ERROR: "));
    assert!(!values.contains_key("secret"));
    let refusal = evaluate_capabilities(&outputs, &storage).unwrap_err();
    assert_eq!(refusal.kind, Kind::FunctionEvaluation);
}

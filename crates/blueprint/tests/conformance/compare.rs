//! When two plans are the same.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::Value as Json;

/// Lists that stand for sets.
const SETS: [&str; 2] = ["members", "secrets"];

/// Compares two plans, and tells the first difference.
pub(crate) fn plans(ours: &Json, theirs: &Json) -> Result<(), String> {
    match difference("", ours, theirs) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

/// Compares two deployment plans; instances are the same when they have the same neighbours.
pub(crate) fn deployments(ours: &Json, theirs: &Json) -> Result<(), String> {
    plans(&anonymous(ours), &anonymous(theirs))
}

/// Puts in the place of each instance's id what its neighbourhood looks like.
pub(crate) fn anonymous(plan: &Json) -> Json {
    let mut plan = plan.clone();
    let instances = plan["node_instances"].as_array().cloned().unwrap_or_default();
    let mut looks: HashMap<String, u64> = HashMap::new();
    for _ in 0..6 {
        let mut next: HashMap<String, u64> = HashMap::new();
        let look = |id: &Json| looks.get(id.as_str().unwrap_or_default()).copied();
        for instance in &instances {
            let mut hasher = DefaultHasher::new();
            (instance["name"].as_str(), instance["modification"].as_str()).hash(&mut hasher);
            look(&instance["host_id"]).hash(&mut hasher);
            let mut around = 0_u64;
            for key in ["relationships", "scaling_groups"] {
                for of in instance[key].as_array().into_iter().flatten() {
                    let mut hasher = DefaultHasher::new();
                    (key, of["type"].as_str(), of["target_name"].as_str(), of["name"].as_str())
                        .hash(&mut hasher);
                    look(&of["target_id"]).or(look(&of["id"])).hash(&mut hasher);
                    around = around.wrapping_add(hasher.finish());
                }
            }
            around.hash(&mut hasher);
            let own = hasher.finish();
            let id = instance["id"].as_str().expect("an instance has an id").to_owned();
            let seen = next.entry(id).or_default();
            *seen = seen.wrapping_add(own);
            // What relates to an instance, or is in an instance of a group, is a part of its look.
            for key in ["relationships", "scaling_groups"] {
                for of in instance[key].as_array().into_iter().flatten() {
                    let to = of["target_id"].as_str().or(of["id"].as_str());
                    let to = to.expect("a target has an id").to_owned();
                    let mut hasher = DefaultHasher::new();
                    (key, own, of["type"].as_str()).hash(&mut hasher);
                    let seen = next.entry(to).or_default();
                    *seen = seen.wrapping_add(hasher.finish());
                }
            }
        }
        looks = next;
    }
    rename(&mut plan, &looks);
    if let Some(instances) = plan["node_instances"].as_array_mut() {
        for instance in instances.iter_mut() {
            if let Some(relationships) = instance["relationships"].as_array_mut() {
                relationships.sort_by_key(ToString::to_string);
            }
            sort_keys(instance);
        }
        instances.sort_by_key(ToString::to_string);
    }
    if let Some(functions) = plan["inter_deployment_functions"].as_array_mut() {
        functions.iter_mut().for_each(sort_keys);
        functions.sort_by_key(ToString::to_string);
    }
    plan
}

fn sort_keys(json: &mut Json) {
    match json {
        Json::Object(object) => {
            object.sort_keys();
            object.values_mut().for_each(sort_keys);
        }
        Json::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

fn rename(json: &mut Json, looks: &HashMap<String, u64>) {
    match json {
        Json::String(text) => {
            if let Some(look) = looks.get(text) {
                *text = format!("#{look:x}");
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rename(item, looks)),
        Json::Object(object) => object.values_mut().for_each(|value| rename(value, looks)),
        _ => {}
    }
}

fn difference(path: &str, ours: &Json, theirs: &Json) -> Option<String> {
    let tell = || Some(format!("{path}: ours {ours}, theirs {theirs}"));
    match (ours, theirs) {
        (Json::Object(one), Json::Object(two)) => {
            let missing = two.keys().find(|key| !one.contains_key(*key));
            if let Some(key) = missing {
                return Some(format!("{path}.{key} is missing, theirs {}", two[key]));
            }
            let more = one.keys().find(|key| !two.contains_key(*key));
            if let Some(key) = more {
                return Some(format!("{path}.{key} is too much: {}", one[key]));
            }
            one.iter()
                .find_map(|(key, value)| difference(&format!("{path}.{key}"), value, &two[key]))
        }
        (Json::Array(one), Json::Array(two)) => {
            if one.len() != two.len() {
                return tell();
            }
            if SETS.iter().any(|set| path.ends_with(set)) {
                let sorted = |items: &[Json]| {
                    let mut texts: Vec<_> = items.iter().map(ToString::to_string).collect();
                    texts.sort();
                    texts
                };
                return if sorted(one) == sorted(two) { None } else { tell() };
            }
            let pairs = one.iter().zip(two).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (one, two))| difference(&format!("{path}[{at}]"), one, two))
        }
        _ if ours == theirs => None,
        _ => tell(),
    }
}

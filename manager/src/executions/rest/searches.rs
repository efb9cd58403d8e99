//! `/searches` (`rest/resources_v3_1/searches.py`): lists, chosen by rules in the body.

use serde_json::Value;

use crate::executions::{
    answers::Unanswered,
    rest::{
        blueprints,
        deployments::{self, Seen},
        instances,
        list::Chosen,
        nodes,
        reply::Answered,
        request::Call,
        secrets,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let ("POST", [resource]) = (call.method, call.path) else {
        return call.unknown("searches");
    };
    if !call.field("constraints").is_null() {
        let why = "this manager chooses by `filter_rules`, not by `constraints`";
        return Err(Unanswered::refused("illegal_action_error", why));
    }
    let rules = call.field("filter_rules").as_array().into_iter().flatten();
    let mut chosen = Chosen::by(call.query, rules.map(Rule::read).collect::<Result<_, _>>()?);
    match *resource {
        "blueprints" => blueprints::gather(call, &mut chosen).await?,
        "deployments" => deployments::gather(call, &mut chosen).await?,
        "node-instances" => instances::gather(call, &mut chosen).await?,
        "nodes" => nodes::gather(call, &mut chosen).await?,
        "secrets" => secrets::gather(call, &mut chosen).await?,
        "workflows" | "scaling-groups" => of_deployments(call, resource, &mut chosen).await?,
        _ => return call.unknown("searches"),
    }
    chosen.answer()
}

async fn of_deployments(
    call: &Call<'_>,
    resource: &str,
    chosen: &mut Chosen<'_>,
) -> Result<(), Unanswered> {
    for id in nodes::meant(call).await? {
        let Ok(seen) = Seen::load(call, &id).await else { continue };
        if resource == "workflows" {
            let instances = seen.instances(call).await?;
            let workflows = deployments::workflows(&seen, &instances);
            let workflows = workflows.as_array().cloned().unwrap_or_default();
            workflows.into_iter().try_for_each(|workflow| chosen.take(workflow))?;
        } else {
            let groups = deployments::scaling_groups(&seen);
            groups.into_iter().try_for_each(|group| chosen.take(group))?;
        }
    }
    Ok(())
}

/// A rule of a filter.
#[derive(Debug)]
pub(super) struct Rule<'r> {
    key: &'r str,
    values: Vec<&'r str>,
    operator: &'r str,
    is_label: bool,
}

// === impl Rule ===

impl<'r> Rule<'r> {
    fn read(rule: &'r Value) -> Result<Self, Unanswered> {
        let wrong = |why: &str| Unanswered::invalid(&format!("a filter rule {why}"));
        let text = |name: &str| {
            rule[name].as_str().ok_or_else(|| wrong(&format!("needs the text `{name}`")))
        };
        let operator = text("operator")?;
        let known = [
            "any_of",
            "not_any_of",
            "is_null",
            "is_not_null",
            "is_not",
            "contains",
            "not_contains",
            "starts_with",
            "ends_with",
        ];
        if !known.contains(&operator) {
            return Err(wrong(&format!("has no operator `{operator}`")));
        }
        let values = match &rule["values"] {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            Value::String(value) => vec![value.as_str()],
            _ => Vec::new(),
        };
        let is_label = text("type")? == "label";
        Ok(Self { key: text("key")?, values, operator, is_label })
    }

    pub(super) fn holds(&self, item: &Value) -> bool {
        let found: Vec<&str> = if self.is_label {
            let labels = item["labels"].as_array().into_iter().flatten();
            let of_key = labels.filter(|label| label["key"] == self.key.to_lowercase());
            of_key.filter_map(|label| label["value"].as_str()).collect()
        } else {
            item[self.key].as_str().into_iter().collect()
        };
        let any = |matches: fn(&str, &str) -> bool| {
            found.iter().any(|found| self.values.iter().any(|value| matches(found, value)))
        };
        match self.operator {
            "any_of" => any(|found, value| found == value),
            "not_any_of" => !found.is_empty() && !any(|found, value| found == value),
            "is_not" => !any(|found, value| found == value),
            "contains" => any(|found, value| found.contains(value)),
            "not_contains" => !any(|found, value| found.contains(value)),
            "starts_with" => any(|found, value| found.starts_with(value)),
            "ends_with" => any(|found, value| found.ends_with(value)),
            "is_null" => found.is_empty(),
            _ => !found.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_looks_at_labels_or_at_fields() {
        let item = json!({"id": "web-1", "labels": [{"key": "env", "value": "test"}]});
        let holds = |kind: &str, key: &str, operator: &str, values: &[&str]| {
            let rule = json!({"type": kind, "key": key, "operator": operator, "values": values});
            Rule::read(&rule).unwrap().holds(&item)
        };
        assert!(holds("label", "Env", "any_of", &["prod", "test"]));
        assert!(!holds("label", "env", "not_any_of", &["test"]));
        assert!(!holds("label", "tier", "not_any_of", &["1"]), "it has to be there");
        assert!(
            holds("label", "tier", "is_null", &[]) && holds("label", "env", "is_not_null", &[])
        );
        assert!(holds("attribute", "id", "starts_with", &["web"]));
        assert!(!holds("attribute", "id", "contains", &["db"]));
        let unknown = json!({"type": "label", "key": "env", "operator": "like", "values": []});
        assert!(Rule::read(&unknown).is_err());
    }
}

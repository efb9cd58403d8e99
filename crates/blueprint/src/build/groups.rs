//! Groups: sets of nodes and groups, with the policies that watch them.

use serde_json::{Map as Object, Value as Json, json};

use super::{Builder, policies::PolicyTypes};
use crate::{
    Refusal, code, nearest,
    property::{self, Judge, Schema},
    tree::{Field, Tree},
};

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn groups(
        &mut self,
        tree: &Tree,
        nodes: &[String],
        policy_types: &PolicyTypes,
        triggers: &PolicyTypes,
    ) -> Object<String, Json> {
        let mut groups = Object::new();
        for (name, field) in tree.entries() {
            let path = format!("groups.{name}");
            if nodes.iter().any(|node| node == name) {
                let message = format!("a group and a node are both called `{name}`");
                let refusal = Refusal::logic(code::GROUP_NAMED_AS_NODE, message);
                self.report(field.key_place, &path, refusal);
            }
            let members = self.members(name, field, tree, nodes, &path);
            let mut policies = Object::new();
            for (policy, field) in field.value.get("policies").into_iter().flat_map(Tree::entries) {
                let path = format!("{path}.policies.{policy}");
                let made =
                    self.group_policy((name, policy), &field.value, policy_types, triggers, &path);
                policies.insert(policy.to_owned(), made);
            }
            groups.insert(name.to_owned(), json!({ "members": members, "policies": policies }));
        }
        groups
    }

    fn members(
        &mut self,
        name: &str,
        field: &Field,
        groups: &Tree,
        nodes: &[String],
        path: &str,
    ) -> Vec<String> {
        let mut members: Vec<String> = vec![];
        for item in field.value.get("members").map(Tree::items).unwrap_or_default() {
            let Some(member) = item.as_str() else { continue };
            let is_group = groups.as_map().is_some_and(|groups| groups.contains_key(member));
            if !is_group && !nodes.iter().any(|node| node == member) {
                let message = format!("the member `{member}` of the group `{name}` is not there");
                let refusal = Refusal::logic(code::UNKNOWN_MEMBER, message);
                let known =
                    nodes.iter().map(String::as_str).chain(groups.entries().map(|(it, _)| it));
                let hint = nearest::hint(member, known);
                self.report_unknown(item.place, path, refusal, hint);
            }
            if !members.iter().any(|known| known == member) {
                members.push(member.to_owned());
            }
        }
        if members.is_empty() {
            let message = format!("the group `{name}` needs at least one member");
            self.report(field.value.place_at(["members"]), path, Refusal::format(message));
        }
        members
    }

    fn group_policy(
        &mut self,
        (group, name): (&str, &str),
        tree: &Tree,
        policy_types: &PolicyTypes,
        triggers: &PolicyTypes,
        path: &str,
    ) -> Json {
        let holder = format!("the policy `{name}` of the group `{group}`");
        let code = code::UNKNOWN_POLICY_TYPE;
        let properties = self.typed(tree, "properties", policy_types, &holder, path, code);
        let mut made_triggers = Object::new();
        for (trigger, field) in tree.get("triggers").into_iter().flat_map(Tree::entries) {
            let path = format!("{path}.triggers.{trigger}");
            let holder = format!("the trigger `{trigger}` of {holder}");
            let tree = &field.value;
            let code = code::UNKNOWN_TRIGGER;
            let parameters = self.typed(tree, "parameters", triggers, &holder, &path, code);
            let of_type = tree.get("type").map(Tree::to_json);
            made_triggers
                .insert(trigger.to_owned(), json!({ "type": of_type, "parameters": parameters }));
        }
        let of_type = tree.get("type").map(Tree::to_json);
        json!({ "type": of_type, "properties": properties, "triggers": made_triggers })
    }

    /// Completes the values of something that has a type with a schema.
    fn typed(
        &mut self,
        tree: &Tree,
        key: &str,
        types: &PolicyTypes,
        holder: &str,
        path: &str,
        code: i32,
    ) -> Json {
        let type_name = tree.get("type").and_then(Tree::as_str).unwrap_or_default();
        let Some(of_type) = types.get(type_name) else {
            let message = format!("{holder} is of type `{type_name}`, which is not defined");
            let hint = nearest::hint(type_name, types.keys().map(String::as_str));
            self.report_unknown(tree.place_at(["type"]), path, Refusal::logic(code, message), hint);
            return json!({});
        };
        let schema: &Schema = &of_type.properties;
        let given = tree.get(key).map(Tree::to_object).unwrap_or_default();
        let judge = Judge { data_types: &self.data_types, holder, must_be_complete: true };
        match judge.properties(&given, schema, &property::defaults(schema), &[]) {
            Ok(properties) => Json::Object(properties),
            Err(misfit) => {
                self.report_misfit(tree.get(key).unwrap_or(tree), &format!("{path}.{key}"), misfit);
                json!({})
            }
        }
    }
}

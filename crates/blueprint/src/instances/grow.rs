//! Grows the instances of each containment tree, from the outermost container inwards.

use std::collections::BTreeSet;

use serde_json::{Map as Object, Value as Json, json};

use super::{Instance, Link, Making, plan_graph::Relation};
use crate::Refusal;

/// Which instances of a node a container has already, and how many are to be made.
pub(super) trait Keep {
    fn keep(&mut self, name: &str, planned: u64, parent: Option<&str>) -> Result<Kept, Refusal>;
}

/// The instances that stay, each with its link to its container, and how many join them.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) instances: Vec<(String, Instance, Option<Link>)>,
    pub(super) new: u64,
}

/// A first deployment: everything is made.
pub(super) struct Fresh;

/// A node whose instances are to be made in one instance of its container.
struct Task {
    name: String,
    parent: Option<String>,
    host: Option<String>,
}

impl Keep for Fresh {
    fn keep(&mut self, _: &str, planned: u64, _: Option<&str>) -> Result<Kept, Refusal> {
        Ok(Kept { new: planned, ..Kept::default() })
    }
}

/// The most instances of one deployment, so that factors that multiply end somewhere.
const MOST: usize = 100_000;

// === impl Making ===

impl Making<'_> {
    pub(super) fn grow(&mut self, keep: &mut dyn Keep) -> Result<(), Refusal> {
        let mut tasks: Vec<Task> = self
            .plan
            .roots()
            .into_iter()
            .rev()
            .map(|name| Task { name, parent: None, host: None })
            .collect();
        let mut made = 0;
        while let Some(task) = tasks.pop() {
            let mut next = vec![];
            for (id, instance, link) in self.instances_of(&task, keep)? {
                made += 1;
                if made > MOST {
                    let message = format!("the deployment has more than {MOST} instances");
                    return Err(Refusal::new(crate::Kind::Runtime, message));
                }
                let host = instance.fields.get("host_id").and_then(Json::as_str).map(str::to_owned);
                let host = task.host.clone().or_else(|| host.filter(|host| *host == id));
                self.made.add(&id, instance);
                if let (Some(parent), Some(link)) = (&task.parent, link) {
                    self.made.link(&id, parent, link);
                }
                for child in self.plan.contained(&task.name) {
                    let (parent, host) = (Some(id.clone()), host.clone());
                    next.push(Task { name: child.to_owned(), parent, host });
                }
            }
            tasks.extend(next.into_iter().rev());
        }
        Ok(())
    }

    fn instances_of(
        &mut self,
        task: &Task,
        keep: &mut dyn Keep,
    ) -> Result<Vec<(String, Instance, Option<Link>)>, Refusal> {
        let plan = self.plan;
        let Some(member) = plan.graph.node(&task.name) else { return Ok(vec![]) };
        let kept = keep.keep(&task.name, member.instances, task.parent.as_deref())?;
        let mut instances = kept.instances;
        for _ in 0..kept.new {
            let id = self.new_id(&task.name);
            let mut fields = Object::new();
            fields.insert("name".to_owned(), json!(task.name));
            fields.insert("node_id".to_owned(), json!(task.name));
            fields.insert("id".to_owned(), json!(id));
            let is_host = member.host_id.as_ref() == Some(&task.name);
            let host = task.host.clone().or_else(|| is_host.then(|| id.clone()));
            if let Some(host) = host.or_else(|| member.host_id.clone()) {
                fields.insert("host_id".to_owned(), Json::String(host));
            }
            let link = task.parent.as_ref().and_then(|parent| {
                let (_, relation) = plan.container(&task.name)?;
                Some(Link::new(relation, parent))
            });
            let name = task.name.clone();
            instances.push((id, Instance { name, is_group: member.is_group, fields }, link));
        }
        Ok(instances)
    }

    fn new_id(&mut self, name: &str) -> String {
        let taken: &mut BTreeSet<String> = self.taken.entry(name.to_owned()).or_default();
        loop {
            let id = format!("{name}_{}", self.ids.suffix());
            if taken.insert(id.clone()) {
                return id;
            }
        }
    }
}

// === impl Link ===

impl Link {
    /// The link of an instance, by a relationship of its node, to an instance of the target.
    pub(super) fn new(relation: &Relation, target_id: &str) -> Self {
        let fields = json!({
            "type": relation.type_name,
            "target_name": relation.target,
            "target_id": target_id,
        });
        Self {
            fields: fields.as_object().cloned().unwrap_or_default(),
            index: relation.index,
            is_replaced: relation.replaced.is_some(),
            is_group: relation.is_group,
        }
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Json::as_str).unwrap_or_default()
    }
}

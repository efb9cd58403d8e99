//! `execute_operation`, and the workflows that are one: start, stop, pull.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    Filter, Site,
    filter::refusal,
    lifecycle::{Groups, wait_for_targets},
    steps::Steps,
};
use crate::{
    Refusal,
    graph::{Call, Rule},
    message,
    parameters::Parameters,
    refusal::Known,
    world::{InstanceIx, World},
};

/// One operation on many instances.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExecuteOperation {
    workflow: String,
    operation: String,
    kwargs: Arc<Map<String, Value>>,
    allow_kwargs_override: bool,
    run_by_dependency_order: bool,
    filter: Filter,
}

// === impl ExecuteOperation ===

impl ExecuteOperation {
    pub(super) fn new(given: &Parameters, filter: Filter, world: &World) -> Result<Self, Refusal> {
        let operation = given.needed_text("operation")?;
        let declared = || world.plan().nodes.iter().flat_map(|node| node.operations.keys());
        if !declared().any(|name| *name == operation) {
            let known = Known::of(&operation, declared().map(String::as_str));
            return Err(refusal(given, "operation", "operation", &operation, known));
        }
        Ok(Self {
            workflow: given.workflow().to_owned(),
            operation,
            kwargs: Arc::new(given.map("operation_kwargs")?),
            allow_kwargs_override: given.flag("allow_kwargs_override", false)?,
            run_by_dependency_order: given.flag("run_by_dependency_order", false)?,
            filter,
        })
    }

    pub(super) fn of_start(
        given: &Parameters,
        filter: Filter,
        parms: &str,
    ) -> Result<Self, Refusal> {
        Self::of(given, filter, "cloudify.interfaces.lifecycle.start", parms)
    }

    pub(super) fn of_stop(
        given: &Parameters,
        filter: Filter,
        parms: &str,
    ) -> Result<Self, Refusal> {
        Self::of(given, filter, "cloudify.interfaces.lifecycle.stop", parms)
    }

    pub(super) fn of_pull(given: &Parameters, filter: Filter) -> Result<Self, Refusal> {
        Self::of(given, filter, "cloudify.interfaces.lifecycle.pull", "operation_parms")
    }

    pub(super) fn build(&self, site: &mut Site<'_>) -> Result<(), Refusal> {
        let chosen = self.filter.select(site.world);
        let mut groups = Groups::new();
        for instance in &chosen {
            let steps = self.steps(*instance, site.world)?;
            groups.insert(*instance, steps.into_group(site, Rule::Fail));
        }
        if self.run_by_dependency_order {
            // An instance that is not chosen hands on the order of those it stands between.
            for instance in site.world.all().filter(|instance| !chosen.contains(instance)) {
                groups.insert(instance, site.graph.add_group(instance, Rule::Fail));
            }
            wait_for_targets(&groups, site);
        }
        for group in groups.values() {
            site.graph.seal(*group);
        }
        Ok(())
    }

    fn of(
        given: &Parameters,
        filter: Filter,
        operation: &str,
        parms: &str,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            workflow: given.workflow().to_owned(),
            operation: operation.to_owned(),
            kwargs: Arc::new(given.map(parms)?),
            allow_kwargs_override: true,
            run_by_dependency_order: given.flag("run_by_dependency_order", false)?,
            filter,
        })
    }

    fn steps(&self, instance: InstanceIx, world: &World) -> Result<Steps, Refusal> {
        let mut steps = Steps::new(instance);
        let Some(call) = Call::of_node(world, instance, self.operation.clone()) else {
            return Ok(steps);
        };
        let inputs = &call.operation(world).inputs;
        let fixed = self.kwargs.keys().find(|name| inputs.contains_key(*name));
        if let Some(input) = fixed
            && !self.allow_kwargs_override
        {
            return Err(Refusal::FixedInput {
                workflow: self.workflow.clone(),
                node: world.node(instance).id.clone(),
                operation: self.operation.clone(),
                input: input.clone(),
            });
        }

        let operation = &self.operation;
        let starting = if self.kwargs.is_empty() {
            format!("Starting operation {operation}")
        } else {
            let kwargs = message::python(&Value::Object((*self.kwargs).clone()));
            format!("Starting operation {operation} (Operation parameters: {kwargs})")
        };
        steps
            .tell(starting)
            .call(Some(call.with_inputs(Arc::clone(&self.kwargs))))
            .tell(format!("Finished operation {operation}"));
        Ok(steps)
    }
}

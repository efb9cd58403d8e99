//! What is kept with an execution, so that it can be begun, gone on with, and ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use waggoner_engine::Start;
use waggoner_store::{execution::Execution, reshape::Reshape};
use waggoner_types::{BlueprintId, ExecutionId};
use waggoner_wire::{Reason, Refused};

use super::{Asked, Stage, start::When};
use crate::{api::refused, home::Home};

/// What is kept with an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) start: Start,
    /// Whether it is begun although its availability rules say that it does not fit.
    #[serde(default)]
    pub(crate) force: bool,
    /// What its deployment becomes when it has ended well.
    #[serde(default)]
    pub(crate) finish: Option<Reshape>,
    /// What its deployment becomes when what it began is taken back.
    #[serde(default)]
    pub(crate) roll_back: Option<Reshape>,
    /// The blueprint that its deployment was of before: what goes is still made of its files.
    #[serde(default)]
    pub(crate) before: Option<BlueprintId>,
}

/// What an execution's deployment becomes at its end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Endings {
    pub(crate) finish: Option<Reshape>,
    pub(crate) roll_back: Option<Reshape>,
}

// === impl Kept ===

impl Kept {
    pub(crate) async fn load(home: &Home, id: ExecutionId) -> Result<Self, Refused> {
        let settings = home.store.execution_settings(id).await.map_err(refused)?;
        serde_json::from_value(settings).map_err(|error| {
            let why = format!("failed to read the settings of execution `{id}`: {error}");
            Refused::new(Reason::Internal, why)
        })
    }

    /// What the execution runs on now.
    pub(crate) async fn stage(&self, home: &Home, execution: &Execution) -> Result<Stage, Refused> {
        let mut stage = Stage::load(home, &self.asked(execution), execution.id).await?;
        if let Some(before) = self.before.clone() {
            let before = home.store.blueprint(execution.tenant.clone(), before).await;
            stage.before = match before {
                Err(waggoner_store::Error::Missing(_)) => None,
                found => Some(found.map_err(refused)?),
            };
        }
        Ok(stage)
    }

    /// What was asked for when the execution was created.
    pub(crate) fn asked(&self, execution: &Execution) -> Asked {
        Asked {
            parameters: self.start.parameters.clone(),
            allow_custom_parameters: self.start.allow_custom_parameters,
            dry_run: self.start.settings.dry_run,
            force: self.force,
            when: When::Now,
            priority: execution.priority,
            ..Asked::new(
                execution.tenant.clone(),
                execution.deployment_id.clone(),
                execution.workflow_id.clone(),
            )
        }
    }

    pub(crate) fn endings(&self) -> Endings {
        // What only tells what it would do changes nothing.
        if self.start.settings.dry_run {
            return Endings::default();
        }
        Endings { finish: self.finish.clone(), roll_back: self.roll_back.clone() }
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("what is kept is JSON")
    }
}

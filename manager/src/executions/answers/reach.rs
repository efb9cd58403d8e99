//! How far an operation reaches.
//!
//! In Cloudify an operation acts as who started its execution, in that tenant, wherever it runs.
//! Here a host's agent is trusted with its own deployment only: whoever breaks into the host gets
//! no further. Operations of central agents, which are the manager's own hosts, reach their tenant.

use waggoner_engine::Dispatch;
use waggoner_types::DeploymentId;

use crate::executions::{answers::Unanswered, prepare::is_central};

/// How far an operation reaches: never out of its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its own deployment, what that is made of, and the secrets whose names it knows.
    Deployment,
    Tenant,
}

// === impl Reach ===

impl Reach {
    pub(crate) fn of(dispatch: &Dispatch) -> Self {
        if is_central(dispatch) { Self::Tenant } else { Self::Deployment }
    }

    /// Says whether a deployment is in reach of an operation of `own`.
    pub(crate) fn reaches(self, own: &DeploymentId, deployment: &DeploymentId) -> bool {
        self == Self::Tenant || own == deployment
    }

    /// Refuses what only operations of central agents may do: `what` completes "may not".
    ///
    /// Not with 403: the stock client tries that again for a minute (`cloudify/cluster.py`).
    pub(crate) fn require_tenant(self, what: &str) -> Result<(), Unanswered> {
        match self {
            Self::Tenant => Ok(()),
            Self::Deployment => Err(Unanswered::refused(
                "illegal_action_error",
                format!(
                    "an operation on a host may not {what}: give it the executor \
                     `central_deployment_agent`"
                ),
            )),
        }
    }
}

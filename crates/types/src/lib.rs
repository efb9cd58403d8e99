//! The vocabulary: ids, names, states, records, outcomes, the plan.

pub mod digest;
pub mod error;
pub mod host;
pub mod names;
pub mod plan;
pub mod record;
pub mod status;

pub use digest::Digest;
pub use error::{Chain, Fault};
pub use host::Host;
pub use names::{
    AgentName, AttemptId, BlueprintId, DeploymentId, ExecutionId, OperationId, PluginId,
    TenantName, TokenId,
};
pub use record::{
    Body, ErrorKind, Exit, OperationError, Outcome, OutputStream, Record, output_lines,
};
pub use status::{AgentRole, CancelMode, ExecutionStatus, LogLevel};

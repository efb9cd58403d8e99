//! What an update changes.

use serde_json::{Value, json};
use waggoner_proto::v1::{DeploymentChanges, UpdateDeploymentResponse};

/// The shape of an update, or of its preview.
pub(crate) fn changes(answer: &UpdateDeploymentResponse) -> Value {
    let UpdateDeploymentResponse { execution, changes } = answer;
    let DeploymentChanges { added, removed, changed, reinstalled, extended, reduced } =
        changes.clone().unwrap_or_default();
    json!({
        "execution": execution.as_ref().map(super::Record::shape),
        "added": added,
        "removed": removed,
        "changed": changed,
        "reinstalled": reinstalled,
        "extended": extended,
        "reduced": reduced,
    })
}

/// What an update changes, in words for people; what it does not do is left out.
pub(crate) fn changed(answer: &UpdateDeploymentResponse) -> Vec<(&'static str, Vec<String>)> {
    let DeploymentChanges { added, removed, changed, reinstalled, extended, reduced } =
        answer.changes.clone().unwrap_or_default();
    let mut told = vec![
        ("Adding", added),
        ("Removing", removed),
        ("Updating", changed),
        ("Reinstalling", reinstalled),
        ("Relating", extended),
        ("Unrelating", reduced),
    ];
    told.retain(|(_, what)| !what.is_empty());
    told
}

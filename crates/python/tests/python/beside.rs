//! What plugins import of a manager of Cloudify's is there, and does what it does there.

use serde_json::json;
use waggoner_types::ErrorKind;

use crate::operations::Site;

/// A module that waits for an execution of another deployment, as the plugin for Kubernetes does.
pub(crate) const WAITING: &str = "\
from cloudify import ctx
from cloudify_types.component import polling
from cloudify_types.shared_resource.constants import WORKFLOW_EXECUTION_TIMEOUT


class Page(list):
    items = property(list)

    class metadata:
        class pagination:
            total = 1


class Client:
    def __init__(self, statuses):
        self.statuses = list(statuses)
        self.executions = self.events = self.blueprints = self

    def get(self, execution_id, _include=()):
        status = self.statuses.pop(0)
        return {'id': execution_id, 'status': status, 'state': status}

    def list(self, _offset, execution_id=None, **_):
        if execution_id:
            return Page([{'message': 'heard', 'level': 'warning'}][_offset:])
        return Page([{'status': self.statuses.pop(0), 'deployment_id': 'other'}])


def run(statuses, **_):
    ready = polling.is_all_executions_finished(Client(statuses), 'other')
    polling.verify_execution_state(
        Client(statuses), 'e', 'other', True, 'terminated', timeout=60, interval=0)
    return [ready, WORKFLOW_EXECUTION_TIMEOUT, ctx.instance.runtime_properties['received_events']]


def upload(states, timeout=60, **_):
    return [polling.verify_blueprint_uploaded('b', Client(states)),
            polling.wait_for_blueprint_to_upload('b', Client(states), timeout_seconds=timeout)]
";

#[tokio::test]
async fn a_plugin_waits_for_an_execution_of_another_deployment() {
    for mut site in Site::each_way().await {
        let ended =
            site.run("waiting.run", &json!({ "statuses": ["started", "terminated"] })).await;
        assert_eq!(ended.result, Ok(json!([false, 1800, { "e": 1 }])));
        let failed = site.run("waiting.run", &json!({ "statuses": ["failed"] })).await;
        let error = failed.result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NonRecoverable);
        assert!(error.message.ends_with("is terminated: it is failed"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_plugin_waits_for_a_blueprint_to_be_uploaded() {
    for mut site in Site::each_way().await {
        let ended = site.run("waiting.upload", &json!({ "states": ["parsing", "uploaded"] })).await;
        assert_eq!(ended.result, Ok(json!([false, true])));
        for (inputs, end) in [
            (json!({ "states": ["parsing", "invalid"] }), "it is invalid"),
            (json!({ "states": ["parsing"], "timeout": 0 }), "it is not after 0 seconds"),
        ] {
            let failed = site.run("waiting.upload", &inputs).await;
            let error = failed.result.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NonRecoverable);
            assert!(error.message.ends_with(end), "{}", error.message);
        }
    }
}

//! The start of an attempt, read once: what comes out of here is believed.

use std::time::Duration;

use camino::Utf8PathBuf;
use serde_json::{Map, Value};
use waggoner_proto::agent::v1 as pb;
use waggoner_python::Form;
use waggoner_types::{AttemptId, Digest};
use waggoner_wire::{At as _, Refused, from_duration};

/// Everything needed to run one operation.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) id: AttemptId,
    pub(crate) epoch: u64,
    /// Cloudify's `__cloudify_context`.
    pub(crate) context: Map<String, Value>,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) operation: Operation,
    pub(crate) timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) unlinked_timeout: Option<Duration>,
    /// How long a terminated operation gets before it is killed.
    pub(crate) grace: Duration,
    /// Nodes as Cloudify's REST API shows them.
    pub(crate) nodes: Vec<Value>,
    /// Node instances as Cloudify's REST API shows them.
    pub(crate) node_instances: Vec<Value>,
}

/// What to run.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Program(Program),
    Python { task_name: String, environment: Environment },
    Script(Script),
}

/// A program that is on the host already.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) program: Utf8PathBuf,
    pub(crate) args: Vec<String>,
}

/// A script, and how it is started.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) text: ScriptText,
    /// Cloudify's `process` input.
    pub(crate) process: Map<String, Value>,
    pub(crate) environment: Option<Environment>,
}

/// Where a script comes from.
#[derive(Clone, Debug)]
pub(crate) enum ScriptText {
    /// A resource of the deployment, or a URL.
    Path(String),
    Source(String),
}

/// What a Python environment is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Environment {
    pub(crate) package_name: String,
    pub(crate) package_version: String,
    /// The plugin's wagon, or the archive of its sources.
    pub(crate) artifact: Digest,
    /// Which of them it is.
    pub(crate) form: Form,
    pub(crate) extra_wagons: Vec<Digest>,
    pub(crate) install_arguments: String,
}

/// What a terminated operation gets before it is killed: as Cloudify's worker polls ten times half
/// a second (`cloudify_agent/worker.py`).
const GRACE: Duration = Duration::from_secs(5);

// === impl Start ===

impl TryFrom<pb::Start> for Start {
    type Error = Refused;

    fn try_from(message: pb::Start) -> Result<Self, Refused> {
        use pb::start::Implementation;
        let implementation = message.implementation;
        let operation =
            match implementation.ok_or_else(|| Refused::missing("start.implementation"))? {
                Implementation::Python(python) => Operation::Python {
                    task_name: python.task_name,
                    environment: environment(python.environment, "start.python.environment")?
                        .ok_or_else(|| Refused::missing("start.python.environment"))?,
                },
                Implementation::Script(script) => Operation::Script(script.try_into()?),
                Implementation::Program(pb::ProgramOperation { program, args }) => {
                    if !program.starts_with('/') {
                        let why = format!("`{program}` is not an absolute path");
                        return Err(Refused::field("start.program.program", why));
                    }
                    Operation::Program(Program { program: program.into(), args })
                }
            };
        let duration = |message: Option<_>, path| message.map(from_duration).transpose().at(path);
        Ok(Self {
            id: message.attempt_id.parse().at("start.attempt_id")?,
            epoch: message.epoch,
            context: object(&message.context_json, "start.context_json")?,
            inputs: object(&message.inputs_json, "start.inputs_json")?,
            operation,
            timeout: duration(message.timeout, "start.timeout")?,
            queue_timeout: duration(message.queue_timeout, "start.queue_timeout")?,
            idle_timeout: duration(message.idle_timeout, "start.idle_timeout")?,
            unlinked_timeout: duration(message.unlinked_timeout, "start.unlinked_timeout")?,
            grace: duration(message.grace, "start.grace")?.unwrap_or(GRACE),
            nodes: objects(&message.node_jsons, "start.node_jsons")?,
            node_instances: objects(&message.node_instance_jsons, "start.node_instance_jsons")?,
        })
    }
}

// === impl Environment ===

impl Environment {
    /// What has to be on this host for it.
    pub(crate) fn artifacts(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.artifact).chain(self.extra_wagons.iter().copied())
    }

    /// The plugin, as people know it.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.package_name, self.package_version).trim_end().to_owned()
    }
}

// === impl Script ===

impl TryFrom<pb::ScriptOperation> for Script {
    type Error = Refused;

    fn try_from(message: pb::ScriptOperation) -> Result<Self, Refused> {
        use pb::script_operation::Script as Text;
        Ok(Self {
            text: match message.script.ok_or_else(|| Refused::missing("start.script.script"))? {
                Text::Path(path) => ScriptText::Path(path),
                Text::Source(source) => ScriptText::Source(source),
            },
            process: object(&message.process_json, "start.script.process_json")?,
            environment: environment(message.environment, "start.script.environment")?,
        })
    }
}

/// Reads what an environment is made of.
pub(crate) fn environment(
    message: Option<pb::Environment>,
    path: &str,
) -> Result<Option<Environment>, Refused> {
    let Some(message) = message else { return Ok(None) };
    let digest = |digest: &String| digest.parse::<Digest>();
    let extra = message.extra_wagon_digests.iter().map(digest);
    let (form, artifact, field) = match message.source_digest.as_str() {
        "" => (Form::Wagon, &message.wagon_digest, "wagon_digest"),
        _ => (Form::Source, &message.source_digest, "source_digest"),
    };
    Ok(Some(Environment {
        package_name: message.package_name,
        package_version: message.package_version,
        artifact: digest(artifact).at(&format!("{path}.{field}"))?,
        form,
        extra_wagons: extra.collect::<Result<_, _>>().at(&format!("{path}.extra_wagon_digests"))?,
        install_arguments: message.install_arguments,
    }))
}

/// Reads a JSON object; nothing at all is an empty one, and so is null.
fn object(json: &str, path: &str) -> Result<Map<String, Value>, Refused> {
    if json.is_empty() {
        return Ok(Map::new());
    }
    Ok(serde_json::from_str::<Option<_>>(json).at(path)?.unwrap_or_default())
}

fn objects(jsons: &[String], path: &str) -> Result<Vec<Value>, Refused> {
    jsons.iter().map(|json| object(json, path).map(Value::Object)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(change: impl FnOnce(&mut pb::Start)) -> Result<Start, Refused> {
        let program = pb::ProgramOperation { program: "/bin/true".into(), args: Vec::new() };
        let mut message = pb::Start {
            attempt_id: "0192e4a0-0000-7000-8000-000000000000".to_owned(),
            implementation: Some(pb::start::Implementation::Program(program)),
            ..pb::Start::default()
        };
        change(&mut message);
        message.try_into()
    }

    #[test]
    fn a_start_needs_little() {
        let start = start(|_| {}).unwrap();
        assert_eq!((start.grace, start.timeout), (GRACE, None));
        assert!(start.context.is_empty() && start.inputs.is_empty());
    }

    #[test]
    fn a_refusal_names_the_field() {
        type Change = fn(&mut pb::Start);
        let cases: [(Change, &str); 5] = [
            (|start| start.attempt_id.clear(), "start.attempt_id"),
            (|start| start.implementation = None, "start.implementation"),
            (|start| start.context_json = "[]".into(), "start.context_json"),
            (|start| start.inputs_json = "{".into(), "start.inputs_json"),
            (|start| start.node_jsons = vec!["1".into()], "start.node_jsons"),
        ];
        for (change, field) in cases {
            assert_eq!(start(change).unwrap_err().violations[0].0, field);
        }
    }

    #[test]
    fn a_program_is_named_by_its_whole_path() {
        let refused = start(|start| {
            let program = pb::ProgramOperation { program: "true".into(), args: Vec::new() };
            start.implementation = Some(pb::start::Implementation::Program(program));
        });
        assert!(refused.unwrap_err().to_string().contains("`true` is not an absolute path"));
    }
}

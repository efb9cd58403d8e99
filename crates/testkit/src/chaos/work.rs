//! What operations do during a chaos run, and what has to be there in the end.

use serde_json::{Map, Value, json};

use crate::chaos::schedule::Agent;

/// The nodes of the blueprint, and where their operations run.
pub(super) const NODES: [(&str, Where); 6] = [
    ("one", Where::Host(Agent::Dialling)),
    ("two", Where::Host(Agent::Dialling)),
    ("three", Where::Host(Agent::Dialling)),
    ("four", Where::Host(Agent::Dialled)),
    ("five", Where::Host(Agent::Dialled)),
    ("six", Where::Central),
];

/// The operations of each node, in the order in which `install` runs them.
pub(super) const STEPS: [&str; 4] = ["create", "configure", "start", "poststart"];

/// Where the operations of a node run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    Host(Agent),
    Central,
}

/// One operation of one installation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operation {
    pub(super) wave: String,
    pub(super) node: &'static str,
    pub(super) step: &'static str,
}

/// One of the ways in which an operation says lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Out,
    Err,
    /// `ctx logger`.
    Log,
}

/// How many rounds the script makes.
const ROUNDS: usize = 20;

/// How many lines it says on standard output in each round.
const OUT: usize = 4;

/// It sets a property and calls `ctx logger` in each round whose number this divides.
const PATCH: usize = 5;

/// How much longer than others a line is whose number this divides.
const LONG: (usize, usize) = (10, 2000);

/// The script of all operations.
///
/// Its environment has `wave`, `name` and `step`, which say who it is, `runs`, a directory, and
/// `pause`, in seconds.
pub(super) const SCRIPT: &str = r#"#!/bin/sh
set -eu
me=$wave.$name.$step
echo $$ >> "$runs/$me"

# The manager may be away for long.
tell() { ctx -t 600 "$@"; }

line() {
    printf "$me.$1 %d %$(($2 % 10 ? $2 * 7 % 40 + 1 : 2000))s.\n" "$2" ''
}

before=0
[ "$step" = create ] || before=$(tell instance runtime-properties passed)
tell instance runtime-properties passed $((before + 1))

round=0 out=0
while [ $round -lt 20 ]; do
    round=$((round + 1))
    for _ in 1 2 3 4; do
        out=$((out + 1))
        line out $out
    done
    line err $round >&2
    if [ $((round % 5)) = 0 ]; then
        tell instance runtime-properties "$step" "$round"
        tell logger info "$(line log $((round / 5)))"
    fi
    [ $round != 10 ] || tell instance update
    sleep "$pause"
done
tell instance runtime-properties last "$me"
tell returns "$me"
"#;

/// Returns the blueprint, in the part of YAML that is JSON. Its inputs are `wave`, `runs` and
/// `pause`.
pub(super) fn blueprint() -> String {
    let mut nodes = Map::new();
    for agent in [Agent::Dialling, Agent::Dialled] {
        let config = json!({ "install_method": "provided", "service_name": agent.name() });
        let properties = json!({ "ip": "127.0.0.1", "agent_config": config });
        let host = json!({ "type": "cloudify.nodes.Compute", "properties": properties });
        nodes.insert(host_of(agent), host);
    }
    for (name, place) in NODES {
        let executor = match place {
            Where::Host(_) => "host_agent",
            Where::Central => "central_deployment_agent",
        };
        let operation = |step: &str| {
            let inputs = json!({
                "wave": { "get_input": "wave" },
                "runs": { "get_input": "runs" },
                "pause": { "get_input": "pause" },
                "name": name,
                "step": step,
            });
            json!({ "implementation": "scripts/work.sh", "executor": executor, "inputs": inputs })
        };
        let lifecycle: Map<_, _> =
            STEPS.iter().map(|step| ((*step).to_owned(), operation(step))).collect();
        let mut node = json!({
            "type": "cloudify.nodes.Root",
            "interfaces": { "cloudify.interfaces.lifecycle": lifecycle },
        });
        if let Where::Host(agent) = place {
            let contained = "cloudify.relationships.contained_in";
            node["relationships"] = json!([{ "type": contained, "target": host_of(agent) }]);
        }
        nodes.insert(name.to_owned(), node);
    }
    let blueprint = json!({
        "tosca_definitions_version": "cloudify_dsl_1_4",
        "imports": ["cloudify/types/types.yaml"],
        "inputs": { "wave": {}, "runs": {}, "pause": { "default": "0.2" } },
        "node_templates": nodes,
    });
    format!("{blueprint:#}\n")
}

/// Names the node of an agent's host.
fn host_of(agent: Agent) -> String {
    format!("host-{}", agent.name())
}

/// Returns the operations of a wave.
pub(super) fn operations(wave: &str) -> impl Iterator<Item = Operation> {
    NODES.iter().flat_map(move |(node, _)| {
        STEPS.map(|step| Operation { wave: wave.to_owned(), node, step })
    })
}

/// Returns the runtime properties that a node instance has in the end.
pub(super) fn properties(wave: &str, node: &str) -> Map<String, Value> {
    let mut properties = Map::new();
    let last = STEPS[STEPS.len() - 1];
    properties.insert("passed".to_owned(), STEPS.len().to_string().into());
    properties.insert("last".to_owned(), format!("{wave}.{node}.{last}").into());
    let set = STEPS.map(|step| (step.to_owned(), ROUNDS.to_string().into()));
    properties.extend(set);
    properties
}

// === impl Operation ===

impl Operation {
    /// Its name: of the file that counts its runs, and in each of its lines.
    pub(super) fn name(&self) -> String {
        let Self { wave, node, step } = self;
        format!("{wave}.{node}.{step}")
    }

    /// Returns what it says in a stream, line by line.
    pub(super) fn lines(&self, stream: Stream) -> Vec<String> {
        let (name, word) = (self.name(), stream.word());
        let line = |number: usize| {
            let width = if number.is_multiple_of(LONG.0) { LONG.1 } else { number * 7 % 40 + 1 };
            format!("{name}.{word} {number} {:width$}.", "")
        };
        (1..=stream.count()).map(line).collect()
    }
}

// === impl Stream ===

impl Stream {
    pub(super) const ALL: [Self; 3] = [Self::Out, Self::Err, Self::Log];

    fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Log => "log",
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Out => ROUNDS * OUT,
            Self::Err => ROUNDS,
            Self::Log => ROUNDS / PATCH,
        }
    }

    /// Splits the message of an event into the key of its stream and the line, if it is a line.
    pub(super) fn line(message: &str) -> Option<(&str, &str)> {
        let line = message.strip_prefix("<out> ").or_else(|| message.strip_prefix("<err> "));
        let line = line.unwrap_or(message);
        let (key, _) = line.split_once(' ')?;
        Some((key, line))
    }

    /// The key of an operation's stream, with which each of its lines begins.
    pub(super) fn key(self, operation: &Operation) -> String {
        format!("{}.{}", operation.name(), self.word())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use fs_err as fs;

    use super::*;

    /// What is expected of the script is what it does, with a `ctx` that writes down what it is
    /// told.
    #[test]
    fn the_script_says_what_is_expected_of_it() {
        let folder = camino_tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("work.sh"), SCRIPT).unwrap();
        let ctx = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >> {}\n\
             [ \"$*\" != '-t 600 instance runtime-properties passed' ] || echo 3\n",
            path("told")
        );
        fs::write(path("ctx"), ctx).unwrap();
        let operation = Operation { wave: "w-1".into(), node: "one", step: "poststart" };
        let output = Command::new("sh")
            .args(["-c", "chmod +x ctx && sh work.sh"])
            .current_dir(folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path()))
            .envs([("wave", "w-1"), ("name", "one"), ("step", "poststart"), ("pause", "0")])
            .env("runs", folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let said = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(said(&text(output.stdout)), operation.lines(Stream::Out));
        assert_eq!(said(&text(output.stderr)), operation.lines(Stream::Err));

        let told = fs::read_to_string(path("told")).unwrap();
        let told = |beginning: &str| {
            told.lines().filter_map(|line| line.strip_prefix(beginning)).collect::<Vec<_>>()
        };
        assert_eq!(told("-t 600 logger info "), operation.lines(Stream::Log));
        let mut set = Map::new();
        for line in told("-t 600 instance runtime-properties ") {
            if let Some((key, value)) = line.split_once(' ') {
                set.insert(key.to_owned(), value.into());
            }
        }
        let expected = properties("w-1", "one");
        for (key, value) in &set {
            assert_eq!(expected.get(key), Some(value), "{key}");
        }
        assert_eq!(set.len(), 3);
        assert_eq!(told("-t 600 instance update").len(), 1);
        assert_eq!(told("-t 600 returns "), ["w-1.one.poststart"]);
        assert_eq!(fs::read_to_string(path("w-1.one.poststart")).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_line_names_its_stream() {
        let operation = Operation { wave: "w-1".into(), node: "one", step: "create" };
        for (stream, prefix) in
            [(Stream::Out, "<out> "), (Stream::Err, "<err> "), (Stream::Log, "")]
        {
            let line = &operation.lines(stream)[1];
            let message = format!("{prefix}{line}");
            let key = stream.key(&operation);
            assert_eq!(Stream::line(&message), Some((key.as_str(), line.as_str())));
        }
        assert_eq!(Stream::line("done"), None);
    }
}

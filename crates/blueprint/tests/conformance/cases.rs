//! The recorded cases, and how each is run.

use std::{env, path::PathBuf};

use serde_json::Value as Json;
use waggoner_blueprint::{
    Blueprint, Diagnostics, FetchError, Fetched, Kind, Location, Options, Plan, Request, Resolver,
    SeededIds, TakenIds, create_node_instances, modify_deployment, parse, prepare_deployment,
};

use crate::compare;

/// One line of `dsl-cases.jsonl`.
pub(crate) struct Case(Json);

pub(crate) enum Outcome {
    Agrees,
    Differs(String),
}

/// The recorded texts.
struct Recorded<'c>(&'c Case);

/// Reads the cases; `None` when they are not on this machine.
pub(crate) fn read() -> Option<Vec<Case>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folder = env::var_os("WAGGONER_CONFORMANCE").map_or_else(beside, PathBuf::from);
    let text = fs_err::read_to_string(folder.join("dsl-cases.jsonl")).ok()?;
    Some(
        text.lines()
            .map(|line| Case(serde_json::from_str(line).expect("a line is JSON")))
            .collect(),
    )
}

// === impl Case ===

impl Case {
    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().expect("a case has a kind")
    }

    pub(crate) fn test(&self) -> &str {
        self.0["test"].as_str().expect("a case has a test")
    }

    pub(crate) fn seq(&self) -> &Json {
        &self.0["seq"]
    }

    pub(crate) fn shown(&self) -> String {
        let mut shown = self.0["dsl"].as_str().unwrap_or_default().to_owned();
        for (name, text) in self.0["imports"].as_object().into_iter().flatten() {
            shown.extend(["\n--- ", name, "\n", text.as_str().unwrap_or_default()]);
        }
        shown
    }

    pub(crate) fn run(&self) -> Outcome {
        let outcome = match self.kind() {
            "parse" => self.parse(),
            "prepare_deployment_plan" => self.prepare(),
            "create_deployment_plan" => self.create(),
            "modify_deployment" => self.modify(),
            kind => Err(format!("unknown kind {kind}")),
        };
        match outcome {
            Ok(()) => Outcome::Agrees,
            Err(how) => Outcome::Differs(how),
        }
    }

    fn parse(&self) -> Result<(), String> {
        let flag = |name: &str| self.0["flags"][name].as_bool().unwrap_or(true);
        let options = Options {
            check_versions: flag("validate_version"),
            check_functions: flag("validate_intrinsic_function"),
            check_input_defaults: flag("validate_input_defaults"),
            resources_base: self.0["resources_base_path"].as_str().map(str::to_owned),
            ..Options::default()
        };
        let blueprint = Blueprint {
            text: self.0["dsl"].as_str().unwrap_or_default(),
            location: self.0["location"].as_str().unwrap_or_default(),
        };
        let parsed =
            parse(blueprint, &Recorded(self), &options).map(waggoner_blueprint::Plan::into_json);
        match (self.0["ok"].as_bool().expect("a case says whether it is ok"), parsed) {
            (true, Ok(plan)) => compare::plans(&plan, &self.0["plan"]),
            (true, Err(found)) => Err(format!("refused: {found}")),
            (false, Ok(_)) => Err(format!("accepted, expected {}", self.0["error"])),
            (false, Err(Diagnostics(found))) => {
                self.refusal(found[0].kind, found[0].code, &found[0].message)
            }
        }
    }

    fn prepare(&self) -> Result<(), String> {
        let arguments = &self.0["kwargs"];
        let inputs = arguments.get("inputs").or_else(|| self.0["args"].get(1));
        // The recording knows the name of the function only; this test has it know two secrets.
        let method = arguments["get_secret_method"].as_str();
        let has_secret = |name: &str| {
            !method.is_some_and(|method| method.contains("fake_get_secret")) || name == "secret"
        };
        let request = Request {
            inputs: inputs.and_then(Json::as_object).cloned().unwrap_or_default(),
            runtime_only_evaluation: arguments["runtime_only_evaluation"] == true,
            auto_correct_types: arguments["auto_correct_types"] == true,
            has_secret: method.is_some().then_some(&has_secret),
            ..Request::default()
        };
        let plan = Plan(self.0["plan"].clone());
        let prepared = prepare_deployment(plan, request, &mut SeededIds::new(1));
        match (self.0["ok"].as_bool().expect("a case says whether it is ok"), prepared) {
            (true, Ok(plan)) => compare::deployments(&plan, &self.0["result"]),
            (true, Err(refusal)) => Err(format!("refused: {refusal}")),
            (false, Ok(_)) => Err(format!("accepted, expected {}", self.0["error"])),
            (false, Err(refusal)) => self.refusal(refusal.kind, refusal.code, &refusal.message),
        }
    }

    fn create(&self) -> Result<(), String> {
        let mut plan = self.0["plan"].clone();
        create_node_instances(&mut plan, &mut SeededIds::new(1), TakenIds::new())
            .map_err(|refusal| format!("refused: {refusal}"))?;
        compare::deployments(&plan, &self.0["result"])
    }

    fn modify(&self) -> Result<(), String> {
        let modified = modify_deployment(
            &self.0["nodes"],
            &self.0["previous_nodes"],
            &self.0["previous_node_instances"],
            self.0["modified_nodes"].as_object().unwrap_or(&serde_json::Map::new()),
            &self.0["scaling_groups"],
            &mut SeededIds::new(1),
        )
        .map_err(|refusal| format!("refused: {refusal}"))?;
        modifications(&modified, &self.0["result"])
    }

    fn refusal(&self, kind: Kind, code: Option<i32>, message: &str) -> Result<(), String> {
        let expected = &self.0["error"];
        let same_code = expected["code"].as_i64() == code.map(i64::from);
        if same_code && (code.is_some() || expected["type"] == kind.exception()) {
            return Ok(());
        }
        Err(format!("refused as {kind} {code:?} ({message}), expected {expected}"))
    }
}

// === impl Recorded ===

impl Resolver for Recorded<'_> {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let key = match location {
            Location::File(path) => format!("file:{path}"),
            other => other.to_string(),
        };
        let text = match &self.0.0["imports"][&key] {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            merged => Some(unmerged(merged)),
        };
        Ok(text.map(|text| Fetched { text, ..Fetched::default() }))
    }

    /// The scripts were not recorded; only a refusal tells that one was not there.
    fn has_file(&self, path: &str) -> bool {
        let code = self.0.0["error"]["code"].as_i64();
        !self.0.0["location"].is_null()
            && !matches!(code, Some(10 | 19 | 21))
            && [".py", ".sh"].iter().any(|script| path.ends_with(script))
    }
}

/// Of imported blueprints the merged form was recorded. What came from the core types is taken
/// out and imported again, so that it is known for what it is.
fn unmerged(merged: &Json) -> String {
    const TYPES: &str = "http://local-test-resolver/types.yaml";
    let mut text = merged.clone();
    let has_core = !merged["node_types"]["cloudify.nodes.Root"].is_null();
    let Some(sections) = text.as_object_mut().filter(|_| has_core) else { return text.to_string() };
    let mut keep = |section: &str, keeps: &dyn Fn(&str) -> bool| {
        if let Some(entries) = sections.get_mut(section).and_then(Json::as_object_mut) {
            entries.retain(|key, _| keeps(key));
        }
    };
    keep("node_types", &|key| !key.starts_with("cloudify."));
    keep("relationships", &|key| !key.starts_with("cloudify."));
    keep("plugins", &|key| key != "default_workflows");
    keep("workflows", &|key| key != "install");
    sections.insert("imports".to_owned(), serde_json::json!([TYPES]));
    text.to_string()
}

/// Compares what a modification adds, removes, extends and reduces.
fn modifications(ours: &Json, theirs: &Json) -> Result<(), String> {
    for list in ["added", "removed", "extended", "reduced"] {
        let key = format!("{list}_and_related");
        let part =
            |of: &Json| compare::anonymous(&serde_json::json!({ "node_instances": of[&key] }));
        compare::plans(&part(ours), &part(theirs)).map_err(|how| format!("{list}: {how}"))?;
    }
    Ok(())
}

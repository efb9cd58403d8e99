//! From a text to a plan, or to all that is wrong with it.

use serde_json::{Map as Object, Value as Json};
use waggoner_yaml::Budget;

use crate::{
    Diagnostic, Diagnostics, Resolver,
    build::Builder,
    check::check,
    constraint,
    diagnostic::{Findings, Place},
    function::validate,
    imports::{self, Run},
    schema::BLUEPRINT,
};

/// The main text of a blueprint.
#[derive(Clone, Copy, Debug)]
pub struct Blueprint<'b> {
    pub text: &'b str,
    /// The path of the text among the blueprint's files (`blueprint.yaml`, `deploy/main.yaml`):
    /// relative imports and scripts are beside it.
    pub location: &'b str,
}

/// What is judged.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether words of a later version than the blueprint's are refused.
    pub check_versions: bool,
    /// Whether the arguments of intrinsic functions are judged.
    pub check_functions: bool,
    /// Whether the defaults of inputs must keep their constraints.
    pub check_input_defaults: bool,
    /// Where imports are also looked for (`dsl_parser`'s `resources_base_path`).
    pub resources_base: Option<String>,
    /// Where scripts are also looked for, beside the main text's folder.
    pub script_bases: Vec<String>,
    /// What one text may cost.
    pub budget: Budget,
}

/// A blueprint in the shape of `dsl_parser`'s plan: names filled in, types merged, functions
/// judged but not evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan(pub Json);

/// Reads a blueprint and all it imports.
pub fn parse(
    blueprint: Blueprint<'_>,
    resolver: &dyn Resolver,
    options: &Options,
) -> Result<Plan, Diagnostics> {
    let mut findings = Findings::default();
    let plan = run(blueprint, resolver, options, &mut findings);
    let found = findings.into_found();
    match plan {
        Some(plan) if found.is_empty() => Ok(Plan(plan)),
        _ => Err(Diagnostics(found)),
    }
}

/// Finds what is wrong with a blueprint; nothing when it can be uploaded.
pub fn validate(
    blueprint: Blueprint<'_>,
    resolver: &dyn Resolver,
    options: &Options,
) -> Vec<Diagnostic> {
    parse(blueprint, resolver, options).err().map(|found| found.0).unwrap_or_default()
}

fn run(
    blueprint: Blueprint<'_>,
    resolver: &dyn Resolver,
    options: &Options,
    findings: &mut Findings,
) -> Option<Json> {
    let merged = {
        let mut run = Run { resolver, options, findings: &mut *findings, depth: 0 };
        imports::resolve(&mut run, blueprint.text, blueprint.location)
    };
    let merged = match merged {
        Ok(merged) => merged,
        Err((place, path, refusal)) => {
            findings.report(place, &path, refusal);
            return None;
        }
    };
    let version = Some(merged.version).filter(|_| options.check_versions);
    let premature = check(&merged.tree, &BLUEPRINT, version, findings);
    if !findings.is_empty() {
        return None;
    }
    let mut bases = vec![folder(blueprint.location).to_owned()];
    bases.extend(options.script_bases.iter().cloned());
    let builder = Builder::new(findings, resolver, version, bases);
    let mut plan = builder.plan(&merged.tree, merged.version);
    premature.report(findings);
    if !findings.is_empty() {
        return None;
    }
    if options.check_input_defaults {
        input_defaults(&plan, findings);
    }
    if options.check_functions {
        Builder::functions(findings, &merged.tree, &mut plan);
    }
    match validate::requirements(&mut plan) {
        Ok(requirements) => plan["requirements"] = requirements,
        Err(refusal) if findings.is_empty() => findings.report(Place::default(), "", refusal),
        Err(_) => {}
    }
    Some(plan)
}

fn folder(location: &str) -> &str {
    location.rfind('/').map_or("", |slash| &location[..=slash])
}

fn input_defaults(plan: &Json, findings: &mut Findings) {
    let none = Object::new();
    for (name, definition) in plan["inputs"].as_object().unwrap_or(&none) {
        let Some(default) = definition.get("default") else { continue };
        if let Err(refusal) = constraint::judge(name, definition, default, None) {
            findings.report(Place::default(), &format!("inputs.{name}"), refusal);
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            check_versions: true,
            check_functions: true,
            check_input_defaults: true,
            resources_base: None,
            script_bases: vec![],
            budget: Budget::default(),
        }
    }
}

impl Options {
    /// The options for a blueprint that another imports: it was judged when it was uploaded.
    pub(crate) fn unchecked(self) -> Self {
        Self { check_versions: false, check_functions: false, check_input_defaults: false, ..self }
    }
}

// === impl Plan ===

impl Plan {
    pub fn as_json(&self) -> &Json {
        &self.0
    }

    pub fn into_json(self) -> Json {
        self.0
    }
}

//! What is done with a blueprint here: checked, planned, drawn.

use serde_json::json;
use waggoner_blueprint::{Plan, Request, SeededIds, prepare_deployment};

use crate::{
    Error, Exit,
    cli::{Local, Values},
    client::ClientError,
    commands::{Context, plugins},
    inputs,
    picture::Picture,
    record,
    source::{Findings, Library, Source, SourceError},
};

/// The seed of the ids of node instances: the same blueprint prints the same plan.
const SEED: u64 = 1;

pub(super) async fn validate(context: &mut Context<'_>, local: Local) -> Result<(), Error> {
    let source = Source::open(&local.blueprint)?;
    let library = library(context, &source, &local).await?;
    let Findings { found, needs_manager } = source.check(&library)?;
    let is_here = local.offline || !local.plugin_yamls.is_empty();
    // What is wrong here is wrong on a manager too, unless it alone can bring what is imported.
    let judged = if is_here || !found.is_empty() && !needs_manager {
        None
    } else {
        match context.manager().await {
            Ok(manager) => Some(super::validate(&manager, &source, source.pack()?).await),
            Err(error) if error.exit() == Exit::Unreachable => {
                context.ui.say("No manager can be reached: checked here.");
                None
            }
            Err(error) => return Err(error),
        }
    };
    let (findings, done) = match judged {
        Some(Ok(())) => (vec![], Ok(())),
        Some(Err(ClientError::Refused(refusal))) => {
            (record::told(&refusal), Err(ClientError::Refused(refusal).into()))
        }
        Some(Err(error)) => return Err(error.into()),
        None if found.is_empty() => (vec![], Ok(())),
        None => {
            (found.iter().map(record::finding).collect(), Err(SourceError::Invalid(found).into()))
        }
    };
    if context.ui.is_json() {
        context.ui.json(&json!({ "valid": done.is_ok(), "findings": findings }))?;
    }
    done.inspect(|()| context.ui.step("Valid", local.blueprint))
}

pub(super) async fn plan(
    context: &mut Context<'_>,
    local: Local,
    values: &Values,
    deployment: bool,
) -> Result<(), Error> {
    let given = inputs::object(&values.inputs, &values.input)?;
    let plan = read(context, &local).await?;
    let is_blueprint = !deployment && values.inputs.is_empty() && values.input.is_empty();
    let plan = if is_blueprint {
        plan.into_json()
    } else {
        let request = Request { inputs: given, has_secret: Some(&|_| true), ..Request::default() };
        prepare_deployment(plan, request, &mut SeededIds::new(SEED)).map_err(SourceError::Inputs)?
    };
    if context.ui.is_json() {
        return context.ui.json(&plan);
    }
    let nodes = plan["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nodes: Vec<_> = nodes.iter().map(|node| record::PlannedNode::of(node, &plan)).collect();
    context.ui.list(&nodes)
}

pub(super) async fn graph(
    context: &mut Context<'_>,
    local: Local,
    text: bool,
) -> Result<(), Error> {
    let picture = Picture::of(read(context, &local).await?.as_json());
    if context.ui.is_json() {
        return context.ui.json(&picture.shape());
    }
    let is_text = !context.ui.is_svg() && (text || context.ui.is_terminal());
    context.ui.data(&if is_text { picture.text() } else { picture.svg() })
}

async fn read(context: &mut Context<'_>, local: &Local) -> Result<Plan, Error> {
    let source = Source::open(&local.blueprint)?;
    let library = library(context, &source, local).await?;
    Ok(source.plan(&library)?)
}

/// Gathers the plugins that a blueprint imports: from files that were named, from beside it, and
/// from the manager, if one can be reached.
async fn library(
    context: &mut Context<'_>,
    source: &Source,
    local: &Local,
) -> Result<Library, Error> {
    let mut library = Library::named(&local.plugin_yamls)?.beside(&source.found()?)?;
    if local.offline {
        return Ok(library);
    }
    let mut asked = vec![];
    // A plugin may import others.
    loop {
        let wanted = source.wanted(&library)?.into_iter();
        let new: Vec<_> = wanted.filter(|it| !library.has(it) && !asked.contains(it)).collect();
        if new.is_empty() {
            return Ok(library);
        }
        let manager = match context.manager().await {
            Ok(manager) => manager,
            Err(error) if error.exit() == Exit::Unreachable => return Ok(library),
            Err(error) => return Err(error),
        };
        for import in new {
            if let Some(plugin) = plugins::imported(&manager, &import).await? {
                library.add(plugin);
            }
            asked.push(import);
        }
    }
}

//! What an agent makes the environment of a plugin of: a wagon, else the sources that its blueprint
//! has; and beside them the wagon of the Python runtime, unless they bring their own.

use waggoner_proto::agent::v1::Environment;
use waggoner_types::{Chain, Digest, Host, OperationError, plan::Plugin};
use waggoner_wagon::{Requirement, VersionSpec, choose};

use crate::{
    catalog::{
        plugins::{Candidate, unavailable},
        sources,
    },
    executions::Stage,
    fleet::Link,
    home::Home,
};

/// The package whose wagon is the Python runtime: see `docs/adr/0002`.
pub(crate) const RUNTIME: &str = "cloudify-common";

/// Says whether a plugin's wagon has a cloudify-common of its own.
pub(crate) fn carries_common(plugin: &waggoner_store::plugin::Plugin) -> bool {
    plugin.wheels.iter().any(|wheel| wheel.to_lowercase().starts_with("cloudify_common-"))
}

/// Returns what a plugin's environment is made of on an agent, and the artifacts it needs for that.
///
/// A wagon comes before sources, as in Cloudify (`cloudify/plugin_installer.py`).
pub(super) async fn of_plugin(
    home: &Home,
    stage: &Stage,
    link: &Link,
    plugin: &Plugin,
) -> Result<(Environment, Vec<Digest>), OperationError> {
    let source = plugin.source.as_deref().map(str::trim).filter(|source| !source.is_empty());
    let lacking = |none| OperationError::non_recoverable(unavailable(plugin, none));
    match (wagon(home, stage, &link.host, plugin).await?, source) {
        (Ok(candidate), _) => of_wagon(home, stage, link, &candidate, plugin).await,
        // What is not to be installed is in what every agent has (`install: false`).
        (Err(none), _) if plugin.install == Some(false) => {
            let runtime = runtime(home, stage, &link.host).await?;
            let runtime = runtime.ok_or_else(|| lacking(none))?;
            of_wagon(home, stage, link, &runtime, plugin).await
        }
        (Err(_), Some(source)) => of_sources(home, stage, link, plugin, source).await,
        (Err(none), None) => Err(lacking(none)),
    }
}

/// The environment of a wagon, and the artifacts it is made of.
async fn of_wagon(
    home: &Home,
    stage: &Stage,
    link: &Link,
    candidate: &Candidate,
    plugin: &Plugin,
) -> Result<(Environment, Vec<Digest>), OperationError> {
    let extra = if carries_common(&candidate.plugin) {
        None
    } else {
        runtime(home, stage, &link.host).await?
    };
    let wagons = std::iter::once(candidate).chain(&extra).map(|chosen| chosen.plugin.digest);
    Ok((of(candidate, extra.as_ref(), plugin), wagons.collect()))
}

/// The same of sources, which the agent builds.
async fn of_sources(
    home: &Home,
    stage: &Stage,
    link: &Link,
    plugin: &Plugin,
    source: &str,
) -> Result<(Environment, Vec<Digest>), OperationError> {
    let blueprints = std::iter::once(&stage.blueprint).chain(&stage.before);
    let digest = sources::artifact(home, blueprints, source).await.map_err(|error| {
        let origin = sources::origin(source);
        let why = format!("plugin `{}` comes from `{origin}`: {}", plugin.name, Chain(&error));
        if error.may_pass() {
            OperationError::recoverable(why)
        } else {
            OperationError::non_recoverable(why)
        }
    })?;
    let runtime = runtime(home, stage, &link.host).await?.map(|runtime| runtime.plugin.digest);
    let package_name = plugin.package_name.as_ref().filter(|name| !name.is_empty());
    let environment = Environment {
        package_name: package_name.unwrap_or(&plugin.name).clone(),
        package_version: plugin.package_version.clone().unwrap_or_default(),
        wagon_digest: String::new(),
        extra_wagon_digests: runtime.iter().map(ToString::to_string).collect(),
        install_arguments: plugin.install_arguments.clone().unwrap_or_default(),
        source_digest: digest.to_string(),
    };
    Ok((environment, std::iter::once(digest).chain(runtime).collect()))
}

pub(super) fn of(candidate: &Candidate, extra: Option<&Candidate>, plugin: &Plugin) -> Environment {
    Environment {
        package_name: candidate.plugin.package_name.clone(),
        package_version: candidate.plugin.package_version.clone(),
        wagon_digest: candidate.plugin.digest.to_string(),
        extra_wagon_digests: extra
            .map(|extra| extra.plugin.digest.to_string())
            .into_iter()
            .collect(),
        install_arguments: plugin.install_arguments.clone().unwrap_or_default(),
        source_digest: String::new(),
    }
}

/// Chooses the wagon of a plugin for a host. The inner error says why none of its package fits, if
/// it names one.
async fn wagon(
    home: &Home,
    stage: &Stage,
    host: &Host,
    plugin: &Plugin,
) -> Result<Result<Candidate, Option<String>>, OperationError> {
    let Some(package) = plugin.package_name.as_ref().filter(|package| !package.is_empty()) else {
        return Ok(Err(None));
    };
    let version = match &plugin.package_version {
        Some(version) => VersionSpec::Exactly(version.clone()),
        None => VersionSpec::Any,
    };
    let requirement = Requirement {
        package_name: package.clone(),
        version,
        supported_platform: plugin.supported_platform.clone(),
        distribution: plugin.distribution.clone(),
        distribution_version: plugin.distribution_version.clone(),
        distribution_release: plugin.distribution_release.clone(),
    };
    Ok(chosen(home, stage, host, &requirement).await?.map_err(Some))
}

/// Chooses the wagon of the Python runtime for a host, if one was uploaded.
pub(super) async fn runtime(
    home: &Home,
    stage: &Stage,
    host: &Host,
) -> Result<Option<Candidate>, OperationError> {
    let chosen = chosen(home, stage, host, &Requirement::of(RUNTIME)).await?;
    Ok(chosen.ok())
}

/// Chooses among the wagons of a package. The inner error says why none fits.
async fn chosen(
    home: &Home,
    stage: &Stage,
    host: &Host,
    requirement: &Requirement,
) -> Result<Result<Candidate, String>, OperationError> {
    let tenant = stage.scene.tenant.clone();
    let found = home.store.plugin_candidates(tenant, requirement.package_name.clone()).await;
    let found = found.map_err(|error| OperationError::recoverable(Chain(&error).to_string()))?;
    let candidates: Vec<_> = found.into_iter().map(Candidate::new).collect();
    let chosen = choose(&candidates, requirement, host);
    Ok(chosen.map(|choice| choice.candidate.clone()).map_err(|none| Chain(&none).to_string()))
}

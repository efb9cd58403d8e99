//! Why there is no environment.

use std::io;

use waggoner_wagon::Refusal;

use crate::ToolFailure;

/// Why an environment could not be had. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// No interpreter of this host is among those that the wagon is for.
    #[error(
        "failed to make an environment for {package}: it is for {supported} and this host has {found}: install one of these interpreters, or upload a wagon for one that is there"
    )]
    NoInterpreter {
        /// The plugin and its version.
        package: String,
        /// The tags that it is for.
        supported: String,
        /// The tags that were found.
        found: String,
    },
    /// Neither uv nor pip is there.
    #[error(
        "failed to make an environment for {package}: this host has no uv, and `{python}` came without pip and venv: install uv, or the distribution's python3-venv"
    )]
    NoTool {
        /// The plugin and its version.
        package: String,
        /// The interpreter.
        python: String,
    },
    /// One of the wagons cannot be used.
    #[error("failed to make an environment for {package}")]
    Wagon {
        /// The plugin and its version.
        package: String,
        /// Why.
        #[source]
        source: Refusal,
    },
    /// The wagon is not the one that was asked for.
    #[error("failed to make an environment for {package}: the wagon `{file}` holds {found}")]
    OtherWagon {
        /// The plugin and its version.
        package: String,
        /// The wagon's file.
        file: String,
        /// What it holds.
        found: String,
    },
    /// Nothing that runs operations is among the wheels.
    #[error(
        "failed to make an environment for {package}: its wagon carries no cloudify-common wheel, and no wagon that does was given beside it: build the plugin with cloudify-common among its requirements"
    )]
    NoCommon {
        /// The plugin and its version.
        package: String,
    },
    /// The wheels could not be installed.
    #[error("failed to install {package} for {tag} with {tool}{foreign}")]
    Install {
        /// The plugin and its version.
        package: String,
        /// The interpreter's tag.
        tag: String,
        /// What was to install it.
        tool: &'static str,
        /// Which wheels are for another interpreter or platform, a clause; empty for none.
        foreign: String,
        /// Why not, in the tool's words.
        #[source]
        source: ToolFailure,
    },
    /// The sources are no project's.
    #[error(
        "failed to build {package} from its sources: they have neither a setup.py nor a pyproject.toml"
    )]
    NoProject {
        /// The plugin.
        package: String,
    },
    /// Nothing that runs operations came with the sources or beside them.
    #[error(
        "failed to make an environment for {package}: nothing brings cloudify-common: upload a wagon of it to the manager, or name it among the plugin's requirements"
    )]
    NoCommonForSources {
        /// The plugin.
        package: String,
    },
    /// The sources could not be built, or what they ask for could not be had.
    #[error("failed to build {package} from its sources for {tag} with {tool}")]
    Build {
        /// The plugin.
        package: String,
        /// The interpreter's tag.
        tag: String,
        /// What was to build it.
        tool: &'static str,
        /// Why not, in the tool's words.
        #[source]
        source: ToolFailure,
    },
    /// One of the wheels is damaged.
    #[error(
        "failed to install {package}: the wheel `{wheel}` in its wagon is damaged: pack the plugin again"
    )]
    BrokenWheel {
        /// The plugin and its version.
        package: String,
        /// The wheel's file name.
        wheel: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The host could not do its part.
    #[error("failed to keep an environment for {package}")]
    Host {
        /// The plugin and its version.
        package: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

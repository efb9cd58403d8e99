//! A blueprint on disk, with what lies beside it.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_blueprint::Diagnostic;
use waggoner_types::BlueprintId;
use waggoner_wagon::{ManifestError, Refusal};

use crate::error::Exit;

mod archive;
mod calls;
mod check;
mod function;
mod library;
mod linked;
mod own;
mod pack;
mod plugins;
mod resolver;
mod sketch;
mod tree;
mod yamls;

pub(crate) use self::{
    check::Findings,
    function::check_function,
    library::Library,
    pack::{Packed, pack, packed},
    plugins::{Found, Origin, yamls_beside},
    sketch::{NodeSketch, sketch},
    tree::Tree,
};

/// The main file of a directory that is named instead of a file.
const MAIN_FILE: &str = "blueprint.yaml";

/// A blueprint: a directory and its main file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub directory: Utf8PathBuf,
    /// The main file's name in the directory.
    pub main_file: String,
}

/// Why a blueprint or a plugin on disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("failed to open the blueprint")]
    Blueprint(#[source] io::Error),
    #[error("failed to name the blueprint after its directory")]
    Name(#[source] waggoner_types::names::InvalidName),
    #[error("failed to pack the blueprint")]
    Pack(#[source] io::Error),
    #[error("failed to pack the blueprint")]
    Archive(#[source] Refusal),
    #[error("failed to read the wagon")]
    Wagon(#[source] Refusal),
    #[error("failed to read a file of the plugin")]
    Read(#[source] io::Error),
    #[error("failed to read the plugin")]
    Manifest(#[source] ManifestError),
    #[error("failed to read the plugin's directory `{directory}`")]
    Directory {
        directory: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to link the wagon to the plugin's sources")]
    Link(#[source] io::Error),
    #[error("failed to find a plugin.yaml beside `{0}`")]
    NoYaml(Utf8PathBuf),
    #[error(transparent)]
    Plugin(Box<waggoner_python::PackError>),
    #[error("failed to pack the plugin: there is no Python 3 on this host")]
    NoPython,
    #[error("failed to fill in the blueprint's plan")]
    Inputs(#[source] waggoner_blueprint::Refusal),
    #[error("failed to write the packed plugin")]
    Keep(#[source] io::Error),
    #[error("the plugin.yaml is not valid")]
    PluginYaml(Vec<Diagnostic>),
    #[error("the blueprint is not valid")]
    Invalid(Vec<Diagnostic>),
    #[error("failed to find the operation: {0}")]
    Function(String),
    #[error("the node is not valid")]
    Node(Vec<Diagnostic>),
}

// === impl Source ===

impl Source {
    /// Finds a blueprint by its main file, or by its directory if the file has the usual name.
    pub(crate) fn open(given: &Utf8Path) -> Result<Self, SourceError> {
        let path = given.canonicalize_utf8().map_err(|source| {
            SourceError::Blueprint(io::Error::new(source.kind(), format!("`{given}`: {source}")))
        })?;
        let path = if path.is_dir() { path.join(MAIN_FILE) } else { path };
        fs_err::metadata(&path).map_err(SourceError::Blueprint)?;
        let directory = path.parent().expect("a file is in a directory").to_owned();
        let main_file = path.file_name().expect("a file has a name").to_owned();
        Ok(Self { directory, main_file })
    }

    /// The id that a blueprint has by itself: the name of its directory.
    pub(crate) fn id(&self) -> Result<String, SourceError> {
        let name = self.directory.file_name().unwrap_or_default();
        name.parse::<BlueprintId>().map_err(SourceError::Name)?;
        Ok(name.to_owned())
    }

    /// Where plugins lie.
    fn plugins(&self) -> Utf8PathBuf {
        self.directory.join("plugins")
    }
}

// === impl SourceError ===

impl SourceError {
    /// What the command ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Wagon(_)
            | Self::Manifest(_)
            | Self::Inputs(_)
            | Self::Invalid(_)
            | Self::PluginYaml(_)
            | Self::Function(_)
            | Self::Node(_) => Exit::Refused,
            _ => Exit::Failed,
        }
    }

    /// The findings, one a line.
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Invalid(found) | Self::PluginYaml(found) => {
                found.iter().flat_map(check::lines).collect()
            }
            // The text that they are about is not one that anybody wrote.
            Self::Node(found) => found
                .iter()
                .map(|found| match &found.hint {
                    Some(hint) => format!("{}; {hint}", found.message),
                    None => found.message.clone(),
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What the reader can do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Name(_) => Some("name it with --blueprint-id"),
            Self::NoYaml(_) => Some("name it with --yaml"),
            Self::NoPython => Some("install Python 3 with pip"),
            _ => None,
        }
    }
}

//! Whether a package has the functions that its plugin.yaml calls.
//!
//! Nothing is imported: a module is a file of a wheel, and a function is a word in it. So a
//! misspelt name is found; what is made at run time may be taken for missing.

use std::{
    collections::HashMap,
    io::{self, Read as _},
};

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_wagon::{Budget, Wagon};
use waggoner_yaml::{Mark, Node, parse};
use zip::ZipArchive;

use super::SourceError;

/// The packages that are there without being asked for.
const GRANTED: [&str; 2] = ["cloudify", "script_runner"];

/// The longest module that is looked into; a longer one is believed.
const LONGEST: u64 = 4 << 20;

/// A function that a plugin.yaml calls.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    /// As it stands there: `plugin.package.module.function`.
    whole: String,
    module: String,
    function: String,
    mark: Mark,
}

/// The modules of a wagon, by name. What is no text, such as a compiled one, is none.
type Modules = HashMap<String, Option<String>>;

/// Returns what the files call in the wagon's own plugin and is not there, each with its place.
pub(super) fn missing(wagon: &Utf8Path, yamls: &[Utf8PathBuf]) -> Result<Vec<String>, SourceError> {
    let wagon = Wagon::open(wagon, &Budget::WAGON).map_err(SourceError::Wagon)?;
    let mut calls = Vec::new();
    for path in yamls {
        let text = fs_err::read_to_string(path).map_err(SourceError::Read)?;
        // One that does not parse was refused before.
        let Ok(root) = parse(&text, waggoner_yaml::Budget::default()) else { continue };
        let file = path.file_name().unwrap_or_default().to_owned();
        let found = calls_of(&root, &wagon.metadata.package_name);
        calls.extend(found.into_iter().map(|call| (file.clone(), call)));
    }
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let modules = modules(&wagon)?;
    let missing = calls.iter().filter_map(|(file, call)| {
        let why = flaw(call, &modules)?;
        let Mark { line, column } = call.mark;
        Some(format!("{file}:{line}:{column}: `{}` is called, but {why}", call.whole))
    });
    Ok(missing.collect())
}

/// Says what a call does not find.
fn flaw(call: &Call, modules: &Modules) -> Option<String> {
    let Call { module, function, .. } = call;
    let top = module.split('.').next().unwrap_or_default();
    match modules.get(module) {
        None if GRANTED.contains(&top) => None,
        None => Some(format!("the wagon has no module `{module}`")),
        Some(Some(text)) if !text.contains("import *") && !has_word(text, function) => {
            Some(format!("`{module}` has no `{function}`"))
        }
        Some(_) => None,
    }
}

pub(super) fn has_word(text: &str, wanted: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted)
}

/// Gathers what the types, relationships and workflows call of the plugins of a package.
fn calls_of(root: &Node, package: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let plugins = entries(root.get("plugins"))
        .filter(|(_, plugin)| plugin.get("package_name").and_then(Node::as_str) == Some(package));
    let plugins: Vec<_> = plugins.map(|(name, _)| name).collect();
    let mut take = |node: &Node, inner: &str| {
        let node = node.get(inner).unwrap_or(node);
        let Some(whole) = node.as_str() else { return };
        let own = plugins.iter().find_map(|name| whole.strip_prefix(name)?.strip_prefix('.'));
        if let Some((module, function)) = own.and_then(|own| own.rsplit_once('.')) {
            let (module, function) = (module.to_owned(), function.to_owned());
            calls.push(Call { whole: whole.to_owned(), module, function, mark: node.mark });
        }
    };
    let sections = [
        ("node_types", &["interfaces"][..]),
        ("relationships", &["source_interfaces", "target_interfaces"]),
    ];
    for (section, kinds) in sections {
        for (_, of_type) in entries(root.get(section)) {
            for (_, interface) in kinds.iter().flat_map(|kind| entries(of_type.get(kind))) {
                entries(Some(interface))
                    .for_each(|(_, operation)| take(operation, "implementation"));
            }
        }
    }
    entries(root.get("workflows")).for_each(|(_, workflow)| take(workflow, "mapping"));
    calls
}

fn entries(node: Option<&Node>) -> impl Iterator<Item = (String, &Node)> {
    let map = node.and_then(Node::as_map);
    map.into_iter()
        .flat_map(waggoner_yaml::Map::iter)
        .map(|(key, entry)| (key.to_text(), &entry.node))
}

fn modules(wagon: &Wagon) -> Result<Modules, SourceError> {
    let scratch = camino_tempfile::tempdir().map_err(SourceError::Keep)?;
    wagon.extract_wheels(scratch.path()).map_err(SourceError::Wagon)?;
    let mut modules = Modules::new();
    for wheel in &wagon.wheels {
        read(&scratch.path().join(wheel.name.as_str()), &mut modules).map_err(SourceError::Keep)?;
    }
    Ok(modules)
}

fn read(wheel: &Utf8Path, modules: &mut Modules) -> io::Result<()> {
    let mut zip = ZipArchive::new(fs_err::File::open(wheel)?).map_err(io::Error::other)?;
    for at in 0..zip.len() {
        let file = zip.by_index(at).map_err(io::Error::other)?;
        let path = file.name().map_err(io::Error::other)?.into_owned();
        let Some(name) = module(&path) else { continue };
        let mut text = String::new();
        let is_text = Utf8Path::new(&path).extension() == Some("py")
            && file
                .take(LONGEST)
                .read_to_string(&mut text)
                .is_ok_and(|size| (size as u64) < LONGEST);
        modules.insert(name, is_text.then_some(text));
    }
    Ok(())
}

/// The module that a file of a wheel is.
fn module(path: &str) -> Option<String> {
    let path = Utf8Path::new(path);
    let (name, ending) = path.file_name()?.split_once('.')?;
    if ending != "py" && path.extension() != Some("so") {
        return None;
    }
    let package = path.parent().map(|parent| parent.as_str().replace('/', ".")).unwrap_or_default();
    Some(match (package.as_str(), name) {
        ("", name) => name.to_owned(),
        (package, "__init__") => package.to_owned(),
        (package, name) => format!("{package}.{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
plugins:
  note: {executor: host_agent, package_name: note-plugin}
  other: {executor: host_agent, package_name: other-plugin}
node_types:
  note.Note:
    interfaces:
      lifecycle:
        create: note.note_plugin.tasks.create
        start: {implementation: note.note_plugin.task.start, inputs: {a: {default: 1}}}
        stop: {}
        delete: other.anything.at.all
        script: scripts/run.sh
relationships:
  note.on:
    source_interfaces: {lifecycle: {establish: note.note_plugin.tasks.establish}}
workflows:
  all: {mapping: note.note_plugin.fast.all, parameters: {}}
  two: note.script_runner.tasks.run
";

    #[test]
    fn a_name_that_nothing_has_is_found_with_its_place() {
        let root = parse(YAML, waggoner_yaml::Budget::default()).unwrap();
        let calls = calls_of(&root, "note-plugin");
        let modules = Modules::from([
            ("note_plugin.tasks".to_owned(), Some("def create(**_):\n    recreate()\n".to_owned())),
            ("note_plugin.fast".to_owned(), None),
        ]);
        let wrong = calls
            .iter()
            .filter_map(|call| Some(format!("{}: {}", call.mark.line, flaw(call, &modules)?)));
        assert_eq!(
            wrong.collect::<Vec<_>>(),
            [
                "10: the wagon has no module `note_plugin.task`",
                "16: `note_plugin.tasks` has no `establish`",
            ]
        );
        assert_eq!(calls.len(), 5);
    }

    #[test]
    fn modules_are_told_by_their_files() {
        for (path, name) in [
            ("a/b.py", Some("a.b")),
            ("a/__init__.py", Some("a")),
            ("a/b.cpython-311-x86_64-linux-gnu.so", Some("a.b")),
            ("a.py", Some("a")),
            ("a/data.json", None),
            ("a-1.0.dist-info/RECORD", None),
        ] {
            assert_eq!(module(path).as_deref(), name, "{path}");
        }
    }
}

//! Finds the text of one import: which places are tried, in which order.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map as Object, Value as Json, json};

use super::{Blueprints, Fault, MOST_BLUEPRINTS, Run, merge, older, statement::Statement};
use crate::{
    Fetched, Location, PluginLabels, Refusal, code, core_types, namespace,
    tree::{Content, Field, Tree},
    version::Version,
};

/// The text that imports.
pub(super) struct Parent {
    pub(super) location: String,
    pub(super) namespace: Option<Rc<str>>,
}

pub(super) enum Found {
    /// Imported before, under the same namespace.
    Again,
    New {
        location: String,
        namespace: Option<Rc<str>>,
        tree: Box<Tree>,
        is_core: bool,
    },
}

/// Which texts are there already, and whether they are Cloudify's own types.
type Seen = IndexMap<(String, Option<Rc<str>>), bool>;

/// How many namespaces may be in each other. A file that imports itself with one makes them
/// without end.
const MOST_NAMESPACES: usize = 16;

// === impl Run ===

impl Run<'_> {
    pub(super) fn fetch(
        &mut self,
        statement: &Statement,
        parent: &Parent,
        version: Version,
        seen: &Seen,
        blueprints: &mut Blueprints,
    ) -> Result<Found, Fault> {
        let (given, location) = statement.parts();
        let namespace = joined(parent, given).map_err(|refusal| statement.fault(refusal))?;
        let mut failure = None;
        for candidate in candidates(location, &parent.location, version, self.options) {
            let key = (candidate.to_string(), namespace.clone());
            let check = |is_core| {
                refuse_on_core(namespace.as_deref(), is_core, parent)
                    .map_err(|refusal| statement.fault(refusal))
            };
            if let Some(is_core) = seen.get(&key) {
                check(*is_core)?;
                return Ok(Found::Again);
            }
            if let Some(id) = blueprint_of(&candidate) {
                remember(blueprints, namespace.as_deref(), id)
                    .map_err(|refusal| statement.fault(refusal))?;
            }
            let fetched = match core_types::text(&candidate, version) {
                Some(text) => Ok(Some(Fetched { text: text.into_owned(), ..Fetched::default() })),
                None => self.resolver.fetch(&candidate, &version.suffix()),
            };
            match fetched {
                Ok(Some(fetched)) => {
                    let mut tree = self.read_import(&candidate, &fetched)?;
                    if fetched.adapts && version == Version::V1_3 {
                        older::adapt(&mut tree);
                    }
                    if let Some(labels) = fetched.plugin {
                        set_labels(&mut tree, labels);
                    }
                    let is_core = merge::is_core_types(&tree);
                    check(is_core)?;
                    let location = candidate.to_string();
                    return Ok(Found::New { location, namespace, tree: Box::new(tree), is_core });
                }
                Ok(None) => {}
                Err(error) => failure = Some((candidate, error)),
            }
        }
        let message = match failure {
            Some((candidate, error)) => format!("`{candidate}` cannot be imported: {error}"),
            None => format!("`{location}` cannot be imported: it is nowhere to be found"),
        };
        Err(statement.fault(Refusal::logic(code::IMPORT_FAILED, message)))
    }

    /// An imported blueprint brings its own imports; anything else is one text.
    fn read_import(&mut self, location: &Location, fetched: &Fetched) -> Result<Tree, Fault> {
        let name = location.to_string();
        if blueprint_of(location).is_none() {
            return self.read(&fetched.text, &name);
        }
        if self.depth >= MOST_BLUEPRINTS {
            let message = format!("blueprints import each other more than {MOST_BLUEPRINTS} deep");
            let file = self.findings.add_file(&name, &fetched.text);
            let place = crate::diagnostic::Place { file, mark: None };
            return Err((place, String::new(), Refusal::logic(code::CYCLE, message)));
        }
        let options = self.options.clone().unchecked();
        let mut inner = Run {
            resolver: self.resolver,
            options: &options,
            findings: &mut *self.findings,
            depth: self.depth + 1,
        };
        let mut tree = super::resolve(&mut inner, &fetched.text, &name)?.tree;
        tree.settle();
        Ok(tree)
    }
}

// === impl Tree ===

impl Tree {
    /// Forgets which parts were prefixed, so that the next namespace comes on top.
    fn settle(&mut self) {
        self.namespace = None;
        self.is_done = false;
        self.is_prefixed = false;
        match &mut self.value {
            Content::List(items) => items.iter_mut().for_each(Self::settle),
            Content::Map(fields) => fields.values_mut().for_each(|field| field.value.settle()),
            Content::Plain(_) | Content::Timestamp(_) | Content::Str(_) => {}
        }
    }
}

/// The places to look for an import, the first one first.
///
/// A path is looked for beside the importing file, then under the base of resources, then
/// among the manager's files. Where it cannot be meant relative to a file, the variant for
/// the version of the language goes first (`types_1_4.yaml` before `types.yaml`).
fn candidates(
    location: &str,
    parent: &str,
    version: Version,
    options: &crate::Options,
) -> Vec<Location> {
    let parsed = Location::parse(location);
    let Location::File(path) = parsed else { return vec![parsed] };
    if location.starts_with("file:") {
        return vec![Location::File(path)];
    }
    let (stem, extension) = match path.rfind('.') {
        Some(at) if at > path.rfind('/').map_or(0, |slash| slash + 1) => path.split_at(at),
        _ => (path.as_str(), ""),
    };
    let variant = format!("{stem}_{}{extension}", version.suffix());
    let mut places = vec![];
    if path.starts_with('/') {
        places.extend([Location::File(variant.clone()), Location::File(path.clone())]);
    } else {
        places.push(beside(parent, &path));
    }
    if let Some(base) = &options.resources_base {
        let base = base.trim_end_matches('/');
        places.extend([&variant, &path].map(|path| Location::File(format!("{base}/{path}"))));
    }
    places.extend([Location::Resource(variant), Location::Resource(path)]);
    places
}

/// The id of the blueprint that is imported whole; nothing for a file of one.
fn blueprint_of(location: &Location) -> Option<&str> {
    match location {
        Location::Blueprint(id) if !id.contains('/') => Some(id),
        _ => None,
    }
}

/// The path as the importing file means it.
fn beside(parent: &str, path: &str) -> Location {
    let folder = parent.rfind('/').map_or("", |slash| &parent[..=slash]);
    match Location::parse(parent) {
        Location::Url(_) => Location::Url(format!("{folder}{path}")),
        Location::Resource(from) => {
            let folder = from.rfind('/').map_or("", |slash| &from[..=slash]);
            Location::Resource(format!("{folder}{path}"))
        }
        Location::Blueprint(from) => {
            let folder = from.rfind('/').map_or(from.as_str(), |slash| &from[..slash]);
            Location::Blueprint(format!("{folder}/{path}"))
        }
        _ => Location::File(format!("{folder}{path}")),
    }
}

fn joined(parent: &Parent, given: Option<&str>) -> Result<Option<Rc<str>>, Refusal> {
    let Some(given) = given else { return Ok(parent.namespace.clone()) };
    if given.contains(namespace::DELIMITER) {
        let message = format!("the namespace `{given}` may not contain `{}`", namespace::DELIMITER);
        return Err(Refusal::logic(code::INVALID_NAMESPACE, message));
    }
    Ok(Some(match &parent.namespace {
        Some(outer) if outer.matches(namespace::DELIMITER).count() + 1 >= MOST_NAMESPACES => {
            let message = format!(
                "the namespace `{given}` is one of more than {MOST_NAMESPACES} in each other: does \
                 a file import itself?"
            );
            return Err(Refusal::logic(code::CYCLE, message));
        }
        Some(outer) => namespace::prefix(outer, given).into(),
        None => given.into(),
    }))
}

/// Cloudify's own types cannot be given a namespace, only come along in one.
fn refuse_on_core(namespace: Option<&str>, is_core: bool, parent: &Parent) -> Result<(), Refusal> {
    match namespace {
        Some(namespace) if is_core && parent.namespace.as_deref() != Some(namespace) => {
            let message =
                format!("the namespace `{namespace}` cannot be given to Cloudify's own types");
            Err(Refusal::logic(code::NAMESPACE_ON_CORE_TYPES, message))
        }
        _ => Ok(()),
    }
}

/// Each imported blueprint needs a namespace of its own.
fn remember(blueprints: &mut Blueprints, namespace: Option<&str>, id: &str) -> Result<(), Refusal> {
    let Some(namespace) = namespace else {
        let message = format!("the blueprint `{id}` must be imported with a namespace");
        return Err(Refusal::logic(code::BLUEPRINT_WITHOUT_NAMESPACE, message));
    };
    match blueprints.insert(namespace.to_owned(), id.to_owned()) {
        None => Ok(()),
        Some(other) => {
            let message = format!("the namespace `{namespace}` is that of `{other}` already");
            Err(Refusal::logic(code::NAMESPACE_ON_CORE_TYPES, message))
        }
    }
}

/// Puts what the manager knows about a plugin in the place of what its YAML says.
fn set_labels(tree: &mut Tree, labels: PluginLabels) {
    let place = tree.place;
    let Some(fields) = tree.as_map_mut() else { return };
    let with_values = |labels: Object<String, Json>| -> Object<String, Json> {
        labels.into_iter().map(|(label, values)| (label, json!({ "values": values }))).collect()
    };
    let sections = [
        ("blueprint_labels", with_values(labels.blueprint_labels)),
        ("labels", with_values(labels.labels)),
        ("resource_tags", labels.resource_tags),
    ];
    for (name, section) in sections {
        fields.shift_remove(name);
        if !section.is_empty() {
            let tree = Tree::of_json(Json::Object(section), place);
            fields.insert(name.to_owned(), Field::new(tree));
        }
    }
}

//! From a main text to one merged tree: fetch every import once, in breadth first order.
//!
//! ```text
//! main ─┬─ plugin:aws?version=>=3     Resolver ──► text ──► Tree ─┐
//!       ├─ cloudify/types/types.yaml  (ours)                      ├─► merge ──► namespace
//!       └─ ns--lib/db.yaml ── …                                   ─┘
//! ```
//!
//! Source: `dsl_parser/elements/imports.py`.

mod fetch;
mod merge;
mod older;
mod plugin_properties;
mod statement;

use std::{collections::HashSet, rc::Rc};

use indexmap::IndexMap;

use self::{
    fetch::{Found, Parent},
    statement::Statement,
};
use crate::{
    Options, Refusal, Resolver,
    check::check,
    code,
    diagnostic::{Findings, Place},
    namespace,
    schema::DSL_DEFINITIONS,
    tree::Tree,
    version::Version,
};

/// The most texts of one blueprint, so that a chain of imports ends.
const MOST_IMPORTS: usize = 500;

/// How deep imported blueprints may import blueprints.
const MOST_BLUEPRINTS: usize = 16;

/// How many bytes a blueprint and all it imports may have.
const MOST_BYTES: usize = 16 << 20;

/// A blueprint whose imports are merged in, its names prefixed.
pub(crate) struct Merged {
    pub(crate) tree: Tree,
    pub(crate) version: Version,
}

/// The namespace of each imported blueprint, and its id.
pub(crate) type Blueprints = IndexMap<String, String>;

/// One text of the blueprint.
struct Imported {
    location: String,
    tree: Tree,
    namespace: Option<Rc<str>>,
    statement: Option<Statement>,
    is_core: bool,
}

/// What every step of one run shares.
pub(crate) struct Run<'r> {
    pub(crate) resolver: &'r dyn Resolver,
    pub(crate) options: &'r Options,
    pub(crate) findings: &'r mut Findings,
    /// How many blueprints deep.
    pub(crate) depth: usize,
}

/// A refusal and its place; reported where the run ends.
pub(crate) type Fault = (Place, String, Refusal);

// === impl Run ===

impl Run<'_> {
    /// Reads the text, and all it imports, into one tree without prefixes yet.
    pub(crate) fn merge(&mut self, text: &str, location: &str) -> Result<Merged, Fault> {
        let main = self.read(text, location)?;
        let version = main_version(&main)?;
        if let Some(definitions) = main.get("dsl_definitions") {
            let version = Some(version).filter(|_| self.options.check_versions);
            check(definitions, &DSL_DEFINITIONS, version, self.findings).report(self.findings);
        }
        let mut blueprints = Blueprints::new();
        let imported = self.collect(main, location, version, &mut blueprints)?;
        let tree = self.combine(imported, version, &blueprints)?;
        Ok(Merged { tree, version })
    }

    /// Reads one text into a tree.
    fn read(&mut self, text: &str, location: &str) -> Result<Tree, Fault> {
        let file = self.findings.add_file(location, text);
        let at = |mark| Place { file, mark: Some(mark) };
        if self.findings.bytes() > MOST_BYTES {
            let message =
                format!("the blueprint and its imports have more than {MOST_BYTES} bytes");
            let refusal = Refusal::format(message).coded(code::YAML);
            return Err((Place { file, mark: None }, String::new(), refusal));
        }
        let node = waggoner_yaml::parse(text, self.options.budget).map_err(|error| {
            let refusal = Refusal::format(format!("not YAML: {}", error.message)).coded(code::YAML);
            (at(error.mark), String::new(), refusal)
        })?;
        let mark = node.mark;
        let tree =
            Tree::read(node, file).map_err(|(place, refusal)| (place, String::new(), refusal))?;
        if tree.as_map().is_none() {
            let message = format!("expected a dict of sections, found {}", tree.type_name());
            return Err((at(mark), String::new(), Refusal::format(message)));
        }
        Ok(tree)
    }

    /// Fetches everything, breadth first; the main text is the first of the list.
    fn collect(
        &mut self,
        main: Tree,
        location: &str,
        version: Version,
        blueprints: &mut Blueprints,
    ) -> Result<Vec<Imported>, Fault> {
        let mut seen: IndexMap<(String, Option<Rc<str>>), bool> = IndexMap::new();
        seen.insert((location.to_owned(), None), false);
        let mut all = vec![Imported::main(main, location)];
        let mut next = 0;
        while next < all.len() {
            for statement in statement::read(&all[next].tree, version, self.options)? {
                if all.len() > MOST_IMPORTS {
                    let message = format!("more than {MOST_IMPORTS} imports");
                    let refusal = Refusal::logic(code::IMPORT_FAILED, message);
                    return Err((statement.place, "imports".to_owned(), refusal));
                }
                let parent = Parent {
                    location: all[next].location.clone(),
                    namespace: all[next].namespace.clone(),
                };
                let found = self.fetch(&statement, &parent, version, &seen, blueprints)?;
                let Found::New { location, namespace, tree, is_core } = found else { continue };
                // Cloudify's own types are imported once, whatever the namespace.
                let namespace = namespace.filter(|_| !is_core);
                if seen.insert((location.clone(), namespace.clone()), is_core).is_none() {
                    let statement = Some(statement);
                    all.push(Imported { location, tree: *tree, namespace, statement, is_core });
                }
            }
            next += 1;
        }
        Ok(all)
    }

    fn combine(
        &mut self,
        imported: Vec<Imported>,
        version: Version,
        blueprints: &Blueprints,
    ) -> Result<Tree, Fault> {
        let mut merger = merge::Merger::new(version, blueprints);
        for mut import in imported {
            if let Some(statement) = &import.statement {
                if self.options.check_versions {
                    check_version(&import, statement, version)?;
                }
                plugin_properties::set(&mut import.tree, statement)?;
            }
            merger.add(import.tree, import.namespace.as_ref(), import.is_core)?;
        }
        Ok(merger.finish(version))
    }
}

// === impl Imported ===

impl Imported {
    fn main(tree: Tree, location: &str) -> Self {
        let is_core = merge::is_core_types(&tree);
        Self { location: location.to_owned(), tree, namespace: None, statement: None, is_core }
    }
}

/// The version of the main file, which every file must have in mind.
fn main_version(main: &Tree) -> Result<Version, Fault> {
    const FIELD: &str = "tosca_definitions_version";
    let Some(given) = main.get(FIELD) else {
        let message = format!("`{FIELD}` must stand in the main file of a blueprint");
        return Err((main.place, FIELD.to_owned(), Refusal::logic(code::NO_VERSION, message)));
    };
    let fault = |refusal| (main.place_at([FIELD]), FIELD.to_owned(), refusal);
    let Some(text) = given.as_str() else {
        let message = format!("expected a string, found {}", given.type_name());
        return Err(fault(Refusal::format(message)));
    };
    Version::parse(text).map_err(fault)
}

/// An import may not speak a newer language than the main file.
fn check_version(import: &Imported, statement: &Statement, main: Version) -> Result<(), Fault> {
    const FIELD: &str = "tosca_definitions_version";
    let Some(given) = import.tree.get(FIELD) else { return Ok(()) };
    let newer = match given.as_str().map(Version::parse) {
        Some(Ok(version)) => version > main,
        _ => true,
    };
    if !newer {
        return Ok(());
    }
    let message = format!(
        "`{}` is written in `{}`, newer than the main file's `{}`",
        statement.text,
        given.as_str().unwrap_or("an unknown version"),
        main.name()
    );
    Err((statement.place, "imports".to_owned(), Refusal::logic(code::IMPORT_VERSION, message)))
}

/// Reads a text and its imports, and prefixes the names.
pub(crate) fn resolve(run: &mut Run<'_>, text: &str, location: &str) -> Result<Merged, Fault> {
    let mut merged = run.merge(text, location)?;
    namespace::apply(&mut merged.tree, &crate::schema::BLUEPRINT);
    Ok(merged)
}

/// Refuses two imports of the same thing in one file.
fn refuse_repeats(statements: &[Statement]) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for statement in statements {
        if !seen.insert(&statement.text) {
            let message = format!("`{}` is imported twice", statement.text);
            let refusal = Refusal::format(message).coded(code::DUPLICATE_IMPORT);
            return Err((statement.place, "imports".to_owned(), refusal));
        }
    }
    Ok(())
}

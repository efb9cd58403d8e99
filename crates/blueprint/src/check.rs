//! Refuses what does not have the shape of a blueprint: every place, in one run.

use crate::{
    Refusal,
    diagnostic::{Findings, Place},
    nearest,
    schema::{Element, Shape},
    tree::{Fields, Tree},
    version::Version,
};

/// Words of a later version, to be reported when nothing worse is found.
#[derive(Debug, Default)]
pub(crate) struct Premature(Vec<(Place, String, Refusal)>);

/// Compares `tree` with the table and reports every difference; returns the words of later
/// versions.
///
/// `version` is `None` when those are let through.
pub(crate) fn check(
    tree: &Tree,
    element: &'static Element,
    version: Option<Version>,
    findings: &mut Findings,
) -> Premature {
    let mut checker = Checker { version, findings, premature: Premature::default(), path: vec![] };
    checker.element(tree, tree.place, element);
    checker.premature
}

struct Checker<'c> {
    version: Option<Version>,
    findings: &'c mut Findings,
    premature: Premature,
    path: Vec<String>,
}

// === impl Premature ===

impl Premature {
    pub(crate) fn report(self, findings: &mut Findings) {
        for (place, path, refusal) in self.0 {
            findings.report(place, &path, refusal);
        }
    }
}

// === impl Checker ===

impl Checker<'_> {
    fn element(&mut self, tree: &Tree, place: Place, element: &'static Element) {
        if tree.is_null() {
            if element.is_required {
                let name = self.path.last().cloned().unwrap_or_default();
                self.report(place, Refusal::format(format!("`{name}` is required, but empty")));
            }
            return;
        }
        // A short form and a long form: the last is the one that is explained.
        let Some((last, others)) = element.shapes.split_last() else { return };
        let shape = others.iter().find(|shape| fits(**shape, tree)).unwrap_or(last);
        if !fits(*shape, tree) {
            let given = tree.type_name();
            let expected = match shape {
                Shape::Leaf(types) => types.describe(),
                Shape::Dict(_) | Shape::Fields(_) => "a dict".to_owned(),
                Shape::List(_) => "a list".to_owned(),
            };
            self.report(tree.place, Refusal::format(format!("expected {expected}, found {given}")));
            return;
        }
        self.since(place, element);
        match shape {
            Shape::Leaf(_) => {}
            Shape::Dict(of) => {
                self.text_keys(tree);
                for (key, field) in tree.entries() {
                    self.step(key, |checker| checker.element(&field.value, field.key_place, of));
                }
            }
            Shape::List(of) => {
                for (index, item) in tree.items().iter().enumerate() {
                    self.step(&index.to_string(), |checker| checker.element(item, item.place, of));
                }
            }
            Shape::Fields(known) => self.fields(tree, known),
        }
    }

    fn fields(&mut self, tree: &Tree, known: &'static [(&'static str, &'static Element)]) {
        self.text_keys(tree);
        let none = Fields::new();
        let fields = tree.as_map().unwrap_or(&none);
        for (key, element) in known {
            match fields.get(*key) {
                Some(field) => {
                    let place = field.key_place;
                    self.step(key, |checker| checker.element(&field.value, place, element));
                }
                None if element.is_required => {
                    let refusal = Refusal::format(format!("`{key}` is required, but missing"));
                    self.report(tree.place, refusal);
                }
                None => {}
            }
        }
        for (key, field) in fields {
            if field.key_type.is_none() && !known.iter().any(|(name, _)| name == key) {
                let names = || known.iter().map(|(name, _)| *name);
                let hint = nearest::hint(key, names());
                let expected = match &hint {
                    Some(_) => String::new(),
                    None => format!(", expected {}", list_of(names())),
                };
                let message = format!("`{key}` is not known here{expected}");
                let path = self.path.join(".");
                let refusal = Refusal::format(message);
                self.findings.report_with_hint(field.key_place, &path, refusal, hint);
            }
        }
    }

    fn text_keys(&mut self, tree: &Tree) {
        for (key, field) in tree.entries() {
            if let Some(given) = field.key_type {
                let message = format!("keys must be strings, `{key}` is of type {given}");
                self.report(field.key_place, Refusal::format(message));
            }
        }
    }

    fn since(&mut self, place: Place, element: &'static Element) {
        if let (Some(version), Some(least)) = (self.version, element.since) {
            let what = format!("`{}`", self.path.last().map_or("", String::as_str));
            if let Err(refusal) = version.require(least, &what) {
                self.premature.0.push((place, self.path.join("."), refusal));
            }
        }
    }

    fn step(&mut self, key: &str, check: impl FnOnce(&mut Self)) {
        self.path.push(key.to_owned());
        check(self);
        self.path.pop();
    }

    fn report(&mut self, place: Place, refusal: Refusal) {
        let path = self.path.join(".");
        self.findings.report(place, &path, refusal);
    }
}

fn fits(shape: Shape, tree: &Tree) -> bool {
    match shape {
        Shape::Leaf(types) => types.has(tree.type_name()),
        Shape::Dict(_) | Shape::Fields(_) => tree.as_map().is_some(),
        Shape::List(_) => tree.as_list().is_some(),
    }
}

fn list_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

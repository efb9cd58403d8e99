//! Namespaces: `imports: [ns--file.yaml]` turns every name of the file into `ns--name`.
//!
//! Merging marks what comes from which namespace; here the marks become prefixes, once the
//! whole blueprint is there. Names that begin with `cloudify.`, the built-in types and
//! whatever belongs to Cloudify's own types are left alone.
//! Source: `dsl_parser/framework/parser.py`, `Context`.

use std::rc::Rc;

use crate::{
    primitive,
    schema::{Element, Shape, Types},
    tree::{Content, Field, Fields, Tree},
};

/// What stands between a namespace and a name.
pub(crate) const DELIMITER: &str = "--";

/// Names that begin so are Cloudify's: shared by all namespaces, and may be redefined.
const CORE_PREFIX: &str = "cloudify.";

type Namespace = Option<Rc<str>>;

pub(crate) fn prefix(namespace: &str, name: &str) -> String {
    format!("{namespace}{DELIMITER}{name}")
}

/// Removes every namespace from a name.
pub(crate) fn strip(name: &str) -> &str {
    name.rfind(DELIMITER).map_or(name, |at| &name[at + DELIMITER.len()..])
}

pub(crate) fn is_core_name(name: &str) -> bool {
    name.starts_with(CORE_PREFIX)
}

/// Prefixes the names of a merged blueprint.
pub(crate) fn apply(tree: &mut Tree, element: &'static Element) {
    visit(tree, element, None, false);
}

fn visit(tree: &mut Tree, element: &'static Element, outer: Namespace, is_core: bool) {
    if tree.is_null() {
        return;
    }
    let namespace = tree.namespace.clone().or(outer);
    let is_core = tree.is_core || is_core;
    for shape in element.shapes {
        match shape {
            Shape::Leaf(types) => {
                if let (Some(namespace), false) = (&namespace, is_core) {
                    leaf(tree, element, *types, namespace);
                }
            }
            Shape::Fields(known) => {
                for (key, field) in tree.as_map_mut().into_iter().flatten() {
                    if let Some((_, element)) = known.iter().find(|(name, _)| name == key) {
                        visit(&mut field.value, element, namespace.clone(), is_core);
                    }
                }
            }
            Shape::List(of) => {
                if let Content::List(items) = &mut tree.value {
                    for item in items {
                        visit(item, of, namespace.clone(), is_core);
                    }
                }
            }
            Shape::Dict(of) => {
                if let Content::Map(fields) = &mut tree.value {
                    dict(fields, element, of, &namespace, is_core);
                }
            }
        }
    }
}

fn dict(
    fields: &mut Fields,
    element: &Element,
    of: &'static Element,
    namespace: &Namespace,
    is_core: bool,
) {
    let renames = |field: &Field, key: &str| {
        element.is_named
            && !field.value.is_prefixed
            && !field.value.is_core
            && !is_core
            && !is_core_name(key)
    };
    let must_rename = fields.iter().any(|(key, field)| {
        renames(field, key) && field.value.namespace.as_ref().or(namespace.as_ref()).is_some()
    });
    if must_rename {
        let old = std::mem::take(fields);
        for (key, field) in old {
            let here = field.value.namespace.clone().or_else(|| namespace.clone());
            let key = match &here {
                Some(namespace) if renames(&field, &key) => prefix(namespace, &key),
                _ => key,
            };
            fields.insert(key, field);
        }
    }
    for field in fields.values_mut() {
        visit(&mut field.value, of, namespace.clone(), is_core);
    }
}

fn leaf(tree: &mut Tree, element: &Element, types: Types, namespace: &str) {
    match &mut tree.value {
        Content::Str(text)
            if types.has("string")
                && element.is_named
                && !tree.is_done
                && !primitive::is_primitive(text)
                && !is_core_name(text) =>
        {
            *text = prefix(namespace, text);
        }
        Content::Map(_) => functions(tree, namespace),
        _ => {}
    }
    tree.is_done = true;
}

/// Prefixes what `get_input`, `get_property` and `get_attribute` name, at any depth.
fn functions(tree: &mut Tree, namespace: &str) {
    match &mut tree.value {
        Content::List(items) => {
            for item in items {
                functions(item, namespace);
            }
        }
        Content::Map(fields) => {
            for (key, field) in fields {
                let value = &mut field.value;
                if value.is_done {
                    continue;
                }
                match key.as_str() {
                    "get_input" => {
                        rename_argument(value, namespace, false);
                        value.is_done = !matches!(value.value, Content::Map(_));
                    }
                    "get_property" | "get_attribute" => {
                        rename_argument(value, namespace, true);
                        value.is_done = true;
                    }
                    _ => {}
                }
                functions(value, namespace);
            }
        }
        _ => {}
    }
}

/// Prefixes the first argument, unless it is one of the words for "this node".
fn rename_argument(value: &mut Tree, namespace: &str, is_node: bool) {
    let first = match &mut value.value {
        Content::Str(_) if !is_node => value,
        Content::List(items) => match items.first_mut() {
            Some(first) => first,
            None => return,
        },
        _ => return,
    };
    if let Content::Str(name) = &mut first.value
        && !(is_node && matches!(name.as_str(), "SELF" | "SOURCE" | "TARGET"))
    {
        *name = prefix(namespace, name);
    }
}

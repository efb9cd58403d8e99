//! Values that an import gives to the properties of the plugins it imports.

use serde_json::Value as Json;

use super::{Fault, statement::Statement};
use crate::{
    Kind, Refusal, code, function,
    tree::{Field, Tree},
};

/// Writes the values of an import into the plugins of its text.
pub(super) fn set(tree: &mut Tree, statement: &Statement) -> Result<(), Fault> {
    let Some(plugins) = tree.as_map_mut().and_then(|sections| sections.get_mut("plugins")) else {
        return Ok(());
    };
    for (_, plugin) in plugins.value.as_map_mut().into_iter().flatten() {
        let Some(properties) =
            plugin.value.as_map_mut().and_then(|fields| fields.get_mut("properties"))
        else {
            continue;
        };
        one(&mut properties.value, statement).map_err(|refusal| statement.fault(refusal))?;
    }
    Ok(())
}

fn one(declared: &mut Tree, statement: &Statement) -> Result<(), Refusal> {
    let Some(given) = &statement.properties else { return Ok(()) };
    let mut wrong = vec![];
    let place = statement.place;
    let Some(fields) = declared.as_map_mut() else { return Ok(()) };
    for (name, value) in given {
        let Some(property) = fields.get_mut(name) else {
            wrong.push(format!("`{name}` is not a property of the plugin"));
            continue;
        };
        let type_name = property.value.get("type").and_then(Tree::as_str).map(str::to_owned);
        if function::of(value).is_none() && !fits(value, type_name.as_deref())? {
            let expected = type_name.unwrap_or_default();
            wrong.push(format!("`{name}` is of type {expected}, yet its value is `{value}`"));
            continue;
        }
        if let Some(property) = property.value.as_map_mut() {
            property.insert("value".to_owned(), Field::new(Tree::of_json(value.clone(), place)));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Refusal::logic(code::INVALID_IMPORT_PROPERTIES, wrong.join("; ")))
}

fn fits(value: &Json, type_name: Option<&str>) -> Result<bool, Refusal> {
    let is_whole = value.is_i64() || value.is_u64() || value.is_boolean();
    match type_name {
        Some("string") => Ok(value.is_string() || is_whole),
        Some("integer") => Ok(is_whole),
        Some("float") => Ok(value.is_number() || value.is_boolean()),
        Some("boolean") => Ok(value.is_boolean()),
        Some("list") => Ok(value.is_array()),
        _ => {
            let message = "a property of a plugin is a string, an integer, a float, a boolean or \
                           a list";
            Err(Refusal::new(Kind::Format, message).coded(code::INVALID_IMPORT))
        }
    }
}

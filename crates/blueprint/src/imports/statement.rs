//! One import of a file: `ns--location`, with properties for a plugin.

use serde_json::{Map as Object, Value as Json};

use super::{Fault, refuse_repeats};
use crate::{
    Kind, Options, Refusal, code,
    diagnostic::Place,
    function,
    namespace::DELIMITER,
    tree::{Field, Tree},
    version::Version,
};

/// An item of `imports`.
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) place: Place,
    /// Values for the properties of the imported plugins.
    pub(super) properties: Option<Object<String, Json>>,
}

// === impl Statement ===

impl Statement {
    /// The namespace and the location.
    pub(super) fn parts(&self) -> (Option<&str>, &str) {
        match self.text.rfind(DELIMITER) {
            Some(0) | None => (None, self.text.trim_start_matches(DELIMITER)),
            Some(at) => (Some(&self.text[..at]), &self.text[at + DELIMITER.len()..]),
        }
    }

    pub(super) fn fault(&self, refusal: Refusal) -> Fault {
        (self.place, "imports".to_owned(), refusal)
    }
}

/// Reads the imports of one text.
pub(super) fn read(
    tree: &Tree,
    version: Version,
    options: &Options,
) -> Result<Vec<Statement>, Fault> {
    let Some(imports) = tree.get("imports") else { return Ok(vec![]) };
    let Some(items) = imports.as_list() else {
        let message = format!("expected a list of imports, found {}", imports.type_name());
        return Err((imports.place, "imports".to_owned(), Refusal::format(message)));
    };
    let statements = items
        .iter()
        .map(|item| statement(item, version, options))
        .collect::<Result<Vec<_>, _>>()?;
    refuse_repeats(&statements)?;
    Ok(statements)
}

fn statement(item: &Tree, version: Version, options: &Options) -> Result<Statement, Fault> {
    let place = item.place;
    let fault = |refusal| (place, "imports".to_owned(), refusal);
    if let Some(text) = item.as_str() {
        return Ok(Statement { text: text.to_owned(), place, properties: None });
    }
    let wrong = |message: &str| Refusal::format(message).coded(code::INVALID_IMPORT);
    let Some(fields) = item.as_map() else {
        let message = format!("an import is a string or a dict, found {}", item.type_name());
        return Err(fault(Refusal::format(message)));
    };
    let mut entries = fields.iter();
    let (Some((text, field)), None) = (entries.next(), entries.next()) else {
        return Err(fault(wrong("an import with properties is a dict of one entry")));
    };
    if options.check_versions && !field.value.is_null() {
        version.require(Version::V1_5, "an import with properties").map_err(fault)?;
    }
    if field.value.as_map().is_none() && !field.value.is_null() {
        let message = format!("expected a dict of properties, found {}", field.value.type_name());
        return Err(fault(Refusal::format(message)));
    }
    for (name, property) in field.value.entries() {
        check_property(name, property, version, options).map_err(fault)?;
    }
    Ok(Statement { text: text.clone(), place, properties: Some(field.value.to_object()) })
}

/// A value of a plugin's property; a dict is accepted as an intrinsic function only.
fn check_property(
    name: &str,
    property: &Field,
    version: Version,
    options: &Options,
) -> Result<(), Refusal> {
    if options.check_versions {
        version.require(Version::V1_5, "an import with properties")?;
    }
    let value = property.value.to_json();
    if value.is_object() && function::of(&value).is_none() || value.is_null() {
        let message = format!(
            "the import property `{name}` must be a string, a number, a boolean, a list or an \
             intrinsic function"
        );
        return Err(Refusal { kind: Kind::Format, code: Some(code::INVALID_IMPORT), message });
    }
    Ok(())
}

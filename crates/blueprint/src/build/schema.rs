//! Properties, inputs and parameters as the text declares them.

use serde_json::{Map as Object, Value as Json};

use super::Builder;
use crate::{
    Kind, Refusal, code, constraint,
    diagnostic::Place,
    nearest, primitive,
    property::{self, Judge, Property, Schema},
    tree::{Field, Tree},
    version::Version,
};

/// Where a schema belongs to, which decides how its defaults are judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A default may leave parts out: the instance completes it.
    Type,
    Input,
    /// As an input, but a constraint cannot have a message.
    Parameter,
}

// === impl Builder ===

impl Builder<'_> {
    /// Reads a schema. `holder` names what it belongs to.
    pub(super) fn schema(&mut self, tree: &Tree, path: &str, holder: &str, owner: Owner) -> Schema {
        tree.entries()
            .map(|(name, field)| {
                let path = format!("{path}.{name}");
                (name.to_owned(), self.property(name, field, &path, holder, owner))
            })
            .collect()
    }

    /// Reads inputs into the plan.
    pub(super) fn inputs(&mut self, tree: &Tree, path: &str) -> Json {
        property::schema_to_json(&self.schema(tree, path, "", Owner::Input))
    }

    fn property(
        &mut self,
        name: &str,
        field: &Field,
        path: &str,
        holder: &str,
        owner: Owner,
    ) -> Property {
        let tree = &field.value;
        let mut declared = Object::new();
        for (key, entry) in tree.entries() {
            declared.insert(key.to_owned(), entry.value.to_json());
        }
        let type_name = tree.get("type").and_then(Tree::as_str).map(str::to_owned);
        if let Some(type_name) = &type_name {
            self.check_type(type_name, tree.place_at(["type"]), path);
        }
        if owner != Owner::Type {
            self.check_input(name, field, path, owner);
        }
        let own_default = declared.get("default").cloned();
        if let Some(default) = self.default(name, tree, type_name.as_deref(), path, holder, owner) {
            declared.insert("default".to_owned(), default);
        }
        Property { declared, own_default }
    }

    /// The default, completed by its data type; `None` when it stays as it is.
    fn default(
        &mut self,
        name: &str,
        tree: &Tree,
        type_name: Option<&str>,
        path: &str,
        holder: &str,
        owner: Owner,
    ) -> Option<Json> {
        let type_name = type_name.filter(|name| self.knows_type(name))?;
        let is_custom = !primitive::is_primitive(type_name);
        let given = match tree.get("default") {
            Some(given) => given.to_json(),
            None if is_custom && owner == Owner::Type => Json::Object(Object::new()),
            None => return None,
        };
        let described = match owner {
            Owner::Type => format!("the default in `{holder}`"),
            Owner::Input | Owner::Parameter => format!("the default of `{name}`"),
        };
        let judge = Judge {
            data_types: &self.data_types,
            holder: &described,
            must_be_complete: owner != Owner::Type,
        };
        let steps = if owner == Owner::Type { vec![name.to_owned()] } else { vec![] };
        match judge.value(&given, None, Some(type_name), &steps) {
            Ok(default) => Some(default),
            Err(misfit) => {
                let inside = misfit.path.iter().skip(steps.len()).map(String::as_str);
                let place = tree.place_at(std::iter::once("default").chain(inside));
                self.report_unknown(place, path, misfit.refusal, misfit.hint);
                None
            }
        }
    }

    fn knows_type(&self, name: &str) -> bool {
        primitive::is_primitive(name) || self.data_types.contains_key(name)
    }

    pub(super) fn check_type(&mut self, name: &str, place: Place, path: &str) {
        if !self.knows_type(name) {
            let refusal =
                Refusal::logic(code::UNKNOWN_TYPE, format!("`{name}` is not a known type"));
            let known =
                primitive::ALL.into_iter().chain(self.data_types.keys().map(String::as_str));
            let hint = nearest::hint(name, known);
            self.report_unknown(place, path, refusal, hint);
        } else if let (Some(version), Some(since)) = (self.version, primitive::object_since(name))
            && let Err(refusal) = version.require(since, &format!("the type `{name}`"))
        {
            self.report(place, path, refusal);
        }
    }

    /// What inputs and parameters have and properties have not.
    fn check_input(&mut self, name: &str, field: &Field, path: &str, owner: Owner) {
        let tree = &field.value;
        let flag = |key: &str| tree.get(key).and_then(Tree::as_bool);
        if flag("required").unwrap_or(true)
            && flag("hidden").unwrap_or(false)
            && tree.as_map().is_some_and(|fields| !fields.contains_key("default"))
        {
            let message = format!("`{name}` is hidden and required, so it needs a default");
            let refusal = Refusal::logic(code::HIDDEN_WITHOUT_DEFAULT, message);
            self.report(field.key_place, path, refusal);
        }
        let type_name = tree.get("type").and_then(Tree::as_str);
        let shown = type_name.unwrap_or("any type");
        if let Some(item_type) = tree.get("item_type").and_then(Tree::as_str) {
            let place = tree.place_at(["item_type"]);
            if type_name != Some("list") {
                let message = format!("`item_type` is for lists, `{name}` is of {shown}");
                self.report(place, path, Refusal::logic(code::ITEM_TYPE_FOR_TYPE, message));
            } else if !primitive::is_primitive(item_type) {
                let message = format!("`{item_type}` is not a built-in type, as items must be");
                let refusal = Refusal::logic(code::INVALID_ITEM_TYPE, message);
                let hint = nearest::hint(item_type, primitive::ALL);
                self.report_unknown(place, path, refusal, hint);
            }
        }
        let display = tree.get("display").filter(|display| display.entries().next().is_some());
        if display.is_some() && type_name != Some("textarea") {
            let message = format!("`display` is for a textarea, `{name}` is of {shown}");
            let refusal = Refusal::new(Kind::InputType, message).coded(code::DISPLAY_FOR_TYPE);
            self.report(tree.place_at(["display"]), path, refusal);
        }
        for constraint in tree.get("constraints").map(Tree::items).unwrap_or_default() {
            if let Err(refusal) = self.check_constraint(constraint, name, owner) {
                self.report(constraint.place, &format!("{path}.constraints"), refusal);
            }
        }
    }

    fn check_constraint(&self, tree: &Tree, input: &str, owner: Owner) -> Result<(), Refusal> {
        let fields = tree.as_map().map(indexmap::IndexMap::len).unwrap_or_default();
        if fields > 1 {
            let (Some(version), Owner::Input) = (self.version, owner) else {
                let message = "each constraint is a dict of its own in the list";
                return Err(Refusal::logic(code::UNKNOWN_TYPE, message));
            };
            version.require(Version::V1_5, "a constraint with an `error_message`")?;
        }
        let name = tree.entries().map(|(name, _)| name).find(|name| *name != "error_message");
        let arguments = name.and_then(|name| tree.as_map()?.get(name));
        let arguments = arguments.map(|field| field.value.to_json());
        constraint::check(name, arguments.as_ref(), input)
    }
}

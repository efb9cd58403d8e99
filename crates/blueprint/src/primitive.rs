//! The built-in types of properties, inputs and parameters.

use crate::version::Version;

/// Every built-in type (`dsl_parser/constants.py`, `USER_PRIMITIVE_TYPES`).
pub(crate) const ALL: [&str; 17] = [
    "string",
    "integer",
    "float",
    "boolean",
    "list",
    "dict",
    "regex",
    "textarea",
    "blueprint_id",
    "deployment_id",
    "capability_value",
    "scaling_group",
    "node_id",
    "node_type",
    "node_instance",
    "secret_key",
    "operation_name",
];

pub(crate) fn is_primitive(name: &str) -> bool {
    ALL.contains(&name)
}

/// Says whether values of the type are names of things that a manager knows.
pub(crate) fn names_object(name: &str) -> bool {
    object_since(name).is_some()
}

/// The version that brought a type whose values name things.
pub(crate) fn object_since(name: &str) -> Option<Version> {
    match name {
        "blueprint_id" | "deployment_id" | "capability_value" | "scaling_group" | "node_id"
        | "node_type" | "node_instance" | "secret_key" => Some(Version::V1_4),
        "operation_name" => Some(Version::V1_5),
        _ => None,
    }
}

//! The sections of a merged blueprint.

use super::{
    Element, Shape, Types,
    nodes::{
        DATA_TYPES, GROUPS, NODE_TEMPLATES, NODE_TYPES, POLICIES, POLICY_TRIGGERS, POLICY_TYPES,
        RELATIONSHIP_TYPES,
    },
    parts::{
        DISPLAY_LABEL, FLAG, INPUTS, LIST, NAME, NAMES, NEEDED_NAME, NEEDED_TEXT, NEEDED_VALUE,
        OBJECT, PARAMETERS, TEXT, VALUE, WHOLE,
    },
};
use crate::version::Version;

static DESCRIPTION: Element = Element::new(&[Shape::Leaf(Types::STR)]).since(Version::V1_2);
/// The place for anchors; it is read where it stands and not merged.
pub(crate) static DSL_DEFINITIONS: Element =
    Element::new(&[Shape::Leaf(Types::DICT.or(Types::LIST))]).since(Version::V1_2);

static SINCE_1_1: Element = Element::new(&[Shape::Leaf(Types::STR)]).unnamed().since(Version::V1_1);
static SINCE_1_2: Element = Element::new(&[Shape::Leaf(Types::STR)]).unnamed().since(Version::V1_2);
static SINCE_1_5: Element = Element::new(&[Shape::Leaf(Types::STR)]).unnamed().since(Version::V1_5);

static PLUGIN_PROPERTY: Element = Element::new(&[Shape::Fields(&[
    ("description", &TEXT),
    ("type", &NAME),
    ("display_label", &DISPLAY_LABEL),
    ("value", &VALUE),
])]);
static PLUGIN_PROPERTIES: Element =
    Element::new(&[Shape::Dict(&PLUGIN_PROPERTY)]).since(Version::V1_5);
static PLUGIN: Element = Element::new(&[Shape::Fields(&[
    ("source", &TEXT),
    ("executor", &NEEDED_TEXT),
    ("install", &FLAG),
    ("install_arguments", &SINCE_1_1),
    ("package_name", &SINCE_1_2),
    ("package_version", &SINCE_1_2),
    ("supported_platform", &SINCE_1_2),
    ("distribution", &SINCE_1_2),
    ("distribution_version", &SINCE_1_2),
    ("distribution_release", &SINCE_1_2),
    ("properties_description", &SINCE_1_5),
    ("properties", &PLUGIN_PROPERTIES),
])]);
static PLUGINS: Element = Element::new(&[Shape::Dict(&PLUGIN)]);

static OUTPUT: Element =
    Element::new(&[Shape::Fields(&[("description", &TEXT), ("value", &NEEDED_VALUE)])]);
static OUTPUTS: Element = Element::new(&[Shape::Dict(&OUTPUT)]);

static TYPE_NAMES: Element = Element::new(&[Shape::List(&TEXT)]).unnamed();
static AVAILABILITY: Element = Element::new(&[Shape::Fields(&[
    ("available", &FLAG),
    ("node_instances_active", &LIST),
    ("node_types_required", &TYPE_NAMES),
])])
.unnamed()
.since(Version::V1_4);
static WORKFLOW: Element = Element::new(&[
    Shape::Leaf(Types::STR),
    Shape::Fields(&[
        ("mapping", &NEEDED_NAME),
        ("parameters", &PARAMETERS),
        ("is_cascading", &FLAG),
        ("availability_rules", &AVAILABILITY),
    ]),
])
.required();
static WORKFLOWS: Element = Element::new(&[Shape::Dict(&WORKFLOW)]);

static NAMESPACES: Element = Element::new(&[Shape::Dict(&TEXT)]);

static LABEL_VALUES: Element = Element::new(&[Shape::Leaf(Types::LIST)]).required();
static LABEL: Element = Element::new(&[Shape::Fields(&[("values", &LABEL_VALUES)])]);
static LABELS: Element = Element::new(&[Shape::Dict(&LABEL)]);
static RESOURCE_TAGS: Element = Element::new(&[Shape::Dict(&VALUE)]).since(Version::V1_3);

static SCHEDULE_ARGUMENTS: Element = Element::new(&[Shape::Fields(&[
    ("force", &FLAG),
    ("is_dry_run", &FLAG),
    ("wait_after_fail", &WHOLE),
    ("allow_custom_parameters", &FLAG),
])]);
static SCHEDULE: Element = Element::new(&[Shape::Fields(&[
    ("workflow", &NEEDED_NAME),
    ("execution_arguments", &SCHEDULE_ARGUMENTS),
    ("workflow_parameters", &OBJECT),
    ("since", &NEEDED_NAME),
    ("until", &NAME),
    ("recurrence", &NAME),
    ("timezone", &NAME),
    ("weekdays", &NAMES),
    ("count", &WHOLE),
    ("default_enabled", &FLAG),
    ("stop_after_fail", &FLAG),
    ("slip", &WHOLE),
])]);
static SCHEDULES: Element = Element::new(&[Shape::Dict(&SCHEDULE)]);
static DISPLAY_NAME: Element = Element::new(&[Shape::Leaf(Types::STR.or(Types::DICT))]);
static SETTINGS: Element = Element::new(&[Shape::Fields(&[
    ("default_schedules", &SCHEDULES),
    ("default_groups", &LIST),
    ("id_template", &NAME),
    ("display_name", &DISPLAY_NAME),
])]);

/// The whole of a merged blueprint.
pub(crate) static BLUEPRINT: Element = Element::new(&[Shape::Fields(&[
    ("tosca_definitions_version", &TEXT),
    ("description", &DESCRIPTION),
    ("imports", &NAMES),
    ("dsl_definitions", &DSL_DEFINITIONS),
    ("metadata", &OBJECT),
    ("inputs", &INPUTS),
    ("plugins", &PLUGINS),
    ("node_types", &NODE_TYPES),
    ("relationships", &RELATIONSHIP_TYPES),
    ("node_templates", &NODE_TEMPLATES),
    ("policy_types", &POLICY_TYPES),
    ("policy_triggers", &POLICY_TRIGGERS),
    ("groups", &GROUPS),
    ("policies", &POLICIES),
    ("workflows", &WORKFLOWS),
    ("outputs", &OUTPUTS),
    ("data_types", &DATA_TYPES),
    ("capabilities", &OUTPUTS),
    ("imported_blueprints", &NAMES),
    ("namespaces_mapping", &NAMESPACES),
    ("labels", &LABELS),
    ("blueprint_labels", &LABELS),
    ("deployment_settings", &SETTINGS),
    ("resource_tags", &RESOURCE_TAGS),
])]);

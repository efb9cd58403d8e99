//! Types, templates, relationships, groups and policies.

use super::{
    Element, Shape, Types,
    parts::{
        NAME, NEEDED_NAME, NEEDED_NAMES, NEEDED_TEXT, OBJECT, PROPERTIES, SCALING,
        TEMPLATE_INTERFACES, TYPE_INTERFACES,
    },
};
use crate::version::Version;

static NODE_TYPE: Element = Element::new(&[Shape::Fields(&[
    ("derived_from", &NAME),
    ("interfaces", &TYPE_INTERFACES),
    ("properties", &PROPERTIES),
    ("runtime_properties", &PROPERTIES),
])]);
pub(super) static NODE_TYPES: Element = Element::new(&[Shape::Dict(&NODE_TYPE)]);

static RELATIONSHIP_TYPE: Element = Element::new(&[Shape::Fields(&[
    ("derived_from", &NAME),
    ("properties", &PROPERTIES),
    ("source_interfaces", &TYPE_INTERFACES),
    ("target_interfaces", &TYPE_INTERFACES),
])]);
pub(super) static RELATIONSHIP_TYPES: Element = Element::new(&[Shape::Dict(&RELATIONSHIP_TYPE)]);

static DATA_TYPE: Element = Element::new(&[Shape::Fields(&[
    ("properties", &PROPERTIES),
    ("description", &NAME),
    ("derived_from", &NAME),
    ("version", &NAME),
])]);
pub(super) static DATA_TYPES: Element =
    Element::new(&[Shape::Dict(&DATA_TYPE)]).since(Version::V1_2);

static DEPLOY: Element = Element::new(&[Shape::Leaf(Types::INT)]).required();
static INSTANCES: Element = Element::new(&[Shape::Fields(&[("deploy", &DEPLOY)])]);
static SCALABLE: Element = Element::new(&[Shape::Fields(&[("properties", &SCALING)])]);
static CAPABILITIES: Element =
    Element::new(&[Shape::Fields(&[("scalable", &SCALABLE)])]).since(Version::V1_3);

static RELATIONSHIP: Element = Element::new(&[Shape::Fields(&[
    ("type", &NEEDED_NAME),
    ("target", &NEEDED_NAME),
    ("properties", &OBJECT),
    ("source_interfaces", &TEMPLATE_INTERFACES),
    ("target_interfaces", &TEMPLATE_INTERFACES),
])]);
static RELATIONSHIPS: Element = Element::new(&[Shape::List(&RELATIONSHIP)]);

static NODE_TEMPLATE: Element = Element::new(&[Shape::Fields(&[
    ("type", &NEEDED_NAME),
    ("instances", &INSTANCES),
    ("capabilities", &CAPABILITIES),
    ("interfaces", &TEMPLATE_INTERFACES),
    ("relationships", &RELATIONSHIPS),
    ("properties", &OBJECT),
])]);
pub(super) static NODE_TEMPLATES: Element = Element::new(&[Shape::Dict(&NODE_TEMPLATE)]);

static POLICY_TYPE: Element =
    Element::new(&[Shape::Fields(&[("properties", &PROPERTIES), ("source", &NEEDED_TEXT)])]);
pub(super) static POLICY_TYPES: Element = Element::new(&[Shape::Dict(&POLICY_TYPE)]);

static POLICY_TRIGGER: Element =
    Element::new(&[Shape::Fields(&[("parameters", &PROPERTIES), ("source", &NEEDED_TEXT)])]);
pub(super) static POLICY_TRIGGERS: Element = Element::new(&[Shape::Dict(&POLICY_TRIGGER)]);

static GROUP_TRIGGER: Element =
    Element::new(&[Shape::Fields(&[("type", &NEEDED_NAME), ("parameters", &OBJECT)])]);
static GROUP_TRIGGERS: Element = Element::new(&[Shape::Dict(&GROUP_TRIGGER)]);
static GROUP_POLICY: Element = Element::new(&[Shape::Fields(&[
    ("type", &NEEDED_NAME),
    ("properties", &OBJECT),
    ("triggers", &GROUP_TRIGGERS),
])]);
static GROUP_POLICIES: Element = Element::new(&[Shape::Dict(&GROUP_POLICY)]);
static GROUP: Element =
    Element::new(&[Shape::Fields(&[("members", &NEEDED_NAMES), ("policies", &GROUP_POLICIES)])]);
pub(super) static GROUPS: Element = Element::new(&[Shape::Dict(&GROUP)]);

static POLICY: Element = Element::new(&[Shape::Fields(&[
    ("type", &NEEDED_NAME),
    ("properties", &SCALING),
    ("targets", &NEEDED_NAMES),
])]);
pub(super) static POLICIES: Element = Element::new(&[Shape::Dict(&POLICY)]).since(Version::V1_3);

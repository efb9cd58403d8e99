//! What several sections share: leaves, properties, operations, scaling.

use super::{Element, Shape, Types};
use crate::version::Version;

/// A text that is a name, so that a namespace prefixes it.
pub(super) static NAME: Element = Element::new(&[Shape::Leaf(Types::STR)]);
pub(super) static NEEDED_NAME: Element = Element::new(&[Shape::Leaf(Types::STR)]).required();
pub(super) static TEXT: Element = Element::new(&[Shape::Leaf(Types::STR)]).unnamed();
pub(super) static NEEDED_TEXT: Element =
    Element::new(&[Shape::Leaf(Types::STR)]).required().unnamed();
pub(super) static FLAG: Element = Element::new(&[Shape::Leaf(Types::BOOL)]).unnamed();
pub(super) static WHOLE: Element = Element::new(&[Shape::Leaf(Types::INT)]);
pub(super) static LIST: Element = Element::new(&[Shape::Leaf(Types::LIST)]).unnamed();
pub(super) static OBJECT: Element = Element::new(&[Shape::Leaf(Types::DICT)]);
pub(super) static NAMES: Element = Element::new(&[Shape::List(&NAME)]);
pub(super) static NEEDED_NAMES: Element = Element::new(&[Shape::List(&NAME)]).required();

pub(super) static VALUE: Element = Element::new(&[Shape::Leaf(Types::ANY)]);
pub(super) static NEEDED_VALUE: Element = Element::new(&[Shape::Leaf(Types::ANY)]).required();

static DEFAULT: Element = Element::new(&[Shape::Leaf(Types::ANY)]).unnamed();
static REQUIRED: Element = Element::new(&[Shape::Leaf(Types::BOOL)]).unnamed().since(Version::V1_2);
pub(super) static DISPLAY_LABEL: Element =
    Element::new(&[Shape::Leaf(Types::STR)]).unnamed().since(Version::V1_3);
static HIDDEN: Element = Element::new(&[Shape::Leaf(Types::BOOL)]).unnamed().since(Version::V1_3);
static ITEM_TYPE: Element = Element::new(&[Shape::Leaf(Types::STR)]).since(Version::V1_4);
static CONSTRAINT: Element = Element::new(&[Shape::Leaf(Types::DICT)]).unnamed();
static CONSTRAINTS: Element = Element::new(&[Shape::List(&CONSTRAINT)]);
static DISPLAY: Element = Element::new(&[Shape::Fields(&[("rows", &WHOLE)])]);

static PROPERTY: Element = Element::new(&[Shape::Fields(&[
    ("required", &REQUIRED),
    ("default", &DEFAULT),
    ("description", &TEXT),
    ("type", &NAME),
])]);

/// A schema of properties: of a node type, a relationship, a data type, a policy.
pub(super) static PROPERTIES: Element = Element::new(&[Shape::Dict(&PROPERTY)]).unnamed();

static INPUT: Element = Element::new(&[Shape::Fields(&[
    ("required", &REQUIRED),
    ("default", &DEFAULT),
    ("description", &TEXT),
    ("type", &NAME),
    ("item_type", &ITEM_TYPE),
    ("constraints", &CONSTRAINTS),
    ("display_label", &DISPLAY_LABEL),
    ("hidden", &HIDDEN),
    ("display", &DISPLAY),
])]);

pub(super) static INPUTS: Element = Element::new(&[Shape::Dict(&INPUT)]);
static TYPE_INPUTS: Element = Element::new(&[Shape::Dict(&INPUT)]).unnamed();
static TEMPLATE_INPUTS: Element = Element::new(&[Shape::Leaf(Types::DICT)]).unnamed();

static PARAMETER: Element = Element::new(&[Shape::Fields(&[
    ("required", &REQUIRED),
    ("default", &DEFAULT),
    ("description", &TEXT),
    ("type", &NAME),
    ("item_type", &ITEM_TYPE),
    ("constraints", &CONSTRAINTS),
])]);

pub(super) static PARAMETERS: Element = Element::new(&[Shape::Dict(&PARAMETER)]).unnamed();

static RETRIES: Element = Element::new(&[Shape::Leaf(Types::INT)]).since(Version::V1_1);
static INTERVAL: Element = Element::new(&[Shape::Leaf(Types::NUMBER)]).since(Version::V1_1);
static TIMEOUT: Element = Element::new(&[Shape::Leaf(Types::NUMBER)]);

static TYPE_OPERATION: Element = Element::new(&[
    Shape::Leaf(Types::STR),
    Shape::Fields(&[
        ("implementation", &NAME),
        ("inputs", &TYPE_INPUTS),
        ("executor", &TEXT),
        ("max_retries", &RETRIES),
        ("retry_interval", &INTERVAL),
        ("timeout", &TIMEOUT),
        ("timeout_recoverable", &FLAG),
    ]),
]);

static TEMPLATE_OPERATION: Element = Element::new(&[
    Shape::Leaf(Types::STR),
    Shape::Fields(&[
        ("implementation", &NAME),
        ("inputs", &TEMPLATE_INPUTS),
        ("executor", &TEXT),
        ("max_retries", &RETRIES),
        ("retry_interval", &INTERVAL),
        ("timeout", &TIMEOUT),
        ("timeout_recoverable", &FLAG),
    ]),
]);

static TYPE_INTERFACE: Element = Element::new(&[Shape::Dict(&TYPE_OPERATION)]).unnamed();
static TEMPLATE_INTERFACE: Element = Element::new(&[Shape::Dict(&TEMPLATE_OPERATION)]).unnamed();

/// The interfaces of a type: operations declare what inputs they take.
pub(super) static TYPE_INTERFACES: Element =
    Element::new(&[Shape::Dict(&TYPE_INTERFACE)]).unnamed();
/// The interfaces of a template: operations are given their inputs.
pub(super) static TEMPLATE_INTERFACES: Element =
    Element::new(&[Shape::Dict(&TEMPLATE_INTERFACE)]).unnamed();

static INSTANCES: Element = Element::new(&[Shape::Leaf(Types::INT.or(Types::DICT))]);
static MOST_INSTANCES: Element =
    Element::new(&[Shape::Leaf(Types::INT.or(Types::STR).or(Types::DICT))]);

/// How many instances there are and may be.
pub(super) static SCALING: Element = Element::new(&[Shape::Fields(&[
    ("min_instances", &INSTANCES),
    ("max_instances", &MOST_INSTANCES),
    ("default_instances", &INSTANCES),
])])
.unnamed();

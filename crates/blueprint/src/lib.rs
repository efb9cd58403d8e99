//! Blueprint text and its imports to a plan, and the plan to a deployment; intrinsic functions.
//!
//! ```text
//! Blueprint ──parse──► Plan ──prepare_deployment──► deployment plan ──evaluate──► values
//!     ▲                              ▲                                  ▲
//!  Resolver: brings imports       inputs, Ids                     Storage: what runs
//! ```
//!
//! The language is Cloudify's, `cloudify_dsl_1_0` to `1_5`; a plan has the shape that
//! `dsl_parser` (of cloudify-common 7.0.5) gives it, so that what was written for the one works
//! with the other. Nothing here opens a file, asks a clock or rolls dice: the caller does.

mod build;
mod check;
mod code;
mod constraint;
mod core_types;
mod deployment;
mod diagnostic;
mod evaluate;
mod function;
mod imports;
mod instances;
mod namespace;
mod nearest;
mod order;
mod parse;
mod primitive;
mod property;
mod refusal;
mod resolver;
mod schema;
mod tree;
mod version;

pub use waggoner_yaml::{Budget, Mark};

pub use self::{
    constraint::Values,
    deployment::{Request, prepare_deployment},
    diagnostic::{Diagnostic, Diagnostics},
    evaluate::{
        Scope, Storage, evaluate, evaluate_capabilities, evaluate_node, evaluate_outputs,
        nested_value,
    },
    instances::{Ids, SeededIds, TakenIds, create_node_instances, modify_deployment},
    parse::{Blueprint, Options, Plan, parse, validate},
    refusal::{Kind, Refusal},
    resolver::{
        FetchError, Fetched, Location, NoImports, PluginImport, PluginLabels, Resolver, yaml_for,
    },
};

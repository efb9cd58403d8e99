//! The catalogue: wagons and blueprints, checked before they are stored, found for an import.

pub(crate) mod blueprints;
pub(crate) mod deployments;
pub(crate) mod imports;
pub(crate) mod plugins;
pub(crate) mod sources;

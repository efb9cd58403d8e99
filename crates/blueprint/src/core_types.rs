//! Cloudify's own types, in the words of this project.
//!
//! Names, properties, operations and defaults are those of Cloudify 7.0.5, so that blueprints
//! and plugins which build on them work; the text is ours.

use std::borrow::Cow;

use crate::{Location, version::Version};

const LATEST: &str = include_str!("types/types.yaml");
const V1_4: &str = include_str!("types/types_1_4.yaml");
const V1_3: &str = include_str!("types/types_1_3.yaml");

/// The path by which blueprints import the types.
const PATH: &str = "cloudify/types/types";

/// The addresses by which older blueprints import them: `…/spec/cloudify/6.3/types.yaml`.
const SITES: [&str; 2] = ["getcloudify.org/spec/cloudify/", "cloudify.co/spec/cloudify/"];

/// Returns the text, when `location` is that of Cloudify's own types.
pub(crate) fn text(location: &Location, version: Version) -> Option<Cow<'static, str>> {
    match location {
        Location::Resource(path) => match path.strip_prefix(PATH)? {
            ".yaml" | "_1_5.yaml" => Some(LATEST.into()),
            "_1_4.yaml" => Some(V1_4.into()),
            "_1_3.yaml" => Some(V1_3.into()),
            _ => None,
        },
        Location::Url(url) if is_site(url) && url.ends_with("/types.yaml") => {
            Some(match version {
                Version::V1_5 => LATEST.into(),
                Version::V1_4 => V1_4.into(),
                Version::V1_3 => V1_3.into(),
                // At such an address the types of older times stood, which named no version.
                _ => V1_3.replacen("tosca_definitions_version:", "# version:", 1).into(),
            })
        }
        _ => None,
    }
}

fn is_site(url: &str) -> bool {
    SITES.iter().any(|site| url.contains(site))
}

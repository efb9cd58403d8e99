//! Which of several wagons is the one for a host, or for a blueprint's import. Pure.

use std::fmt;

use pep440_rs::Version;
use waggoner_types::Host;

mod platform;
mod version;

pub use self::version::VersionSpec;
use crate::{Metadata, OsProperties, refusal::excerpt};

/// What is looked for. What is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Requirement {
    /// The package's name, exactly.
    pub package_name: String,
    /// The versions that will do.
    pub version: VersionSpec,
    /// The platform that the wagon has to name; one for any platform fits as well.
    pub supported_platform: Option<String>,
    /// The distribution that it was made on.
    pub distribution: Option<String>,
    /// That distribution's version.
    pub distribution_version: Option<String>,
    /// That distribution's release.
    pub distribution_release: Option<String>,
}

/// What a wagon offers, as far as it decides.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The package's name.
    pub package_name: &'a str,
    /// Its version.
    pub package_version: &'a str,
    /// `any`, or the platform that its wheels need.
    pub supported_platform: &'a str,
    /// The tags of the interpreters that it is for.
    pub python_tags: &'a [String],
    /// Where it was made.
    pub os: &'a OsProperties,
}

/// Something that stands for a wagon.
pub trait Offered {
    /// Returns what decides.
    fn offer(&self) -> Offer<'_>;
}

/// The best wagon for a host.
#[derive(Clone, Debug)]
pub struct Choice<'a, C> {
    /// The wagon.
    pub candidate: &'a C,
    /// The interpreter of the host that it will run on: py311.
    pub python_tag: String,
}

/// No wagon fits: which were there and why each fell out, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneFits {
    wanted: String,
    fallen: Vec<(String, String)>,
}

/// How many wagons a message names.
const NAMED: usize = 8;

// === impl Requirement ===

impl Requirement {
    /// Requires a package in any version.
    pub fn of(package_name: impl Into<String>) -> Self {
        Self { package_name: package_name.into(), ..Self::default() }
    }

    /// Why an offer is none for this requirement, whatever the host; or its version.
    fn judge(&self, offer: &Offer<'_>) -> Result<Version, String> {
        let version: Version = offer
            .package_version
            .parse()
            .map_err(|_| "its version does not follow PEP 440".to_owned())?;
        if !self.version.admits(offer.package_version, &version) {
            return Err(format!("its version is not {}", self.version));
        }
        let platform = offer.supported_platform;
        if self.supported_platform.as_deref().is_some_and(|wanted| {
            platform != platform::ANY && !wanted.eq_ignore_ascii_case(platform)
        }) {
            return Err(format!("it is for the platform {}", excerpt(platform)));
        }
        let os = offer.os;
        for (wanted, given) in [
            (&self.distribution, &os.distribution),
            (&self.distribution_version, &os.distribution_version),
            (&self.distribution_release, &os.distribution_release),
        ] {
            // A wagon that fits everywhere names no distribution.
            if let (Some(wanted), Some(given)) = (wanted, given)
                && !wanted.eq_ignore_ascii_case(given)
            {
                return Err(format!("it was made on {}, not {wanted}", excerpt(given)));
            }
        }
        Ok(version)
    }

    fn none_fits(&self, place: &str, fallen: Vec<(String, String)>) -> NoneFits {
        let mut wanted = format!("the plugin `{}`", excerpt(&self.package_name));
        if self.version != VersionSpec::Any {
            wanted = format!("{wanted} in version {}", self.version);
        }
        NoneFits { wanted: wanted + place, fallen }
    }
}

// === impl Metadata ===

impl Offered for Metadata {
    fn offer(&self) -> Offer<'_> {
        Offer {
            package_name: &self.package_name,
            package_version: &self.package_version,
            supported_platform: &self.supported_platform,
            python_tags: &self.supported_python_versions,
            os: &self.build_server_os_properties,
        }
    }
}

// === impl NoneFits ===

impl fmt::Display for NoneFits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no wagon fits {}: ", self.wanted)?;
        if self.fallen.is_empty() {
            return f.write_str("none of this name was uploaded");
        }
        for (at, (version, reason)) in self.fallen.iter().take(NAMED).enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{version} is there, but {reason}")?;
        }
        match self.fallen.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for NoneFits {}

/// Chooses the wagon for a host as Cloudify's `plugin_installer.get_managed_plugin` does: one that
/// the host can run, of these the highest version, of these the newest Python; of these one made
/// on the host's own distribution, and the first one.
pub fn choose<'a, C: Offered>(
    candidates: &'a [C],
    requirement: &Requirement,
    host: &Host,
) -> Result<Choice<'a, C>, NoneFits> {
    let mut best: Option<((Version, u64, bool), Choice<'a, C>)> = None;
    let mut fallen = Vec::new();
    for candidate in candidates {
        let offer = candidate.offer();
        if offer.package_name != requirement.package_name {
            continue;
        }
        let fit = requirement.judge(&offer).and_then(|version| {
            platform::check(offer.supported_platform, host)?;
            let tag = best_python_tag(offer.python_tags, &host.python_tags).ok_or_else(|| {
                let there = host.python_tags.join(", ");
                let wanted = excerpt(&offer.python_tags.join(", "));
                let there = if there.is_empty() { "no Python".to_owned() } else { there };
                format!("it needs {wanted} and the host has {there}")
            })?;
            Ok((version, tag))
        });
        match fit {
            Err(reason) => fallen.push((excerpt(offer.package_version), reason)),
            Ok((version, python_tag)) => {
                let local = offer.os.distribution.as_ref().is_some_and(|distribution| {
                    distribution.eq_ignore_ascii_case(&host.distribution)
                });
                let rank = (version, minor(&python_tag), local);
                if best.as_ref().is_none_or(|(highest, _)| rank > *highest) {
                    best = Some((rank, Choice { candidate, python_tag }));
                }
            }
        }
    }
    let place = format!(" on the host `{}`", excerpt(&host.hostname));
    best.map(|(_, choice)| choice).ok_or_else(|| requirement.none_fits(&place, fallen))
}

/// Chooses the wagon whose plugin.yaml a blueprint imports with `plugin:`: the highest version
/// that the requirement admits, for whatever host.
pub fn choose_import<'a, C: Offered>(
    candidates: &'a [C],
    requirement: &Requirement,
) -> Result<&'a C, NoneFits> {
    let mut best: Option<(Version, &'a C)> = None;
    let mut fallen = Vec::new();
    for candidate in candidates {
        let offer = candidate.offer();
        if offer.package_name != requirement.package_name {
            continue;
        }
        match requirement.judge(&offer) {
            Err(reason) => fallen.push((excerpt(offer.package_version), reason)),
            Ok(version) => {
                if best.as_ref().is_none_or(|(highest, _)| version > *highest) {
                    best = Some((version, candidate));
                }
            }
        }
    }
    best.map(|(_, candidate)| candidate).ok_or_else(|| requirement.none_fits("", fallen))
}

/// Returns the newest of a host's interpreters that is among the ones a wagon is for.
pub fn best_python_tag(supported: &[String], host: &[String]) -> Option<String> {
    host.iter()
        .filter(|tag| supported.iter().flat_map(|given| given.split('.')).any(|s| serves(tag, s)))
        .max_by_key(|tag| minor(tag))
        .cloned()
}

/// Whether an interpreter `py311` serves what is for `py311`, `cp311` or `py3`.
fn serves(tag: &str, supported: &str) -> bool {
    let digits =
        |text: &str| text.strip_prefix("py").or_else(|| text.strip_prefix("cp")).map(str::to_owned);
    match (digits(tag), digits(supported)) {
        (Some(have), Some(want)) => have == want || (want.len() == 1 && have.starts_with(&want)),
        _ => false,
    }
}

/// Orders Python tags: 311 of py311 is more than 39 of py39.
fn minor(tag: &str) -> u64 {
    let digits = tag.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (major, minor) = digits.split_at(digits.len().min(1));
    major.parse::<u64>().unwrap_or(0) * 1000 + minor.parse::<u64>().unwrap_or(0)
}

#[cfg(test)]
mod tests;

//! Whether a host can run what was compiled for a platform.

use waggoner_types::Host;

use crate::refusal::excerpt;

/// The platform of a wagon that fits everywhere.
pub(super) const ANY: &str = "any";

/// Says why a host cannot run a platform's code; a platform may name several, of which one does.
pub(super) fn check(platform: &str, host: &Host) -> Result<(), String> {
    let mut reason = format!("it is for the platform {}", excerpt(platform));
    for tag in platform.split('.') {
        match fits(tag, host) {
            Ok(()) => return Ok(()),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

fn fits(tag: &str, host: &Host) -> Result<(), String> {
    let own = format!("{}_{}", host.system, host.machine);
    let other = || format!("it is for {} and the host is {own}", excerpt(tag));
    if tag == ANY || tag.eq_ignore_ascii_case(&own) {
        return Ok(());
    }
    if host.system != "linux" {
        return Err(other());
    }
    let Some((family, least)) = library(tag) else { return Err(other()) };
    if !tag.ends_with(&format!("_{}", host.machine)) {
        return Err(other());
    }
    // Unknown is taken for fitting: Cloudify does not ask.
    let Some((host_family, version)) = host.libc.split_once('-') else { return Ok(()) };
    let have = version.split_once('.').and_then(|(major, minor)| {
        Some((major.parse::<u32>().ok()?, minor.split('.').next()?.parse::<u32>().ok()?))
    });
    if host_family != family || have.is_some_and(|have| have < least) {
        return Err(format!(
            "it needs {family} {}.{} and the host has {host_family} {version}",
            least.0, least.1
        ));
    }
    Ok(())
}

/// The C library that a platform tag asks for (PEP 513, 571, 599, 600, 656).
fn library(tag: &str) -> Option<(&'static str, (u32, u32))> {
    for (prefix, least) in
        [("manylinux1_", (2, 5)), ("manylinux2010_", (2, 12)), ("manylinux2014_", (2, 17))]
    {
        if tag.starts_with(prefix) {
            return Some(("glibc", least));
        }
    }
    let (family, rest) = match (tag.strip_prefix("manylinux_"), tag.strip_prefix("musllinux_")) {
        (Some(rest), _) => ("glibc", rest),
        (_, Some(rest)) => ("musl", rest),
        _ => return None,
    };
    let mut numbers = rest.split('_').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Some((family, (major, minor))),
        _ => None,
    }
}

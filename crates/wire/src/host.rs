//! Hosts.

use waggoner_proto::agent::v1 as pb;
use waggoner_types::Host;

/// The message of a host.
pub fn to_host(host: Host) -> pb::Host {
    let Host {
        hostname,
        system,
        machine,
        distribution,
        distribution_version,
        distribution_release,
        python_tags,
        boot_id,
        libc,
    } = host;
    pb::Host {
        hostname,
        system,
        machine,
        distribution,
        distribution_version,
        distribution_release,
        python_tags,
        boot_id,
        libc,
    }
}

/// The host of a message.
pub fn from_host(host: pb::Host) -> Host {
    let pb::Host {
        hostname,
        system,
        machine,
        distribution,
        distribution_version,
        distribution_release,
        python_tags,
        boot_id,
        libc,
    } = host;
    Host {
        hostname,
        system,
        machine,
        distribution,
        distribution_version,
        distribution_release,
        python_tags,
        boot_id,
        libc,
    }
}

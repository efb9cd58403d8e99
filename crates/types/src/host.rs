//! A host, as far as it decides which wagon fits.

use serde::{Deserialize, Serialize};

/// What an agent says of its host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The host's own name.
    pub hostname: String,
    /// The operating system: linux.
    pub system: String,
    /// The machine: `x86_64`, `aarch64`.
    pub machine: String,
    /// The distribution's id in lower case: debian.
    pub distribution: String,
    /// The distribution's version: 12.
    pub distribution_version: String,
    /// The distribution's release name in lower case: bookworm.
    pub distribution_release: String,
    /// The Python interpreters found, as tags: py311.
    pub python_tags: Vec<String>,
    /// Identifies this boot of the host.
    pub boot_id: String,
    /// The C library: glibc-2.36, musl-1.2.
    pub libc: String,
}

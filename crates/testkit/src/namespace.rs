//! Hosts of their own on one machine: network namespaces joined by virtual cables.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use camino::Utf8Path;

/// A host: a network namespace with an address.
#[derive(Clone, Debug)]
pub struct Host(Arc<Namespace>);

/// A star of hosts: each is reached from the middle, over a cable of its own.
#[derive(Debug)]
pub struct Network {
    middle: Host,
    cables: u8,
}

#[derive(Debug)]
struct Namespace {
    name: String,
    /// The address by which the middle, or for the middle itself its first neighbour, reaches it.
    address: String,
}

// === impl Network ===

impl Network {
    /// Makes the host in the middle.
    ///
    /// # Panics
    ///
    /// If namespaces cannot be made: it takes root and `ip` of iproute2.
    pub fn new() -> Self {
        Self { middle: Host::new(String::new()), cables: 0 }
    }

    /// The host in the middle.
    pub fn middle(&self) -> &Host {
        &self.middle
    }

    /// Adds a host with a cable to the middle; returns it and the middle's address on the cable.
    pub fn host(&mut self) -> (Host, String) {
        self.cables += 1;
        let cable = self.cables;
        let (near, far) = (format!("10.77.{cable}.1"), format!("10.77.{cable}.2"));
        let host = Host::new(far.clone());
        let (middle, other) = (&self.middle.0.name, &host.0.name);
        let port = format!("to{cable}");
        ip(&[
            "-n", middle, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
            other,
        ]);
        ip(&["-n", middle, "addr", "add", &format!("{near}/24"), "dev", &port]);
        ip(&["-n", middle, "link", "set", &port, "up"]);
        ip(&["-n", other, "addr", "add", &format!("{far}/24"), "dev", "eth0"]);
        ip(&["-n", other, "link", "set", "eth0", "up"]);
        (host, near)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Host ===

impl Host {
    fn new(address: String) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("wag-{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self(Arc::new(Namespace { name, address }))
    }

    /// The address by which the middle reaches it.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Takes its cable out: what is sent gets lost without a word.
    pub fn cut(&self) {
        ip(&["-n", &self.0.name, "link", "set", "eth0", "down"]);
    }

    /// Puts its cable back in.
    pub fn mend(&self) {
        ip(&["-n", &self.0.name, "link", "set", "eth0", "up"]);
    }

    /// A command that runs a program on this host.
    pub fn command(&self, program: &Utf8Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The kernel removes it with its cables once the last process in it has ended.
        let mut command = Command::new("ip");
        command.args(["netns", "del", &self.name]).stderr(Stdio::null());
        drop(command.status());
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().expect("`ip` of iproute2 is there");
    assert!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

//! Hosts of their own on one machine: network namespaces joined by virtual cables.

use std::{
    fmt::Display,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use camino::Utf8Path;

use crate::{
    processes::{Process, process},
    weather::{Cable, Weather},
};

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
    /// What its cable can be told, if there can be weather on it.
    cable: Option<Cable>,
}

/// The host's end of its cable.
const ETH0: &str = "eth0";

// === impl Network ===

impl Network {
    /// Makes the host in the middle.
    ///
    /// # Panics
    ///
    /// If namespaces cannot be made: it takes root and `ip` of iproute2.
    pub fn new() -> Self {
        Self { middle: Host(Arc::new(Namespace::new())), cables: 0 }
    }

    /// The host in the middle.
    pub fn middle(&self) -> &Host {
        &self.middle
    }

    /// Adds a host with a cable to the middle; returns it and the middle's address on the cable.
    pub fn host(&mut self) -> (Host, String) {
        let (mut host, port) = self.namespace();
        plug(&self.middle.0.name, &port, &host.name);
        let near = self.connect(&mut host, &port);
        (Host(Arc::new(host)), near)
    }

    /// Adds a host on whose cable there can be weather.
    pub fn host_with_weather(&mut self, seed: u64) -> (Host, String) {
        let (mut host, port) = self.namespace();
        let middle = &self.middle.0.name;
        let cable = if Cable::is_known_to_the_kernel(middle) {
            plug(middle, &port, &host.name);
            Cable::Kernel {
                ends: [(middle.clone(), port.clone()), (host.name.clone(), ETH0.into())],
            }
        } else {
            let relay = Cable::relay(&host.name, [ETH0, &port], seed);
            ip(&["-n", &host.name, "link", "set", &port, "netns", middle]);
            relay
        };
        host.cable = Some(cable);
        let near = self.connect(&mut host, &port);
        (Host(Arc::new(host)), near)
    }

    /// Makes the namespace of a host, and names the middle's end of its cable.
    fn namespace(&mut self) -> (Namespace, String) {
        self.cables += 1;
        (Namespace::new(), format!("to{}", self.cables))
    }

    /// Gives both ends of a cable their addresses, and returns the middle's.
    fn connect(&self, host: &mut Namespace, port: &str) -> String {
        let (middle, cable) = (&self.middle.0.name, self.cables);
        let (near, far) = (format!("10.77.{cable}.1"), format!("10.77.{cable}.2"));
        ip(&["-n", middle, "addr", "add", &format!("{near}/24"), "dev", port]);
        ip(&["-n", middle, "link", "set", port, "up"]);
        ip(&["-n", &host.name, "addr", "add", &format!("{far}/24"), "dev", ETH0]);
        ip(&["-n", &host.name, "link", "set", ETH0, "up"]);
        host.address = far;
        near
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Host ===

impl Host {
    /// The address by which the middle reaches it.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Takes its cable out: what is sent gets lost without a word.
    pub fn cut(&self) {
        ip(&["-n", &self.0.name, "link", "set", ETH0, "down"]);
    }

    /// Puts its cable back in.
    pub fn mend(&self) {
        ip(&["-n", &self.0.name, "link", "set", ETH0, "up"]);
    }

    /// Lets this weather be on its cable.
    ///
    /// # Panics
    ///
    /// If it was made without.
    pub fn weather(&self, weather: &Weather) {
        self.0.cable.as_ref().expect("a host made with weather").set(weather);
    }

    /// Returns the processes that run on it.
    pub fn processes(&self) -> Vec<Process> {
        let output = ip(&["netns", "pids", &self.0.name]);
        let pids = output.lines().filter_map(|line| line.trim().parse().ok());
        let relay = self.0.cable.as_ref().and_then(Cable::pid);
        pids.filter(|pid| Some(*pid) != relay).filter_map(process).collect()
    }

    /// A command that runs a program on this host.
    pub fn command(&self, program: &Utf8Path) -> Command {
        inside(&self.0.name, program)
    }
}

// === impl Namespace ===

impl Namespace {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("wag-{}-{number}", std::process::id());
        ip(&["netns", "add", &name]);
        ip(&["-n", &name, "link", "set", "lo", "up"]);
        Self { name, address: String::new(), cable: None }
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

/// Puts a cable of the kernel's between two namespaces.
fn plug(middle: &str, port: &str, host: &str) {
    ip(&["-n", middle, "link", "add", port, "type", "veth", "peer", "name", ETH0, "netns", host]);
}

/// The command that runs a program in a namespace.
pub(crate) fn inside(namespace: &str, program: impl Display) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, &program.to_string()]);
    command
}

#[track_caller]
fn ip(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).output().expect("`ip` of iproute2 is there");
    assert!(
        output.status.success(),
        "ip {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

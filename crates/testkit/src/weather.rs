//! Weather on a cable: frames that come late, out of order, or not at all.
//!
//! The kernel's own (`tc netem`) where it has it; else a program that stands between two TAP
//! devices, `tests/python/weather.py`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    namespace::inside,
    oracle::{python, root},
};

/// What a cable does to each frame, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// How late it comes, and by how much more or less.
    pub delay: Duration,
    pub jitter: Duration,
    /// How many of a hundred are not late and so overtake others.
    pub overtaking: u8,
    /// How many of a hundred are lost.
    pub lost: u8,
}

/// A cable that can be told what to do to frames.
#[derive(Debug)]
pub(crate) enum Cable {
    /// Namespaces and devices of both its ends.
    Kernel { ends: [(String, String); 2] },
    /// A process that carries the frames.
    Relay(Child),
}

// === impl Weather ===

impl Weather {
    /// Frames come as they are sent.
    pub const CALM: Self =
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, overtaking: 0, lost: 0 };
}

// === impl Cable ===

impl Cable {
    /// Says whether the kernel has weather of its own, by trying it in this namespace.
    pub(crate) fn is_known_to_the_kernel(namespace: &str) -> bool {
        let tried = tc(&["-n", namespace, "qdisc", "add", "dev", "lo", "root", "netem"]);
        if tried {
            tc(&["-n", namespace, "qdisc", "del", "dev", "lo", "root"]);
        }
        tried
    }

    /// Makes both ends in a namespace, and carries frames between them from then on.
    ///
    /// # Panics
    ///
    /// If TAP devices cannot be made: it takes root and `/dev/net/tun`.
    pub(crate) fn relay(namespace: &str, ends: [&str; 2], seed: u64) -> Self {
        let mut child = inside(namespace, python())
            .arg(root().join("tests/python/weather.py"))
            .args(ends)
            .arg(seed.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says when it is ready");
        assert_eq!(line, "ready\n", "the cable between two TAP devices cannot be made");
        Self::Relay(child)
    }

    /// The process that carries the frames.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Kernel { .. } => None,
            Self::Relay(child) => Some(child.id()),
        }
    }

    pub(crate) fn set(&self, weather: &Weather) {
        let Weather { delay, jitter, overtaking, lost } = weather;
        let (delay, jitter) = (delay.as_millis(), jitter.as_millis());
        match self {
            Self::Relay(child) => {
                let mut stdin = child.stdin.as_ref().expect("it is piped");
                let line = format!("{delay} {jitter} {overtaking} {lost}\n");
                stdin.write_all(line.as_bytes()).expect("the cable is there");
            }
            Self::Kernel { ends } if *weather == Weather::CALM => {
                for (namespace, device) in ends {
                    tc(&["-n", namespace, "qdisc", "del", "dev", device, "root"]);
                }
            }
            Self::Kernel { ends } => {
                // A frame overtakes only what is late.
                let (delay, jitter) = (format!("{}ms", delay.max(1)), format!("{jitter}ms"));
                let (overtaking, lost) = (format!("{overtaking}%"), format!("{lost}%"));
                for (namespace, device) in ends {
                    let done = tc(&[
                        "-n",
                        namespace,
                        "qdisc",
                        "replace",
                        "dev",
                        device,
                        "root",
                        "netem",
                        "delay",
                        &delay,
                        &jitter,
                        "reorder",
                        &overtaking,
                        "loss",
                        &lost,
                    ]);
                    assert!(done, "the kernel refused {weather:?}");
                }
            }
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        if let Self::Relay(child) = self {
            // The end of its input is its own.
            drop(child.stdin.take());
            drop(child.wait());
        }
    }
}

fn tc(args: &[&str]) -> bool {
    let mut command = Command::new("tc");
    let status = command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("`tc` of iproute2 is there").success()
}

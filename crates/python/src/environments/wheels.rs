//! The wheels of this host, each once, under its digest.

use std::{
    collections::BTreeSet,
    env, io,
    sync::atomic::{AtomicU64, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};
use waggoner_types::Digest;
use waggoner_wagon::{Budget, Flaw, Metadata, Refusal, Wagon, Wheel, WheelName, check_wheel};

use super::WagonFile;
use crate::Interpreter;

/// A wheel and where it is.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) wheel: Wheel,
    pub(super) directory: Utf8PathBuf,
}

/// A wagon that was read and checked, with its wheels unpacked beside the store.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) wagon: Wagon,
    partial: Partial,
}

/// A directory that goes with this value.
#[derive(Debug)]
struct Partial(Utf8PathBuf);

/// Wagons that are being read and unpacked, in a thread of their own.
pub(super) struct Unpacking {
    described: oneshot::Receiver<Metadata>,
    ended: JoinHandle<Result<Vec<Unpacked>, Refusal>>,
}

/// Puts the wheels of some wagons into the store and returns those to install from: all of the
/// first wagon, and of the others what those before have no wheel of.
pub(super) fn store(root: &Utf8Path, wagons: &[Unpacked]) -> Result<Vec<Stored>, Refusal> {
    let mut chosen: Vec<Stored> = Vec::new();
    for Unpacked { wagon, partial } in wagons {
        let known: BTreeSet<String> =
            chosen.iter().map(|stored| stored.wheel.name.distribution.clone()).collect();
        let wanted = wagon.wheels.iter().filter(|wheel| !known.contains(&wheel.name.distribution));
        for wheel in wanted {
            let directory = root.join(wheel.digest.to_string());
            let stored = Stored { wheel: wheel.clone(), directory };
            adopt(&partial.0, &stored).map_err(|error| Refusal {
                kind: "wagon",
                file: wagon.path.clone(),
                flaw: Flaw::Unwritable { path: stored.path(), error },
            })?;
            chosen.push(stored);
        }
    }
    Ok(chosen)
}

/// Removes every wheel but those with the given digests, and what was left half unpacked. Returns
/// the distributions whose wheels went.
pub(super) fn collect(root: &Utf8Path, kept: &BTreeSet<Digest>) -> io::Result<BTreeSet<String>> {
    let mut gone = BTreeSet::new();
    let entries = match root.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(gone),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().parse().is_ok_and(|digest: Digest| kept.contains(&digest)) {
            continue;
        }
        for wheel in entry.path().read_dir_utf8()?.flatten() {
            gone.extend(wheel.file_name().parse().map(|name: WheelName| name.distribution));
        }
        fs::remove_dir_all(entry.path().as_std_path())?;
    }
    Ok(gone)
}

/// Returns the first wheel that is damaged, and how.
pub(super) fn broken(stored: &[Stored]) -> Option<(String, io::Error)> {
    stored.iter().find_map(|stored| {
        let error = check_wheel(&stored.path()).err()?;
        // A disk that fails says nothing of the wheel.
        let of_the_wheel = error.raw_os_error().is_none();
        of_the_wheel.then(|| (stored.wheel.name.to_string(), error))
    })
}

/// Says which wheels are for another interpreter or platform; nothing where all are for this one.
pub(super) fn foreign(stored: &[Stored], interpreter: &Interpreter) -> String {
    let names = stored.iter().map(|stored| &stored.wheel.name);
    let foreign: Vec<_> = names.filter(|name| !is_for(name, &interpreter.tag)).collect();
    match foreign.as_slice() {
        [] => String::new(),
        [one] => format!(" (the wheel `{one}` in its wagon is for another Python or platform)"),
        more => {
            let names: Vec<_> = more.iter().map(|name| format!("`{name}`")).collect();
            let names = names.join(", ");
            format!(" (the wheels {names} in its wagon are for another Python or platform)")
        }
    }
}

/// Whether a wheel may be for this host and an interpreter `py311` (PEP 425), as far as that can
/// be said without the interpreter's own list of tags.
fn is_for(wheel: &WheelName, tag: &str) -> bool {
    let minor = |digits: &str| digits.strip_prefix('3').map(|minor| minor.parse().unwrap_or(0));
    let own: Option<u32> = tag.strip_prefix("py").and_then(minor);
    let stable = wheel.abi.iter().any(|abi| abi == "abi3" || abi == "none");
    let python = wheel.python.iter().any(|python| {
        let (Some(digits), is_generic) = (python.get(2..), python.starts_with("py")) else {
            return false;
        };
        let wanted = minor(digits);
        wanted.is_some() && (wanted == own || (wanted < own && (stable || is_generic)))
    });
    let platform = wheel.platform.iter().any(|platform| {
        platform == "any" || (platform.contains("linux") && platform.ends_with(env::consts::ARCH))
    });
    python && platform
}

// === impl Unpacking ===

impl Unpacking {
    pub(super) fn begin(root: &Utf8Path, files: Vec<WagonFile>) -> Self {
        let root = root.to_owned();
        let (described_tx, described) = oneshot::channel();
        let ended = spawn_blocking(move || {
            let mut described_tx = Some(described_tx);
            let mut tell = |metadata: &Metadata| {
                if let Some(described_tx) = described_tx.take() {
                    drop(described_tx.send(metadata.clone()));
                }
            };
            files.iter().map(|file| unpack(&root, file, &mut tell)).collect()
        });
        Self { described, ended }
    }

    /// Waits for what the first wagon says of itself; nothing where it is refused before it does,
    /// or where there is none.
    pub(super) async fn described(&mut self) -> Option<Metadata> {
        (&mut self.described).await.ok()
    }

    pub(super) async fn end(self) -> Result<Vec<Unpacked>, Refusal> {
        self.ended.await.expect("reading a wagon does not panic")
    }
}

// === impl Stored ===

impl Stored {
    fn path(&self) -> Utf8PathBuf {
        self.directory.join(self.wheel.name.as_str())
    }
}

// === impl Partial ===

impl Drop for Partial {
    fn drop(&mut self) {
        // Else the next collection takes what is left.
        drop(fs::remove_dir_all(self.0.as_std_path()));
    }
}

fn unpack(
    root: &Utf8Path,
    file: &WagonFile,
    tell: impl FnMut(&Metadata),
) -> Result<Unpacked, Refusal> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let partial = Partial(root.join(format!(".partial-{}-{next}", std::process::id())));
    let wagon = Wagon::unpack(&file.path, &Budget::WAGON, &partial.0, tell)?;
    Ok(Unpacked { wagon, partial })
}

fn adopt(partial: &Utf8Path, stored: &Stored) -> io::Result<()> {
    if stored.path().is_file() {
        return Ok(());
    }
    fs::create_dir_all(stored.directory.as_std_path())?;
    fs::rename(partial.join(stored.wheel.name.as_str()).as_std_path(), stored.path().as_std_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_for_an_interpreter_and_a_platform() {
        let arch = env::consts::ARCH;
        for (tags, is) in [
            ("py3-none-any", true),
            ("py2.py3-none-any", true),
            ("py2-none-any", false),
            ("py39-none-any", true),
            ("py312-none-any", false),
            (&format!("cp311-cp311-manylinux2014_{arch}"), true),
            (&format!("cp39-abi3-manylinux_2_34_{arch}"), true),
            (&format!("cp39-cp39-linux_{arch}"), false),
            (&format!("cp312-abi3-linux_{arch}"), false),
            ("cp311-cp311-win_amd64", false),
            ("cp311-cp311-manylinux2014_s390x", false),
        ] {
            let name: WheelName = format!("x-1.0-{tags}.whl").parse().unwrap();
            assert_eq!(is_for(&name, "py311"), is, "{name}");
        }
    }
}

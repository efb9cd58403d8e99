//! The wheels of this host, each once, under its digest.

use std::{
    collections::BTreeSet,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use waggoner_types::Digest;
use waggoner_wagon::{Flaw, Refusal, Wagon, Wheel};

/// A wheel and where it is.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) wheel: Wheel,
    pub(super) directory: Utf8PathBuf,
}

/// Puts the wheels of some wagons into the store and returns those to install from: all of the
/// first wagon, and of the others what those before have no wheel of.
pub(super) fn store(root: &Utf8Path, wagons: &[Wagon]) -> Result<Vec<Stored>, Refusal> {
    let mut chosen: Vec<Stored> = Vec::new();
    for wagon in wagons {
        let known: BTreeSet<String> =
            chosen.iter().map(|stored| stored.wheel.name.distribution.clone()).collect();
        let wanted: Vec<Stored> = wagon
            .wheels
            .iter()
            .filter(|wheel| !known.contains(&wheel.name.distribution))
            .map(|wheel| Stored {
                wheel: wheel.clone(),
                directory: root.join(wheel.digest.to_string()),
            })
            .collect();
        if wanted.iter().any(|stored| !stored.path().is_file()) {
            unpack(root, wagon, &wanted)?;
        }
        chosen.extend(wanted);
    }
    Ok(chosen)
}

/// Removes every wheel but those with the given digests.
pub(super) fn collect(root: &Utf8Path, kept: &BTreeSet<Digest>) -> io::Result<()> {
    for entry in root.read_dir_utf8()? {
        let entry = entry?;
        let digest: Option<Digest> = entry.file_name().parse().ok();
        if digest.is_some_and(|digest| !kept.contains(&digest)) {
            fs::remove_dir_all(entry.path().as_std_path())?;
        }
    }
    Ok(())
}

// === impl Stored ===

impl Stored {
    fn path(&self) -> Utf8PathBuf {
        self.directory.join(self.wheel.name.as_str())
    }
}

fn unpack(root: &Utf8Path, wagon: &Wagon, wanted: &[Stored]) -> Result<(), Refusal> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let partial = root.join(format!(".partial-{}-{next}", std::process::id()));
    let unpacked = wagon.extract_wheels(&partial).and_then(|()| {
        wanted.iter().try_for_each(|stored| {
            adopt(&partial, stored).map_err(|error| Refusal {
                kind: "wagon",
                file: wagon.path.clone(),
                flaw: Flaw::Unwritable { path: stored.path(), error },
            })
        })
    });
    drop(fs::remove_dir_all(partial.as_std_path()));
    unpacked
}

fn adopt(partial: &Utf8Path, stored: &Stored) -> io::Result<()> {
    if stored.path().is_file() {
        return Ok(());
    }
    fs::create_dir_all(stored.directory.as_std_path())?;
    fs::rename(partial.join(stored.wheel.name.as_str()).as_std_path(), stored.path().as_std_path())
}

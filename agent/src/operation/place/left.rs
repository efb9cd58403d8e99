//! The places of operations that have ended: they become another's, or are removed.
//!
//! Where many files were removed a moment ago, a file system looks long for the number of a new one
//! (`recently_deleted` in fs/ext4/ialloc.c): a place that is as it was made is used again.

use std::{
    convert::Infallible,
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use tokio::{sync::Notify, task::spawn_blocking, time::sleep};
use tracing::warn;
use waggoner_python::dispatch;

use super::TEMPORARY;
use crate::state::remove;

/// The places that operations have left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    known: Mutex<Known>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Those that nobody has looked at, each with where its input and output are.
    ended: Vec<[Utf8PathBuf; 2]>,
    /// Those that are as they were made.
    renewed: Vec<Utf8PathBuf>,
}

/// How long a place stays as it was left at the most.
const MOMENT: Duration = Duration::from_millis(200);

/// How many places are kept for others.
const KEPT: usize = 64;

// === impl Left ===

impl Left {
    /// Clears what is added: what is within a moment together, and where it may block, as the disk
    /// may take its time for that.
    pub(crate) async fn keep(self: Arc<Self>) -> Infallible {
        loop {
            self.added.notified().await;
            sleep(MOMENT).await;
            let left = Arc::clone(&self);
            drop(spawn_blocking(move || left.renew()).await);
        }
    }

    /// Removes what was added. Blocks on the disk.
    pub(crate) fn clear(&self) {
        let Known { ended, renewed } = std::mem::take(&mut *self.known());
        for folder in ended.iter().flatten().chain(&renewed) {
            remove_one(folder);
        }
    }

    /// Adds the place of an operation that has ended.
    pub(super) fn add(&self, folder: Utf8PathBuf, dispatch: Utf8PathBuf) {
        self.known().ended.push([folder, dispatch]);
        self.added.notify_one();
    }

    /// Makes one that is kept the place of an operation that has none. Says whether it has one now
    /// that is as new.
    pub(super) fn give(&self, folder: &Utf8Path) -> bool {
        let Some(renewed) = self.known().renewed.pop() else { return false };
        // Nothing is put over what an operation of another life has.
        let is_given = fs_err::rename(&renewed, folder).is_ok();
        if !is_given {
            self.add(renewed.clone(), renewed);
        }
        is_given
    }

    /// Makes what was added as it was, or removes it.
    fn renew(&self) {
        let ended = std::mem::take(&mut self.known().ended);
        for [folder, dispatch] in ended {
            for file in [dispatch::INPUT, dispatch::OUTPUT] {
                drop(fs_err::remove_file(dispatch.join(file)));
            }
            if dispatch != folder {
                remove_one(&dispatch);
            }
            let is_renewed = is_as_made(&folder).unwrap_or(false);
            let mut known = self.known();
            if is_renewed && known.renewed.len() < KEPT {
                known.renewed.push(folder);
            } else {
                drop(known);
                remove_one(&folder);
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds the places")
    }
}

fn remove_one(folder: &Utf8Path) {
    if let Err(error) = remove(folder) {
        warn!(%error, "an operation's directory cannot be removed");
    }
}

/// Says whether there is nothing in a place but an empty directory for temporary files, and nobody
/// else may enter them.
fn is_as_made(folder: &Utf8Path) -> io::Result<bool> {
    let temporary = folder.join(TEMPORARY);
    let own = rustix::process::geteuid().as_raw();
    for directory in [folder, &temporary] {
        let metadata = fs_err::symlink_metadata(directory)?;
        let is_private = metadata.permissions().mode() & 0o7777 == 0o700;
        if !metadata.is_dir() || !is_private || metadata.uid() != own {
            return Ok(false);
        }
    }
    let count = |directory: &Utf8Path| -> io::Result<usize> {
        Ok(directory.read_dir_utf8()?.take(2).count())
    };
    Ok(count(folder)? == 1 && count(&temporary)? == 0)
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;
    use fs_err as fs;

    use super::*;
    use crate::state::own;

    /// Does something to a place.
    type Spoil<'a> = &'a dyn Fn(&Utf8Path);

    fn make(directory: &Utf8TempDir, name: &str) -> Utf8PathBuf {
        let folder = directory.path().join(name);
        own(&folder).unwrap();
        own(&folder.join(TEMPORARY)).unwrap();
        fs::write(folder.join(dispatch::INPUT), "a secret").unwrap();
        fs::write(folder.join(dispatch::OUTPUT), "a result").unwrap();
        folder
    }

    #[test]
    fn a_place_is_given_to_another_only_as_it_was_made() {
        let directory = Utf8TempDir::new().unwrap();
        let open = |path: &Utf8Path| {
            fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let spoilings: [(&str, Spoil<'_>); 5] = [
            ("file", &|folder| fs::write(folder.join("tmp/more"), "").unwrap()),
            ("log", &|folder| fs::write(folder.join("plugin.log"), "").unwrap()),
            ("files", &|folder| fs::create_dir(folder.join("files")).unwrap()),
            ("open", &|folder| open(folder)),
            ("link", &|folder| {
                fs::remove_dir(folder.join(TEMPORARY)).unwrap();
                fs::os::unix::fs::symlink("/usr", folder.join(TEMPORARY)).unwrap();
            }),
        ];
        let left = Left::default();
        for (name, spoil) in spoilings {
            let folder = make(&directory, name);
            spoil(&folder);
            left.add(folder.clone(), folder.clone());
            left.renew();
            assert!(!folder.exists(), "{name}");
            assert!(!left.give(&directory.path().join("next")), "{name}");
        }
        let clean = make(&directory, "clean");
        let dispatch = directory.path().join("dispatch");
        own(&dispatch).unwrap();
        for file in [dispatch::INPUT, dispatch::OUTPUT] {
            fs::rename(clean.join(file), dispatch.join(file)).unwrap();
        }
        left.add(clean, dispatch.clone());
        left.renew();
        let next = directory.path().join("next");
        assert!(left.give(&next));
        assert!(!directory.path().join("clean").exists() && !dispatch.exists());
        assert!(is_as_made(&next).unwrap());
        assert!(!left.give(&directory.path().join("third")), "it is somebody's");
    }

    #[test]
    fn a_place_that_is_there_stays_as_it_is() {
        let directory = Utf8TempDir::new().unwrap();
        let left = Left::default();
        let ended = make(&directory, "ended");
        left.add(ended.clone(), ended.clone());
        left.renew();
        let running = make(&directory, "running");
        assert!(!left.give(&running));
        assert_eq!(fs::read_to_string(running.join(dispatch::OUTPUT)).unwrap(), "a result");
        left.clear();
        assert!(!ended.exists() && running.exists());
    }
}

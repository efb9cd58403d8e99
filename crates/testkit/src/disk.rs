//! A small file system that can be filled.

use std::{io::Write as _, process::Command};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

/// A file system in memory. It is taken off its directory when this is dropped.
#[derive(Debug)]
pub struct Disk {
    directory: Utf8PathBuf,
}

/// What is written at once while filling: much, then as little as a block.
const PIECES: [usize; 2] = [1 << 20, 4 << 10];

// === impl Disk ===

impl Disk {
    /// Puts a file system of so many MiB on a directory, which is made.
    ///
    /// # Panics
    ///
    /// If nothing can be mounted: it takes root.
    pub fn mount(directory: &Utf8Path, size: u32) -> Self {
        fs::create_dir_all(directory).expect("the folder is ours");
        let options = format!("size={size}m,mode=0700");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &options, "tmpfs", directory.as_str()]);
        assert!(command.status().is_ok_and(|status| status.success()), "{command:?} failed");
        Self { directory: directory.to_owned() }
    }

    /// Takes what room is left, also what has become free since the last time.
    pub fn fill(&self) {
        let mut options = fs::OpenOptions::new();
        // Where there is no room there may be none for the file itself.
        let Ok(mut filler) = options.create(true).append(true).open(self.filler()) else { return };
        for size in PIECES {
            let piece = vec![0; size];
            while filler.write_all(&piece).is_ok() {}
        }
    }

    /// Gives back the room that was taken.
    pub fn clear(&self) {
        drop(fs::remove_file(self.filler()));
    }

    fn filler(&self) -> Utf8PathBuf {
        self.directory.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: it is gone once the last process that uses it has ended.
        let mut command = Command::new("umount");
        drop(command.args(["--lazy", self.directory.as_str()]).status());
    }
}

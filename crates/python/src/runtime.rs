//! The runtime: our part of an operation's Python process, on its `PYTHONPATH`.

use std::{
    io,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use waggoner_types::Digest;

/// The runtime, written where operations find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    directory: Utf8PathBuf,
}

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../runtime/", $path)))),*]
    };
}

/// Everything of `runtime/`.
const FILES: &[(&str, &str)] = files![
    "beside/cloudify_types/__init__.py"
    "beside/cloudify_types/component/__init__.py"
    "beside/cloudify_types/component/polling.py"
    "beside/cloudify_types/shared_resource/__init__.py"
    "beside/cloudify_types/shared_resource/constants.py"
    "cloudify_agent/__init__.py"
    "cloudify_agent/installer/__init__.py"
    "cloudify_agent/installer/script.py"
    "waggoner_runtime/__init__.py"
    "waggoner_runtime/__main__.py"
    "waggoner_runtime/agent.py"
    "waggoner_runtime/birth.py"
    "waggoner_runtime/compat.py"
    "waggoner_runtime/endpoint.py"
    "waggoner_runtime/events.py"
    "waggoner_runtime/install.py"
    "waggoner_runtime/rehearsal.py"
    "waggoner_runtime/rest.py"
    "waggoner_runtime/server.py"
    "waggoner_runtime/watch.py"
];

// === impl Runtime ===

impl Runtime {
    /// Writes the runtime below `<root>/runtime/`, under a name that changes with its content, so
    /// that operations that run on keep theirs.
    pub fn install(root: &Utf8Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let parent = root.join("runtime");
        let directory = parent.join(&DIGEST.to_string()[..16]);
        if directory.is_dir() {
            return Ok(Self { directory });
        }
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let partial = parent.join(format!(".partial-{}-{next}", std::process::id()));
        let written = write_all(&partial).and_then(|()| {
            match fs::rename(partial.as_std_path(), directory.as_std_path()) {
                // Somebody else was faster.
                Err(_) if directory.is_dir() => fs::remove_dir_all(partial.as_std_path()),
                other => other,
            }
        });
        if written.is_err() {
            drop(fs::remove_dir_all(partial.as_std_path()));
        }
        written.map(|()| Self { directory })
    }

    /// What has to be in an operation's `PYTHONPATH`.
    pub fn directory(&self) -> &Utf8Path {
        &self.directory
    }
}

fn write_all(directory: &Utf8Path) -> io::Result<()> {
    for (path, content) in FILES {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent.as_std_path())?;
        }
        fs::write(path.as_std_path(), content)?;
    }
    Ok(())
}

static DIGEST: LazyLock<Digest> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (path, content) in FILES {
        hasher.update(format!("{path} {}\n{content}", content.len()));
    }
    Digest(hasher.finalize().into())
});

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;

    use super::*;

    #[test]
    fn every_file_of_the_runtime_is_written_once() {
        let root = Utf8TempDir::new().unwrap();
        let runtime = Runtime::install(root.path()).unwrap();
        let source = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("runtime");
        let mut expected = 0;
        let mut waiting = vec![source.clone()];
        while let Some(directory) = waiting.pop() {
            for entry in directory.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                if path.is_dir() && path.file_name() != Some("__pycache__") {
                    waiting.push(path);
                } else if path.extension() == Some("py") {
                    expected += 1;
                    let written = runtime.directory().join(path.strip_prefix(&source).unwrap());
                    assert_eq!(
                        fs::read_to_string(written).unwrap(),
                        fs::read_to_string(&path).unwrap()
                    );
                }
            }
        }
        assert_eq!(expected, FILES.len());
        assert_eq!(Runtime::install(root.path()).unwrap(), runtime);
        assert_eq!(root.path().join("runtime").read_dir_utf8().unwrap().count(), 1);
    }
}

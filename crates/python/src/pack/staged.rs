//! A copy of a source tree, without what working on it leaves there.

use std::io;

use camino::Utf8Path;
use fs_err as fs;

/// What is of no use to a wheel, wherever it lies.
const LEFT_OUT: [&str; 12] = [
    ".git",
    ".hg",
    ".svn",
    ".tox",
    ".nox",
    ".eggs",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".idea",
    "__pycache__",
    "node_modules",
];

/// What builds leave at the top, unless it is a package of that name: what is in it would become
/// part of the next wheel, whatever the sources are by then.
const BUILT: [&str; 2] = ["build", "dist"];

/// Copies a tree but for virtual environments, caches, version control and what builds have left.
/// Links stay links.
pub(super) fn stage(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    copy(from, to, true)
}

fn copy(from: &Utf8Path, to: &Utf8Path, is_top: bool) -> io::Result<()> {
    fs::create_dir_all(to.as_std_path())?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        let (path, name, kind) = (entry.path(), entry.file_name(), entry.file_type()?);
        let to = to.join(name);
        if kind.is_dir() {
            if !is_left_out(path, name, is_top) {
                copy(path, &to, false)?;
            }
        } else if kind.is_symlink() {
            fs::os::unix::fs::symlink(path.read_link_utf8()?.as_std_path(), to.as_std_path())?;
        } else if kind.is_file() {
            if !matches!(path.extension(), Some("pyc" | "wgn")) {
                fs::copy(path.as_std_path(), to.as_std_path())?;
            }
        } else {
            let message = format!("`{path}` is no file, directory or link");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    Ok(())
}

fn is_left_out(path: &Utf8Path, name: &str, is_top: bool) -> bool {
    LEFT_OUT.contains(&name)
        || name.ends_with(".egg-info")
        || path.join("pyvenv.cfg").is_file()
        || is_top && BUILT.contains(&name) && !path.join("__init__.py").is_file()
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn files(directory: &Utf8Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![Utf8PathBuf::new()];
        while let Some(below) = left.pop() {
            for entry in directory.join(&below).read_dir_utf8().unwrap() {
                let entry = entry.unwrap();
                let path = below.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    left.push(path);
                } else {
                    found.push(path.into_string());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn what_work_leaves_in_a_tree_stays_there() {
        let directory = camino_tempfile::tempdir().unwrap();
        let (tree, to) = (directory.path().join("tree"), directory.path().join("to"));
        let kept = ["setup.py", "note/build/tool.py", "note/tasks.py"];
        let left = [
            ".git/HEAD",
            ".venv/pyvenv.cfg",
            "build/lib/note/old.py",
            "dist/note-1.0-py311-none-any.wgn",
            "note.egg-info/PKG-INFO",
            "note/__pycache__/tasks.cpython-311.pyc",
            "note_plugin-1.0-py311-none-any.wgn",
        ];
        for file in kept.iter().chain(&left) {
            let file = tree.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        fs::os::unix::fs::symlink("/usr/bin/python3", tree.join(".venv/python")).unwrap();
        stage(&tree, &to).unwrap();
        assert_eq!(files(&to), ["note/build/tool.py", "note/tasks.py", "setup.py"]);
    }

    #[test]
    fn a_package_may_be_named_build() {
        let directory = camino_tempfile::tempdir().unwrap();
        let (tree, to) = (directory.path().join("tree"), directory.path().join("to"));
        fs::create_dir_all(tree.join("build")).unwrap();
        fs::write(tree.join("build/__init__.py"), "").unwrap();
        stage(&tree, &to).unwrap();
        assert_eq!(files(&to), ["build/__init__.py"]);
    }
}

//! Which plugins read their blueprint's files where a manager of Cloudify's keeps them.
//!
//! There the central agent is on the manager's host, and some plugins, as Ansible's, open
//! `/opt/manager/resources/blueprints/…` instead of asking `ctx`.

use camino::{Utf8Path, Utf8PathBuf};

use super::packages::{Noted, noted};

/// What the source of such a plugin has in it.
const PLACE: &str = "/resources/blueprints/";

/// Says whether a Python file of the package names the place. What cannot be read does not.
pub(super) fn are_read(prefix: &Utf8Path, package_name: &str) -> bool {
    noted(prefix, package_name).any(|noted| files(&noted).iter().any(|file| names_it(file)))
}

/// Lists the Python files of a package: its own, or those of the sources that it leads to.
fn files(Noted { packages, notes, .. }: &Noted) -> Vec<Utf8PathBuf> {
    let record = fs_err::read_to_string(notes.join("RECORD")).unwrap_or_default();
    let mut found = Vec::new();
    for file in record.lines().filter_map(|line| line.split(',').next()) {
        let file = packages.join(file);
        match file.extension() {
            Some("py") => found.push(file),
            Some("pth") => {
                let text = fs_err::read_to_string(file).unwrap_or_default();
                let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
                lines.for_each(|line| sources(&packages.join(line), &mut found));
            }
            _ => {}
        }
    }
    found
}

/// Lists the modules of a directory, and those of its packages. A link to a directory may lead back.
fn sources(directory: &Utf8Path, found: &mut Vec<Utf8PathBuf>) {
    for entry in directory.read_dir_utf8().into_iter().flatten().flatten() {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.into_path();
        if is_directory && path.join("__init__.py").is_file() {
            sources(&path, found);
        } else if path.extension() == Some("py") {
            found.push(path);
        }
    }
}

fn names_it(file: &Utf8Path) -> bool {
    fs_err::read(file).is_ok_and(|text| text.windows(PLACE.len()).any(|at| at == PLACE.as_bytes()))
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;

    use super::*;

    #[test]
    fn a_plugin_reads_blueprints_whose_own_files_name_their_place() {
        let prefix = Utf8TempDir::new().unwrap();
        let packages = prefix.path().join("lib/python3.11/site-packages");
        let write = |path: &str, text: &str| {
            let path = packages.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("play_plugin-1.0.dist-info/RECORD", "play/__init__.py,sha256=a,1\nplay/paths.py,,\n");
        write("play/__init__.py", "");
        write("play/paths.py", "PLACE = '/opt/manager/resources/blueprints/{0}/{1}'\n");
        write("note_plugin-1.0.dist-info/RECORD", "note.py,,\ngone.py,,\n");
        write("note.py", "import play.paths\n");
        assert!(are_read(prefix.path(), "play-plugin"));
        assert!(are_read(prefix.path(), "Play.Plugin"));
        assert!(!are_read(prefix.path(), "note-plugin"), "it only uses one that does");
        assert!(!are_read(prefix.path(), "no-plugin"));

        let tree = Utf8TempDir::new().unwrap();
        let package = tree.path().join("play");
        fs_err::create_dir_all(&package).unwrap();
        fs_err::copy(packages.join("play/__init__.py"), package.join("__init__.py")).unwrap();
        write("tree_plugin-1.0.dist-info/RECORD", "tree.pth,,\n");
        write("tree.pth", &format!("import sys\n{}\n", tree.path()));
        assert!(!are_read(prefix.path(), "tree-plugin"));
        fs_err::copy(packages.join("play/paths.py"), package.join("paths.py")).unwrap();
        assert!(are_read(prefix.path(), "tree-plugin"), "`wag plugins test` runs sources in place");

        write("near_plugin-1.0.dist-info/RECORD", "near.pth,,\n");
        write("near.pth", "\nnear\n");
        write("near/play/__init__.py", "");
        fs_err::os::unix::fs::symlink("../../play", packages.join("near/play/link")).unwrap();
        assert!(!are_read(prefix.path(), "near-plugin"), "the lines lead to nothing else");
        write("near/play/paths.py", "PLACE = '/opt/manager/resources/blueprints/{0}/{1}'\n");
        assert!(are_read(prefix.path(), "near-plugin"));
    }
}

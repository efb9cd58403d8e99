//! Which plugins read their blueprint's files where a manager of Cloudify's keeps them.
//!
//! There the central agent is on the manager's host, and some plugins, as Ansible's, open
//! `/opt/manager/resources/blueprints/…` instead of asking `ctx`.

use camino::{Utf8Path, Utf8PathBuf};

/// What the source of such a plugin has in it.
const PLACE: &str = "/resources/blueprints/";

/// Says whether a Python file of the package names the place. What cannot be read does not.
pub(super) fn are_read(prefix: &Utf8Path, package_name: &str) -> bool {
    let versions = prefix.join("lib").read_dir_utf8().into_iter().flatten().flatten();
    let mut packages = versions.map(|entry| entry.path().join("site-packages"));
    packages.any(|packages| files(&packages, package_name).any(|file| names_it(&file)))
}

/// Lists the Python files of a package, as its installer has noted them (PEP 376).
fn files(packages: &Utf8Path, package_name: &str) -> impl Iterator<Item = Utf8PathBuf> {
    let name = waggoner_wagon::normalized_name(package_name);
    let entries = packages.read_dir_utf8().into_iter().flatten().flatten();
    let of_package = entries.filter(move |entry| {
        let found = entry.file_name().strip_suffix(".dist-info");
        let found = found.and_then(|found| found.split_once('-'));
        found.is_some_and(|(found, _)| waggoner_wagon::normalized_name(found) == name)
    });
    let records =
        of_package.filter_map(|entry| fs_err::read_to_string(entry.path().join("RECORD")).ok());
    let lines: Vec<Utf8PathBuf> = records
        .flat_map(|record| {
            let files = record.lines().filter_map(|line| line.split(',').next());
            let files = files.map(|file| packages.join(file));
            files.filter(|file| file.extension() == Some("py")).collect::<Vec<_>>()
        })
        .collect();
    lines.into_iter()
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
    }
}

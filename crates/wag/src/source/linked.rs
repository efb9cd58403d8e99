//! A wagon whose own wheel leads to the source tree instead of holding a copy of it.
//!
//! Such a wheel is what PEP 660 calls editable: the metadata of the real one, and a `.pth` file
//! with the path of the tree (Python's `site`). What is changed in the tree is seen at once, and
//! everything else is as in the wagon.

use std::io::{self, Read as _, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_wagon::{Budget, Format, Recipe, Wagon, write};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::SourceError;

/// Where the modules of a source tree lie, from its root.
const ROOTS: [&str; 2] = ["", "src"];

/// Makes the linked wagon in `out`. None where the wheel holds a file that the tree has not, such
/// as one that was compiled or generated: then only what is built anew is right.
pub(super) fn linked(
    wagon: &Utf8Path,
    tree: &Utf8Path,
    out: &Utf8Path,
) -> Result<Option<Utf8PathBuf>, SourceError> {
    let wagon = Wagon::open(wagon, &Budget::WAGON).map_err(SourceError::Wagon)?;
    let Some(own) = wagon.wheel(&wagon.metadata.package_name) else { return Ok(None) };
    let scratch = camino_tempfile::tempdir().map_err(SourceError::Link)?;
    wagon.extract_wheels(scratch.path()).map_err(SourceError::Wagon)?;
    let wheel = scratch.path().join(own.name.as_str());
    if !link(&wheel, tree, &wagon.metadata.package_name).map_err(SourceError::Link)? {
        return Ok(None);
    }
    let metadata = wagon.metadata;
    let recipe = Recipe {
        package_name: metadata.package_name,
        package_version: metadata.package_version,
        package_source: tree.to_string(),
        python_tags: metadata.supported_python_versions,
        os: metadata.build_server_os_properties,
    };
    let written = write(&recipe, scratch.path(), out, Format::TarGz);
    written
        .map(|packed| Some(packed.path))
        .map_err(|error| SourceError::Link(io::Error::other(error)))
}

/// Makes the wheel lead to the tree. Returns whether it could.
fn link(wheel: &Utf8Path, tree: &Utf8Path, package: &str) -> io::Result<bool> {
    let mut real = ZipArchive::new(fs_err::File::open(wheel)?).map_err(io::Error::other)?;
    let names = real.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
    let names: Vec<_> = names.collect::<Result<_, _>>().map_err(io::Error::other)?;
    let modules: Vec<_> =
        names.iter().filter(|name| !is_metadata(name) && !name.ends_with('/')).collect();
    let roots = ROOTS.map(|root| tree.join(root));
    let Some(root) =
        roots.iter().find(|root| modules.iter().all(|name| root.join(name.as_str()).is_file()))
    else {
        return Ok(false);
    };

    let mut files = vec![(format!("{package}.pth"), format!("{root}\n").into_bytes())];
    let mut record = None;
    for name in names.iter().filter(|name| is_metadata(name) && !name.ends_with('/')) {
        if name.ends_with(".dist-info/RECORD") {
            record = Some(name.clone());
            continue;
        }
        let mut bytes = Vec::new();
        real.by_name(name).map_err(io::Error::other)?.read_to_end(&mut bytes)?;
        files.push((name.clone(), bytes));
    }
    let Some(record) = record else { return Ok(false) };
    // Nobody checks a wheel that was made a moment ago: digests may be left out.
    let listed = files.iter().map(|(name, _)| name).chain([&record]);
    let text: String = listed.flat_map(|name| [name.as_str(), ",,\n"]).collect();
    files.push((record, text.into_bytes()));

    let mut zip = ZipWriter::new(fs_err::File::create(wheel)?);
    for (name, bytes) in files {
        zip.start_file(name, SimpleFileOptions::default()).map_err(io::Error::other)?;
        zip.write_all(&bytes)?;
    }
    zip.finish().map_err(io::Error::other)?;
    Ok(true)
}

/// Whether a file of a wheel tells of it, or is installed elsewhere than among the modules (PEP
/// 427).
fn is_metadata(name: &str) -> bool {
    let top = name.split('/').next().unwrap_or_default();
    matches!(Utf8Path::new(top).extension(), Some("dist-info" | "data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wheel with these modules beside its metadata.
    fn wheel(directory: &Utf8Path, modules: &[&str]) -> Utf8PathBuf {
        let path = directory.join("note_plugin-1.0-py3-none-any.whl");
        let mut zip = ZipWriter::new(fs_err::File::create(&path).unwrap());
        let metadata = ["METADATA", "WHEEL", "RECORD"];
        let metadata = metadata.map(|name| format!("note_plugin-1.0.dist-info/{name}"));
        for name in modules.iter().copied().chain(metadata.iter().map(String::as_str)) {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn tree(directory: &Utf8Path, files: &[&str]) -> Utf8PathBuf {
        let tree = directory.join("tree");
        for file in files {
            let file = tree.join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, "").unwrap();
        }
        tree
    }

    #[test]
    fn a_linked_wheel_holds_the_metadata_and_the_way_to_the_tree() {
        for root in ROOTS {
            let directory = camino_tempfile::tempdir().unwrap();
            let module = Utf8Path::new(root).join("note_plugin/tasks.py");
            let tree = tree(directory.path(), &[module.as_str()]);
            let wheel = wheel(directory.path(), &["note_plugin/tasks.py"]);
            assert!(link(&wheel, &tree, "note-plugin").unwrap());
            let mut zip = ZipArchive::new(fs_err::File::open(&wheel).unwrap()).unwrap();
            let mut way = String::new();
            zip.by_name("note-plugin.pth").unwrap().read_to_string(&mut way).unwrap();
            assert_eq!(way.trim(), tree.join(root).as_str());
            let mut record = String::new();
            let name = "note_plugin-1.0.dist-info/RECORD";
            zip.by_name(name).unwrap().read_to_string(&mut record).unwrap();
            assert_eq!(record.lines().count(), zip.len(), "{record}");
            assert!(zip.by_name("note_plugin/tasks.py").is_err());
        }
    }

    #[test]
    fn what_was_generated_or_compiled_cannot_be_linked() {
        let directory = camino_tempfile::tempdir().unwrap();
        let tree = tree(directory.path(), &["note_plugin/tasks.py"]);
        let modules = ["note_plugin/tasks.py", "note_plugin/fast.cpython-311-x86_64-linux-gnu.so"];
        let wheel = wheel(directory.path(), &modules);
        let before = fs_err::read(&wheel).unwrap();
        assert!(!link(&wheel, &tree, "note-plugin").unwrap());
        assert_eq!(fs_err::read(&wheel).unwrap(), before);
    }
}

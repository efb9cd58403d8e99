//! From a plugin's source tree to its wagon.

use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use waggoner_python::{Interpreter, PackError, PackRequest, PackSource, pack};
use waggoner_wagon::{Budget, OsProperties, Wagon};

use crate::support::python;

fn request<'a>(
    source: &'a camino::Utf8Path,
    cache: &'a camino::Utf8Path,
    python: &'a Interpreter,
) -> PackRequest<'a> {
    PackRequest {
        source: PackSource::Directory(source),
        python,
        cache,
        os: OsProperties::default(),
        with: &[],
    }
}

#[tokio::test]
async fn a_source_tree_becomes_a_wagon_once() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let (source, cache) = (directory.path().join("web"), directory.path().join("cache"));
    fs::create_dir_all(source.join("web_plugin")).unwrap();
    fs::write(source.join("web_plugin/__init__.py"), "").unwrap();
    let error = pack(&request(&source, &cache, &python)).await.unwrap_err();
    assert!(matches!(error, PackError::NoProject { .. }), "{error}");
    // A build backend of our own: no package index is needed.
    fs::write(
        source.join("pyproject.toml"),
        "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
    )
    .unwrap();
    fs::write(source.join("backend.py"), BACKEND).unwrap();
    let wagon = pack(&request(&source, &cache, &python)).await.unwrap();
    let read = Wagon::open(&wagon, &Budget::WAGON).unwrap();
    assert_eq!(read.metadata.package_name, "web-plugin");
    assert_eq!(read.metadata.supported_python_versions, std::slice::from_ref(&python.tag));
    assert!(!source.join("built").exists(), "the source stays as it was");
    let again = pack(&request(&source, &cache, &python)).await.unwrap();
    assert_eq!(again, wagon);
    fs::write(source.join("web_plugin/__init__.py"), "changed").unwrap();
    assert_ne!(pack(&request(&source, &cache, &python)).await.unwrap(), wagon);
    assert_eq!(cache.read_dir_utf8().unwrap().count(), 2);
}

#[tokio::test]
async fn a_tree_that_does_not_build_is_refused_in_pips_words() {
    let directory = Utf8TempDir::new().unwrap();
    let python = python().await;
    let (source, cache) = (directory.path().join("web"), directory.path().join("cache"));
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("pyproject.toml"), "[build-system\n").unwrap();
    let error = pack(&request(&source, &cache, &python)).await.unwrap_err();
    let words = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().starts_with("failed to make the wheels of the plugin in `"));
    assert!(words.contains("TOMLDecodeError: Expected ']'"), "{words}");
    assert_eq!(cache.read_dir_utf8().unwrap().count(), 0);
}

/// The smallest build backend (PEP 517).
const BACKEND: &str = r"
import os, zipfile

def build_wheel(directory, config_settings=None, metadata_directory=None):
    open('built', 'w').close()
    name = 'web_plugin-1.0-py3-none-any.whl'
    info = 'web_plugin-1.0.dist-info/'
    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:
        wheel.writestr('web_plugin/__init__.py', open('web_plugin/__init__.py').read())
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\nName: web-plugin\nVersion: 1.0\n')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(info + 'RECORD', '')
    return name
";

//! Wheels and wagons made on the spot, and the environment that operations run in.

use std::{fs::File, io::Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use waggoner_python::{
    Environment, EnvironmentSpec, Environments, Form, Interpreter, Lease, PackRequest, PackSource,
    WagonFile, find_interpreters, interpreters, pack,
};
use waggoner_types::Digest;
use waggoner_wagon::{Format, OsProperties, Recipe, write};

use crate::{
    beside::WAITING,
    naughty::{BODY, IMPORTS, KEEPERS},
};
use zip::{ZipWriter, write::SimpleFileOptions};

const PLUGIN: &str = include_str!("plugin/web_plugin/__init__.py");

const NAUGHTY: &str = include_str!("plugin/naughty.py");

/// What stays between runs.
fn cache() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_TARGET_TMPDIR")).join("waggoner-python")
}

/// An interpreter that the oldest and the newest cloudify-common run on, else the first one.
pub(crate) async fn python() -> Interpreter {
    let path = std::env::var("PATH").unwrap();
    for directory in
        path.split(':').filter(|place| Utf8Path::new(place).join("python3.11").exists())
    {
        let found = find_interpreters(&[Utf8PathBuf::from(directory)]).await;
        if let Some(python) = found.into_iter().find(|python| python.tag == "py311") {
            return python;
        }
    }
    interpreters().await.first().expect("this host has a Python").clone()
}

/// Puts a wheel that pip takes into a directory.
pub(crate) fn wheel(
    directory: &Utf8Path,
    name: &str,
    version: &str,
    requires: &[&str],
    files: &[(&str, &str)],
) {
    let stem = format!("{}-{version}", name.replace('-', "_"));
    let path = directory.join(format!("{stem}-py3-none-any.whl"));
    let info = format!("{stem}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for required in requires {
        metadata.extend(["Requires-Dist: ", required, "\n"]);
    }
    let tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let (metadata_path, tags_path) = (format!("{info}/METADATA"), format!("{info}/WHEEL"));
    let mut all = files.to_vec();
    all.push((&metadata_path, &metadata));
    all.push((&tags_path, tags));
    let record_path = format!("{info}/RECORD");
    let listed = all.iter().map(|(file, _)| *file).chain([record_path.as_str()]);
    let record: String = listed.flat_map(|file| [file, ",,\n"]).collect();
    all.push((&record_path, &record));
    fs::create_dir_all(directory).unwrap();
    let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
    for (file, content) in all {
        let options = SimpleFileOptions::default().unix_permissions(0o755);
        zip.start_file(file, options).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// Makes a wagon of the wheels in a directory.
pub(crate) fn wagon(wheels: &Utf8Path, name: &str, version: &str, tag: &str) -> WagonFile {
    let recipe = Recipe {
        package_name: name.to_owned(),
        package_version: version.to_owned(),
        package_source: ".".to_owned(),
        python_tags: vec![tag.to_owned()],
        os: OsProperties::default(),
    };
    let out = wheels.with_extension("wagon");
    wagon_file(write(&recipe, wheels, &out, Format::TarGz).unwrap().path)
}

pub(crate) fn wagon_file(path: Utf8PathBuf) -> WagonFile {
    let digest = Digest(Sha256::digest(fs::read(&path).unwrap()).into());
    WagonFile { path, digest }
}

pub(crate) fn spec(name: &str, version: &str, wagon: WagonFile) -> EnvironmentSpec {
    EnvironmentSpec {
        package_name: name.to_owned(),
        package_version: version.to_owned(),
        wagon,
        form: Form::Wagon,
        extra_wagons: Vec::new(),
        python_tags: Vec::new(),
        install_arguments: String::new(),
    }
}

/// The environment of the test's plugin beside the real cloudify-common; `None` where that one
/// cannot be had.
///
/// `WAGGONER_TEST_ENVIRONMENT` names another one, with the plugin and some older version in it.
#[expect(clippy::print_stderr, reason = "says why a test proves nothing")]
pub(crate) async fn plugin_environment() -> Option<(Environments, Environment)> {
    let root = cache().join("root");
    if let Ok(prefix) = std::env::var("WAGGONER_TEST_ENVIRONMENT") {
        let prefix = Utf8PathBuf::from(prefix);
        let environment = Environment {
            name: "given".to_owned(),
            python: prefix.join("bin/python"),
            prefix,
            tag: String::new(),
            common_version: String::new(),
            has_sdk: false,
            reads_blueprints: false,
            reused: true,
            lease: Lease::default(),
        };
        return Some((Environments::new(root, None), environment));
    }
    let python = python().await;
    let common = match common_wagon(&python).await {
        Ok(common) => common,
        Err(reason) => {
            eprintln!("skipped: cloudify-common cannot be had: {reason}");
            return None;
        }
    };
    let scratch = camino_tempfile::Utf8TempDir::new().unwrap();
    let wheels = scratch.path().join("wheels");
    let requires = ["cloudify-common"];
    let imports = IMPORTS.map(|(module, text, _)| (format!("{module}.py"), [text, BODY].concat()));
    let imports = imports.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    let mut files = vec![("web_plugin/__init__.py", PLUGIN), ("naughty.py", NAUGHTY)];
    files.extend([("keepers.py", KEEPERS), ("waiting.py", WAITING)]);
    files.extend(imports);
    wheel(&wheels, "web-plugin", "1.0", &requires, &files);
    let own = wagon(&wheels, "web-plugin", "1.0", &python.tag);
    let environments = Environments::with_tools(root, uv(), vec![python]);
    let spec = EnvironmentSpec { extra_wagons: vec![common], ..spec("web-plugin", "1.0", own) };
    let environment = environments.ensure(&spec).await.unwrap();
    Some((environments, environment))
}

/// A wagon of cloudify-common itself, fetched once.
async fn common_wagon(python: &Interpreter) -> Result<WagonFile, String> {
    let cache = cache().join("packs");
    fs::create_dir_all(&cache).unwrap();
    // Each test is a process, and one download is enough.
    let lock = File::options().create(true).append(true).open(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    let request = PackRequest {
        source: PackSource::Requirement("cloudify-common==7.0.5"),
        python,
        cache: &cache,
        os: OsProperties::default(),
        with: &[],
    };
    pack(&request).await.map(wagon_file).map_err(|error| {
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    })
}

/// Says whether a process runs.
pub(crate) fn alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The uv of this host, if it has one.
pub(crate) fn uv() -> Option<Utf8PathBuf> {
    let path = std::env::var("PATH").unwrap();
    let given = std::env::var("WAGGONER_UV").ok().map(Utf8PathBuf::from);
    given
        .into_iter()
        .chain(path.split(':').map(|place| Utf8Path::new(place).join("uv")))
        .find(|file| file.is_file())
}

/// What environments can be built with here: pip always, and uv if there is one.
pub(crate) fn installers() -> Vec<Option<Utf8PathBuf>> {
    std::iter::once(None).chain(uv().map(Some)).collect()
}

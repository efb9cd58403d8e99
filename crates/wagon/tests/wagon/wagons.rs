//! Wagons that are fine: read, unpacked, written, and shown to the `wagon` tool.

use std::process::Command;

use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use serde_json::Value;
use waggoner_wagon::{
    Budget, Format, OsProperties, PluginManifest, Recipe, Wagon, WriteError, write,
};

use crate::support::{SMALL, WHEEL, description, good, on_disk, wheel, zip};

const COMPILED: &str = "six-1.16.0-cp311-cp311-manylinux2014_x86_64.whl";

fn recipe() -> Recipe {
    Recipe {
        package_name: "web-plugin".to_owned(),
        package_version: "1.2.0".to_owned(),
        package_source: "examples/web".to_owned(),
        python_tags: vec!["py311".to_owned()],
        os: OsProperties { distribution: Some("debian".to_owned()), ..OsProperties::default() },
    }
}

#[test]
fn a_wagon_is_read_and_its_wheels_are_unpacked() {
    let name = format!("web-plugin/wheels/{WHEEL}");
    let description = description().to_string();
    let zipped = zip(&[("web-plugin/package.json", description.as_bytes()), (&name, &wheel())]);
    for (bytes, format) in [(good().gz(), Format::TarGz), (zipped, Format::Zip)] {
        let (directory, path) = on_disk("x.wgn", &bytes);
        let wagon = Wagon::open(&path, &SMALL).unwrap();
        assert_eq!(wagon.format, format);
        assert_eq!(wagon.metadata.package_name, "web-plugin");
        assert_eq!(wagon.wheel("Web_Plugin").unwrap().size, wheel().len() as u64);
        let into = directory.path().join("wheels");
        wagon.extract_wheels(&into).unwrap();
        assert_eq!(fs::read(into.join(WHEEL)).unwrap(), wheel());
    }
}

#[test]
fn a_wagon_that_changes_after_it_was_read_is_not_unpacked() {
    let (directory, path) = on_disk("x.wgn", &good().gz());
    let wagon = Wagon::open(&path, &SMALL).unwrap();
    let other = zip(&[("other", b"")]);
    let changed = crate::support::Tar::new().file(&format!("w/wheels/{WHEEL}"), &other).gz();
    fs::write(&path, changed).unwrap();
    let into = directory.path().join("wheels");
    let error = wagon.extract_wheels(&into).unwrap_err().to_string();
    assert!(error.contains("changed since the wagon was read"), "{error}");
    assert_eq!(into.read_dir_utf8().unwrap().count(), 0);
}

#[test]
fn a_wagon_is_written_of_wheels_the_same_each_time() {
    let directory = Utf8TempDir::new().unwrap();
    let wheels = directory.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    fs::write(wheels.join(WHEEL), wheel()).unwrap();
    for (format, out) in [(Format::TarGz, "tar"), (Format::Zip, "zip")] {
        let out = directory.path().join(out);
        let packed = write(&recipe(), &wheels, &out, format).unwrap();
        assert_eq!(packed.path, out.join("web_plugin-1.2.0-py311-none-any.wgn"));
        let first = fs::read(&packed.path).unwrap();
        write(&recipe(), &wheels, &out, format).unwrap();
        assert_eq!(fs::read(&packed.path).unwrap(), first);
        assert_eq!(Wagon::open(&packed.path, &Budget::WAGON).unwrap().format, format);
        assert_eq!(out.read_dir_utf8().unwrap().count(), 1);
    }
    fs::write(wheels.join(COMPILED), wheel()).unwrap();
    let packed = write(&recipe(), &wheels, directory.path(), Format::TarGz).unwrap();
    assert_eq!(packed.metadata.supported_platform, "linux_x86_64");
    let distribution = packed.metadata.build_server_os_properties.distribution;
    assert_eq!(distribution.as_deref(), Some("debian"));
}

#[test]
fn a_directory_that_is_not_of_wheels_makes_no_wagon() {
    let directory = Utf8TempDir::new().unwrap();
    let wheels = directory.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    fs::write(wheels.join("web_plugin-1.2.0.tar.gz"), "").unwrap();
    let error = write(&recipe(), &wheels, directory.path(), Format::TarGz).unwrap_err();
    assert!(matches!(error, WriteError::Wheels { .. }));
    assert!(error.to_string().contains("`web_plugin-1.2.0.tar.gz` is no wheel"), "{error}");
    fs::remove_file(wheels.join("web_plugin-1.2.0.tar.gz")).unwrap();
    let error = write(&recipe(), &wheels, directory.path(), Format::TarGz).unwrap_err();
    assert!(error.to_string().ends_with("none is of the package `web-plugin`"), "{error}");
}

#[test]
fn a_plugin_file_has_to_be_of_its_wagon() {
    let (_directory, path) = on_disk("x.wgn", &good().gz());
    let wagon = Wagon::open(&path, &SMALL).unwrap().metadata;
    for (package, refusal) in [
        ("package_name: web-plugin, package_version: 1.2.0", None),
        ("package_name: web-plugin", None),
        (
            "package_name: web-plugin, package_version: 1.3.0",
            Some("its plugin `web` has the package_version `1.3.0`, but the wagon has `1.2.0`"),
        ),
        (
            "package_name: aws",
            Some(
                "it defines no plugin with the package_name `web-plugin`, which is the wagon's, but `aws`",
            ),
        ),
    ] {
        let text = format!("plugins: {{web: {{executor: host_agent, {package}}}}}");
        let manifest = PluginManifest::read("plugin.yaml", &text).unwrap();
        let given = manifest.check("plugin.yaml", &wagon).map_err(|error| error.flaw);
        assert_eq!(given.err().as_deref(), refusal);
    }
}

/// Needs a Python that has the `wagon` package, named by `WAGGONER_ORACLE_PYTHON`.
#[test]
#[expect(clippy::print_stderr, reason = "says why it proves nothing")]
fn the_wagon_tool_shows_what_was_written() {
    let Some(python) = std::env::var_os("WAGGONER_ORACLE_PYTHON") else {
        eprintln!("skipped: WAGGONER_ORACLE_PYTHON names no Python with the `wagon` package");
        return;
    };
    let directory = Utf8TempDir::new().unwrap();
    let wheels = directory.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    fs::write(wheels.join(WHEEL), wheel()).unwrap();
    for (format, out) in [(Format::TarGz, "tar"), (Format::Zip, "zip")] {
        let packed = write(&recipe(), &wheels, &directory.path().join(out), format).unwrap();
        let shown = Command::new(&python)
            .args(["-c", "import json, sys, wagon; json.dump(wagon.show(sys.argv[1]), open(sys.argv[2], 'w'))"])
            .args([&packed.path, &directory.path().join("shown.json")])
            .output()
            .unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let shown = fs::read(directory.path().join("shown.json")).unwrap();
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown, serde_json::to_value(&packed.metadata).unwrap());
    }
}

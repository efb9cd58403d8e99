//! What each crate's manifest has to say.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};
use fs_err as fs;

fn workspace() -> Vec<Package> {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo knows the workspace");
    metadata.packages
}

fn floor(package: &Package) -> u64 {
    package.metadata["waggoner"]["floor"]
        .as_u64()
        .unwrap_or_else(|| panic!("{}: [package.metadata.waggoner] names no floor", package.name))
}

#[test]
fn dependencies_point_down() {
    let packages = workspace();
    let floors: BTreeMap<_, _> = packages.iter().map(|p| (p.name.to_string(), floor(p))).collect();
    let mut wrong = vec![];
    for package in &packages {
        let normal = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
        for dependency in normal {
            let (here, there) = (floor(package), floors.get(&dependency.name));
            if there.is_some_and(|there| *there >= here) {
                wrong.push(format!("{} ({here}) -> {}", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies that do not point down: {wrong:#?}");
}

#[test]
fn every_crate_keeps_the_house_lints() {
    for package in workspace() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", package.manifest_path);
    }
}

#[test]
fn versions_live_in_one_table() {
    let mut own = vec![];
    for package in workspace() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        for line in manifest.lines() {
            let pinned =
                line.contains("version = \"") || line.contains(" = \"") && line.contains('.');
            if pinned && !line.starts_with("description") && !line.contains("path = ") {
                own.push(format!("{}: {line}", package.manifest_path));
            }
        }
    }
    assert!(own.is_empty(), "versions outside the root's table: {own:#?}");
}

#[test]
fn unsafe_lives_in_one_crate() {
    for package in workspace() {
        let root = package.manifest_path.parent().unwrap().join("src");
        for (path, text) in super::sources::files_in(&root, "rs") {
            let expects = text.contains(concat!("expect(", "unsafe_code"));
            assert!(!expects || package.name.as_str() == "waggoner-process", "{path}");
        }
    }
}

/// What the crates that do no IO may depend on: none of these opens a file or a socket, or reads a
/// clock.
const PURE: [&str; 8] = [
    "indexmap",
    "pep440_rs",
    "regex",
    "serde",
    "serde_json",
    "thiserror",
    "waggoner-blueprint",
    "waggoner-yaml",
];

#[test]
fn the_language_of_blueprints_does_no_io_and_reads_no_clock() {
    let ways =
        ["std::fs", "std::net", "std::env", "std::process", "std::time", "SystemTime", "Instant::"];
    let mut wrong = vec![];
    for package in workspace() {
        if !["waggoner-blueprint", "waggoner-yaml"].contains(&package.name.as_str()) {
            continue;
        }
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            if !PURE.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
        let root = package.manifest_path.parent().unwrap().join("src");
        for (path, text) in super::sources::files_in(&root, "rs") {
            let way = ways.iter().find(|way| text.contains(**way));
            wrong.extend(way.map(|way| format!("{path} uses {way}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! Blueprints' directories into archives and back.

use std::{
    fs::Permissions,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use camino::Utf8Path;
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use waggoner_wagon::{Budget, pack_tree, unpack_tree};

use crate::support::{SMALL, Tar, on_disk, zip};

fn files(directory: &Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in directory.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.push(format!("{path}/"));
            found.extend(files(path));
        } else {
            let mode = fs::symlink_metadata(path.as_std_path()).unwrap().permissions().mode();
            found.push(format!("{path} {mode:o}"));
        }
    }
    found.sort();
    found
}

#[test]
fn a_directory_comes_back_as_it_was() {
    let source = Utf8TempDir::new().unwrap();
    let root = source.path();
    fs::create_dir_all(root.join("scripts/empty")).unwrap();
    fs::write(root.join("blueprint.yaml"), "tosca_definitions_version: x\n").unwrap();
    fs::write(root.join("scripts/start.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("scripts/start.sh"), Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join(".hidden"), "").unwrap();
    fs::write(root.join("x".repeat(200)), "long").unwrap();
    symlink("scripts/start.sh", root.join("run")).unwrap();
    symlink("../blueprint.yaml", root.join("scripts/up")).unwrap();

    let mut packed = Vec::new();
    pack_tree(root, "web", &mut packed).unwrap();
    let mut again = Vec::new();
    pack_tree(root, "web", &mut again).unwrap();
    assert_eq!(packed, again, "the same tree makes the same bytes");

    let (directory, path) = on_disk("web.tar.gz", &packed);
    let into = directory.path().join("tree");
    let unpacked = unpack_tree(&path, &into, &Budget::BLUEPRINT).unwrap();
    assert_eq!((unpacked.top.as_deref(), unpacked.files), (Some("web"), 4));
    let relative = |root: &Utf8Path| {
        files(root).iter().map(|file| file.replace(root.as_str(), "")).collect::<Vec<_>>()
    };
    assert_eq!(relative(&into.join("web")), relative(root));
    assert_eq!(fs::read_link(into.join("web/run")).unwrap().to_str(), Some("scripts/start.sh"));
    assert_eq!(fs::read_to_string(into.join("web/scripts/up")).unwrap().len(), 29);
}

#[test]
fn what_leads_out_of_a_directory_is_not_packed() {
    for target in ["/etc/hostname", "../outside", "nowhere"] {
        let source = Utf8TempDir::new().unwrap();
        fs::write(source.path().join("outside"), "").unwrap();
        let root = source.path().join("tree");
        fs::create_dir(&root).unwrap();
        symlink(target, root.join("link")).unwrap();
        let error = pack_tree(&root, "web", &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("`web/link` is a link"), "{error}");
    }
}

#[test]
fn a_hostile_tree_leaves_nothing_behind() {
    let outside = |name: &str| format!("its entry `{name}` is a link out of the archive");
    for (tar, message) in [
        (Tar::new().link("a/l", "/etc"), outside("a/l")),
        (Tar::new().directory("a/").link("a/l", "../.."), outside("a/l")),
        // Harmless by itself each, but not one over the other.
        (Tar::new().directory("a/b/").link("a/b/up", "..").link("l", "a/b/up/../.."), outside("l")),
        (
            Tar::new().link("a/l", "missing"),
            "its entry `a/l` is a link to nothing in the archive".to_owned(),
        ),
        (
            Tar::new().link("a", "/tmp").file("a/x", b""),
            "its entry `a/x` lies below an entry that is no directory".to_owned(),
        ),
        (
            Tar::new().file("a/x", b"").file("a/../../x", b""),
            "its entry `a/../../x` leads out of the archive with `..`".to_owned(),
        ),
    ] {
        let (directory, path) = on_disk("x.tar.gz", &tar.gz());
        let into = directory.path().join("tree");
        let error = unpack_tree(&path, &into, &SMALL).unwrap_err().to_string();
        assert_eq!(error, format!("the archive `{path}` is refused: {message}"));
        assert!(!into.exists());
    }
}

#[test]
fn a_zip_and_a_plain_tar_are_unpacked_as_well() {
    for bytes in [
        zip(&[("web/", b""), ("web/blueprint.yaml", b"a: 1")]),
        Tar::new().directory("./web/").file("./web/blueprint.yaml", b"a: 1").end(),
    ] {
        let (directory, path) = on_disk("web", &bytes);
        let into = directory.path().join("tree");
        let unpacked = unpack_tree(&path, &into, &SMALL).unwrap();
        assert_eq!(unpacked.top.as_deref(), Some("web"));
        assert_eq!(fs::read_to_string(into.join("web/blueprint.yaml")).unwrap(), "a: 1");
    }
    let (directory, path) = on_disk("flat", &zip(&[("blueprint.yaml", b"a: 1")]));
    let unpacked = unpack_tree(&path, &directory.path().join("tree"), &SMALL).unwrap();
    assert_eq!(unpacked.top, None);
}

#[test]
fn a_directory_that_is_there_is_not_touched() {
    let (directory, path) = on_disk("web", &zip(&[("blueprint.yaml", b"a: 1")]));
    let into = directory.path().join("tree");
    fs::create_dir(&into).unwrap();
    fs::write(into.join("mine"), "").unwrap();
    assert!(unpack_tree(&path, &into, &SMALL).is_err());
    assert!(into.join("mine").exists());
}

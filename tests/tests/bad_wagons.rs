//! Wagons that are broken, hostile or for another kind of host.

use fs_err as fs;
use waggoner_testkit::Site;

use crate::fixtures::{
    assert_clear, header, holdings, site_with_agent, tar_gz, tar_gz_with, tiny_blueprint,
    tiny_wagon, tiny_wheel, tiny_yaml,
};

/// What `wag` ends with when the manager says no.
const REFUSED: i32 = 3;

/// A wagon that is not taken, and the words that have to be in the reason.
struct Bad {
    what: &'static str,
    bytes: Vec<u8>,
    words: &'static [&'static str],
}

fn bad_wagons(good: &[u8]) -> Vec<Bad> {
    let bad = |what, bytes, words| Bad { what, bytes, words };
    let with = |name: &str, bytes: &[u8]| tar_gz(&[(name.to_owned(), bytes.to_vec())]);
    let mut flipped = good.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle..middle + 16].iter_mut().for_each(|byte| *byte ^= 0xff);
    let description = br#"{"package_name": "tiny-plugin", "package_version": "1.0"}"#;
    vec![
        bad("empty", Vec::new(), &["empty"]),
        bad("not an archive", b"hello\n".repeat(200), &["neither a tar.gz nor a zip"]),
        bad("corrupt", flipped, &[]),
        bad("truncated", good[..good.len() * 2 / 3].to_vec(), &[]),
        bad("no package.json", with("tiny-plugin/notes", b"none"), &["no package.json"]),
        bad(
            "half a package.json",
            with("tiny-plugin/package.json", description),
            &["package.json", "lacks `supported_platform`"],
        ),
        bad("a package.json of noise", with("tiny-plugin/package.json", b"{"), &["is not JSON"]),
        bad("a path that climbs", with("../../escaped", b"out"), &["escaped"]),
        bad("an absolute path", with("/tmp/waggoner-escaped", b"out"), &["waggoner-escaped"]),
        bad("a symbolic link", link(tar::EntryType::Symlink), &["link"]),
        bad("a hard link", link(tar::EntryType::Link), &["link"]),
        bad("a bomb", bomb(), &["unpacks to more than"]),
        bad("a wheel that is none", no_wheel(), &["is not a wheel"]),
    ]
}

fn link(kind: tar::EntryType) -> Vec<u8> {
    tar_gz_with(&[], |tar| {
        let mut header = header("tiny-plugin/wheels/passwords", kind);
        header.set_link_name("/etc/passwd").unwrap();
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    })
}

/// 256 MiB of zeros in one.
fn bomb() -> Vec<u8> {
    tar_gz_with(&[], |tar| {
        let size = 256 << 20;
        let mut header = header("tiny-plugin/wheels/bomb", tar::EntryType::Regular);
        header.set_size(size);
        header.set_cksum();
        let zeros = std::io::Read::take(std::io::repeat(0), size);
        tar.append(&header, zeros).unwrap();
    })
}

fn no_wheel() -> Vec<u8> {
    tar_gz(&[("tiny-plugin/wheels/tiny_plugin-1.0-py3-none-any.whl".to_owned(), b"no".to_vec())])
}

#[test]
fn a_bad_wagon_is_refused_in_one_sentence_and_changes_nothing() {
    let site = Site::start();
    let wag = site.wag();
    let folder = site.folder().join("wagons");
    let (good, yaml) = tiny_wagon(&folder, "any");
    let before = holdings(&wag);
    let stored = || fs::read_dir(site.data_dir()).unwrap().count();
    let files = stored();
    for Bad { what, bytes, words } in bad_wagons(&fs::read(&good).unwrap()) {
        let path = folder.join("bad.wgn");
        fs::write(&path, bytes).unwrap();
        for verb in ["validate", "upload"] {
            let args = ["plugins", verb, path.as_str(), "--yaml", yaml.as_str()];
            let message = wag.refused(REFUSED, &args);
            assert_clear(&message, &[&["bad.wgn"], words].concat());
        }
        assert_eq!(holdings(&wag), before, "{what}");
        assert_eq!(stored(), files, "{what} left something in the data directory");
        assert!(!fs::exists("/tmp/waggoner-escaped").unwrap(), "{what}");
        assert!(!site.folder().join("escaped").exists(), "{what}");
    }
    wag.ok(&["status"]);
    wag.ok(&["plugins", "upload", good.as_str(), "--yaml", yaml.as_str()]);
    assert_eq!(wag.items(&["plugins", "list"]).len(), 1);
}

#[test]
fn a_plugin_yaml_that_is_wrong_is_refused_with_line_and_column() {
    let site = Site::start();
    let wag = site.wag();
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    let sound = fs::read_to_string(&yaml).unwrap();
    let cases: [(&str, String, &[&str]); 4] = [
        ("no YAML", "plugins: {tiny: [1".to_owned(), &["plugin.yaml", "line"]),
        ("another package", sound.replace("tiny-plugin", "huge-plugin"), &["huge-plugin"]),
        ("another version", sound.replace("'1.0'", "'2.0'"), &["2.0", "1.0"]),
        ("no plugins", "node_types: {}\n".to_owned(), &["plugin.yaml"]),
    ];
    for (what, text, words) in cases {
        fs::write(&yaml, text).unwrap();
        let args = ["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()];
        let message = wag.refused(REFUSED, &args);
        assert_clear(&message, words);
        assert!(wag.items(&["plugins", "list"]).is_empty(), "{what}");
    }
}

#[test]
fn a_plugin_is_stored_once() {
    let site = Site::start();
    let wag = site.wag();
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    let upload = ["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()];
    wag.ok(&upload);
    let before = holdings(&wag);
    assert_clear(&wag.refused(REFUSED, &upload), &["tiny-plugin"]);
    assert_eq!(holdings(&wag), before);
}

#[test]
fn a_wagon_for_another_platform_is_kept_for_its_hosts_and_never_run_here() {
    let site = site_with_agent();
    let wag = site.wag();
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "win_amd64");
    wag.ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    let blueprint = tiny_blueprint(&site, "foreign");
    site.deploy("foreign", &blueprint, &[]);
    let install = ["executions", "start", "install", "--deployment-id", "foreign"];
    let message = wag.refused(1, &install);
    assert_clear(&message, &["tiny-plugin", "win_amd64"]);
    wag.ok(&["status"]);
}

#[test]
fn a_wheel_and_a_yaml_beside_each_other_are_enough() {
    // What the other stories break is whole to begin with.
    let folder = camino_tempfile::tempdir().unwrap();
    let (wagon, _) = tiny_wagon(folder.path(), "any");
    let read = waggoner_wagon::Wagon::open(&wagon, &waggoner_wagon::Budget::WAGON).unwrap();
    assert_eq!(read.wheels.len(), 1);
    assert!(tiny_wheel().starts_with(b"PK"));
    assert!(tiny_yaml(folder.path()).is_file());
}

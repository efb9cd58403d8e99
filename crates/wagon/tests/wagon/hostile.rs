//! What is no wagon, or would do harm, is refused in a sentence.

use proptest::prelude::*;
use serde_json::{Value, json};
use tar::EntryType;
use waggoner_wagon::{Wagon, unpack_tree};

use crate::support::{
    SMALL, Tar, WHEEL, description, good, gz, on_disk, refusal, wheel, with_description, zip,
};

#[test]
fn a_tar_that_is_no_wagon_is_refused_with_the_entry_at_fault() {
    let inside = "web-plugin/wheels/";
    for (tar, message) in [
        (Tar::new(), "it holds no entries"),
        (
            Tar::new().file("a/readme", b""),
            "it has no package.json in its top directory, so it is not a wagon",
        ),
        (
            good().file("../outside", b""),
            "its entry `../outside` leads out of the archive with `..`",
        ),
        (
            good().file("web-plugin/wheels/../../x", b""),
            "its entry `web-plugin/wheels/../../x` leads out of the archive with `..`",
        ),
        (good().file("/etc/passwd", b""), "its entry `/etc/passwd` has an absolute path"),
        (
            good().file("web-plugin\\x", b""),
            "its entry `web-plugin\\\\x` has a control character or a backslash in its name",
        ),
        (
            good().file("web-plugin/\u{1b}[2J", b""),
            "its entry `web-plugin/\\u{1b}[2J` has a control character or a backslash in its name",
        ),
        (
            good().link("web-plugin/l", "/etc"),
            "its entry `web-plugin/l` is a link, which a wagon has none of",
        ),
        (
            good().entry(EntryType::Link, "web-plugin/l", "web-plugin/package.json", b""),
            "its entry `web-plugin/l` is a hard link",
        ),
        (
            good().entry(EntryType::Char, "web-plugin/null", "", b""),
            "its entry `web-plugin/null` is a device",
        ),
        (
            good().entry(EntryType::Fifo, "web-plugin/pipe", "", b""),
            "its entry `web-plugin/pipe` is a named pipe",
        ),
        (
            good().entry(EntryType::GNUSparse, "web-plugin/sparse", "", b""),
            "its entry `web-plugin/sparse` is no file, directory or link",
        ),
        (
            good().file("web-plugin/package.json", b"{}"),
            "its entry `web-plugin/package.json` is there twice",
        ),
        (
            good().file("web-plugin/package.json/x", b""),
            "its entry `web-plugin/package.json/x` lies below an entry that is no directory",
        ),
        (good().file("web-plugin/wheels", b""), "its entry `web-plugin/wheels` is there twice"),
        (
            good().file("other/x", b""),
            "its entry `other/x` lies outside of `web-plugin/`, the wagon's directory",
        ),
        (
            good().file("x", b""),
            "its entry `x` lies outside of the one directory that a wagon consists of",
        ),
        (
            good().file("web-plugin/wheels/six-1.16.0-py3-none-any.whl", &wheel()),
            "its entry `wheels/six-1.16.0-py3-none-any.whl` is not among the wheels that package.json lists",
        ),
        (
            good().file("web-plugin/large", &vec![7; 300 << 10]),
            "its entry `web-plugin/large` has more than 262144 bytes",
        ),
        (
            good().promise("web-plugin/large", 1 << 40),
            "its entry `web-plugin/large` has more than 262144 bytes",
        ),
        (good().promise("web-plugin/short", 4096), "its entry `web-plugin/short` is cut off"),
        (
            good().entry(EntryType::XHeader, "pax", "", b"13 size=4096\n"),
            "its entry `(extension header)` gives an entry another size",
        ),
        (
            good().entry(EntryType::GNULongName, "long", "", &vec![b'a'; 100 << 10]),
            "its entry `(extension header)` has more than 65536 bytes",
        ),
        (
            good().file(&format!("{inside}a.whl"), b"no zip"),
            "its entry `web-plugin/wheels/a.whl` is not a wheel: it is not a zip",
        ),
    ] {
        assert_eq!(refusal(&tar.gz()), message);
    }
}

#[test]
fn a_description_that_is_incomplete_or_mistyped_is_refused() {
    let with = |key: &str, value: Value| {
        let mut description = description();
        description[key] = value;
        description
    };
    for (description, message) in [
        (json!([]), "holds no JSON object"),
        (json!({}), "lacks `package_name`"),
        (with("package_name", json!(null)), "lacks `package_name`"),
        (
            with("package_name", json!("../x")),
            "has the package_name `../x`, which is no name of a package",
        ),
        (
            with("package_version", json!("new")),
            "has the package_version `new`, which does not follow PEP 440",
        ),
        (
            with("package_version", json!(1.2)),
            "has a number as `package_version`, which has to be a text",
        ),
        (with("supported_python_versions", json!([])), "names no supported_python_versions"),
        (with("wheels", json!("six")), "has a text as `wheels`, which has to be a list of texts"),
        (with("wheels", json!([1])), "has a `wheels` that is not a list of texts"),
        (with("wheels", json!([])), "lists no wheels"),
        (
            with("wheels", json!(["six.whl"])),
            "lists `six.whl`, which is no wheel's name: it is not of the form `name-version-python-abi-platform.whl`",
        ),
        (with("wheels", json!([WHEEL, WHEEL])), &format!("lists the wheel `{WHEEL}` twice")),
        (
            with("wheels", json!([WHEEL, "six-1.16.0-py3-none-any.whl"])),
            "lists the wheel `six-1.16.0-py3-none-any.whl`, which the wagon does not hold",
        ),
        (with("package_name", json!("other")), "lists no wheel of the package `other` itself"),
        (
            with("supported_platform", json!("linux x")),
            "has the supported_platform `linux x`, which is no platform tag",
        ),
        (
            with("build_server_os_properties", json!("debian")),
            "has a text as `build_server_os_properties`, which has to be an object",
        ),
    ] {
        let message = format!("its package.json {message}");
        assert_eq!(refusal(&with_description(&description).gz()), message);
    }
    let broken = Tar::new().file("web-plugin/package.json", b"{\"package_name\": ").gz();
    assert!(refusal(&broken).starts_with("its package.json is not JSON: "));
    let huge = format!("{{\"x\": \"{}\"}}", "y".repeat(8 << 10));
    assert_eq!(
        refusal(&Tar::new().file("web-plugin/package.json", huge.as_bytes()).gz()),
        "its entry `web-plugin/package.json` has more than 4096 bytes"
    );
    let deep = "[".repeat(4000);
    let deep = Tar::new().file("web-plugin/package.json", deep.as_bytes()).gz();
    assert!(refusal(&deep).starts_with("its package.json is not JSON: "));
}

#[test]
fn a_file_that_is_no_archive_or_a_damaged_one_is_refused() {
    assert_eq!(refusal(b""), "it is empty");
    assert_eq!(refusal(b"hello"), "it is neither a tar.gz nor a zip");
    assert_eq!(
        refusal(b"BZh91AY"),
        "it is compressed with bzip2, which is not read: pack it as tar.gz or zip"
    );
    assert_eq!(refusal(&gz(b"")), "it holds no entries");
    assert!(refusal(&gz(b"hello")).starts_with("it is"));
    assert!(refusal(b"PK\x03\x04 and no more").starts_with("it is a damaged zip: "));
    assert!(refusal(&vec![0; 2 << 20]).starts_with("it has 2097152 bytes, at most 1048576"));
    let gz = good().gz();
    let mut flipped = gz.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0x40;
    assert!(refusal(&flipped).starts_with("it is damaged: "), "{}", refusal(&flipped));
    for length in [1, 5, 11, gz.len() / 2, gz.len() - 9, gz.len() - 1] {
        let message = refusal(&gz[..length]);
        assert!(
            message.ends_with("is cut off") || message == "it is neither a tar.gz nor a zip",
            "{length}: {message}"
        );
    }
}

#[test]
fn a_bomb_is_refused_while_it_is_read() {
    let zeros = vec![0; 200 << 10];
    let mut bomb = good();
    for number in 0..6 {
        bomb = bomb.file(&format!("web-plugin/zero{number}"), &zeros);
    }
    assert_eq!(
        refusal(&bomb.gz()),
        "it unpacks to more than the 524288 bytes that are taken for its size"
    );
    let mut many = good();
    for number in 0..100 {
        many = many.file(&format!("web-plugin/{number}"), b"");
    }
    assert_eq!(refusal(&many.gz()), "it holds more than 50 entries");
    let names: Vec<String> = (0..100).map(|number| format!("web-plugin/{number}")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(refusal(&zip(&entries)), "it holds more than 50 entries");
    let names: Vec<String> = (0..6).map(|number| format!("web-plugin/{number}")).collect();
    let entries: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), &zeros[..])).collect();
    assert_eq!(
        refusal(&zip(&entries)),
        "it unpacks to more than the 524288 bytes that are taken for its size"
    );
}

#[test]
fn a_zip_that_leads_out_is_refused() {
    assert_eq!(
        refusal(&zip(&[("web-plugin/../../x", b"")])),
        "its entry `web-plugin/../../x` leads out of the archive with `..`"
    );
    assert_eq!(refusal(&zip(&[("/x", b"")])), "its entry `/x` has an absolute path");
    // One name for another of the same length, in the local header and in the directory.
    let mut twice = zip(&[("web-plugin/one", b"1"), ("web-plugin/two", b"2")]);
    while let Some(at) = twice.windows(3).position(|bytes| bytes == b"two") {
        twice[at..at + 3].copy_from_slice(b"one");
    }
    let message = refusal(&twice);
    assert!(message.contains("twice"), "{message}");
}

proptest! {
    /// Whatever is done to a wagon, it is read or refused, and unpacking leaves nothing behind.
    #[test]
    fn a_mangled_archive_never_panics(
        zipped: bool,
        at: prop::sample::Index,
        bytes in prop::collection::vec(any::<u8>(), 1..40),
        cut: prop::sample::Index,
    ) {
        let description = description().to_string();
        let name = format!("web-plugin/wheels/{WHEEL}");
        let mut archive = if zipped {
            zip(&[("web-plugin/package.json", description.as_bytes()), (&name, &wheel())])
        } else {
            good().end()
        };
        let start = at.index(archive.len());
        for (place, byte) in archive[start..].iter_mut().zip(&bytes) {
            *place ^= byte;
        }
        archive.truncate(cut.index(archive.len()) + 1);
        let (directory, path) = on_disk("x.wgn", &archive);
        drop(Wagon::open(&path, &SMALL));
        let into = directory.path().join("tree");
        if unpack_tree(&path, &into, &SMALL).is_err() {
            prop_assert!(!into.exists());
        }
    }
}

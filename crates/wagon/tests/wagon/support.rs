//! Archives made entry by entry, also such as no tool makes.

use std::io::Write as _;

use camino::Utf8PathBuf;
use camino_tempfile::Utf8TempDir;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tar::{EntryType, Header};
use waggoner_wagon::{Budget, Wagon};
use zip::{ZipWriter, write::SimpleFileOptions};

pub(crate) const WHEEL: &str = "web_plugin-1.2.0-py3-none-any.whl";

/// A tar whose headers are written as they are given.
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", data)
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn entry(mut self, kind: EntryType, name: &str, link: &str, data: &[u8]) -> Self {
        let mut header = header(kind, name, link, data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header alone, whatever size it promises.
    pub(crate) fn promise(mut self, name: &str, size: u64) -> Self {
        let mut header = header(EntryType::Regular, name, "", size);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    pub(crate) fn gz(self) -> Vec<u8> {
        gz(&self.end())
    }
}

fn header(kind: EntryType, name: &str, link: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    let fields = header.as_gnu_mut().unwrap();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in entries {
        let options = SimpleFileOptions::default();
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
        } else {
            zip.start_file(*name, options).unwrap();
            zip.write_all(data).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

/// The smallest thing that passes for a wheel's content.
pub(crate) fn wheel() -> Vec<u8> {
    zip(&[("web_plugin/__init__.py", b"")])
}

pub(crate) fn description() -> Value {
    json!({
        "created_by_wagon_version": "1.0.3",
        "archive_name": "web_plugin-1.2.0-py311-none-any.wgn",
        "package_name": "web-plugin",
        "package_version": "1.2.0",
        "package_build_tag": "",
        "package_source": ".",
        "supported_platform": "any",
        "supported_python_versions": ["py311"],
        "python_requires": ">=3.6",
        "build_server_os_properties":
            {"distribution": null, "distribution_version": null, "distribution_release": null},
        "wheels": [WHEEL],
        "files": [],
    })
}

/// A wagon that is fine, without its end.
pub(crate) fn good() -> Tar {
    with_description(&description())
}

pub(crate) fn with_description(description: &Value) -> Tar {
    Tar::new()
        .directory("web-plugin/")
        .file("web-plugin/package.json", description.to_string().as_bytes())
        .directory("web-plugin/wheels/")
        .file(&format!("web-plugin/wheels/{WHEEL}"), &wheel())
}

/// A temporary directory with one file in it.
pub(crate) fn on_disk(name: &str, bytes: &[u8]) -> (Utf8TempDir, Utf8PathBuf) {
    let directory = Utf8TempDir::new().unwrap();
    let path = directory.path().join(name);
    fs_err::write(path.as_std_path(), bytes).unwrap();
    (directory, path)
}

/// Small enough to go beyond it quickly.
pub(crate) const SMALL: Budget = Budget {
    archive_bytes: 1 << 20,
    entries: 50,
    entry_bytes: 256 << 10,
    total_bytes: 512 << 10,
    ratio: 10,
    metadata_bytes: 4 << 10,
};

/// Opens the bytes as a wagon and returns the refusal without the file's own name.
pub(crate) fn refusal(bytes: &[u8]) -> String {
    let (_directory, path) = on_disk("x.wgn", bytes);
    let error = Wagon::open(&path, &SMALL).expect_err("it is refused").to_string();
    let prefix = format!("the wagon `{path}` is refused: ");
    error.strip_prefix(&prefix).unwrap_or_else(|| panic!("{error}")).to_owned()
}

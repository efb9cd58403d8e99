//! Blueprints, wagons and programs that more than one story needs.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Value, json};
use waggoner_testkit::{Site, Wag};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A site whose failed operations are not tried again, with an agent named `host`.
pub(crate) fn site_with_agent() -> Site {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("host", "host");
    site
}

/// Writes a blueprint with one application on one host, whose `create` is this shell script.
///
/// The input `agent` names the host's agent, `count` the instances of the application.
pub(crate) fn script_blueprint(site: &Site, name: &str, script: &str) -> Utf8PathBuf {
    site.file(&format!("{name}/scripts/create.sh"), script);
    site.file(
        &format!("{name}/blueprint.yaml"),
        "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
inputs:
  agent: {default: host}
  count: {default: 1}
  given: {default: ''}
node_templates:
  host:
    type: cloudify.nodes.Compute
    properties:
      ip: 127.0.0.1
      agent_config: {install_method: provided, service_name: {get_input: agent}}
  app:
    type: cloudify.nodes.ApplicationModule
    capabilities:
      scalable: {properties: {default_instances: {get_input: count}}}
    relationships: [{type: cloudify.relationships.contained_in, target: host}]
    interfaces:
      cloudify.interfaces.lifecycle:
        create:
          implementation: scripts/create.sh
          inputs: {given: {get_input: given}}
outputs:
  said: {value: {get_attribute: [app, said]}}
",
    )
}

/// Checks that last words are one clear sentence: they name all of these, and no machinery.
#[track_caller]
pub(crate) fn assert_clear(said: &str, names: &[&str]) {
    let begin = said.find("error: ").unwrap_or_else(|| panic!("no error is told: {said}"));
    let message = &said[begin..];
    for name in names {
        assert!(message.contains(name), "`{name}` is missing: {message}");
    }
    let first = message.lines().next().unwrap_or_default();
    assert!(first.len() < 600, "too long for a sentence: {message}");
    for machinery in ["panicked", "RUST_BACKTRACE", "Status {", "Err(", "Some(", "Os {"] {
        assert!(!message.contains(machinery), "`{machinery}` in: {message}");
    }
}

/// What a manager holds that bad input must not change.
pub(crate) fn holdings(wag: &Wag) -> Value {
    let lists = ["plugins", "blueprints", "deployments", "executions", "agents", "node-instances"];
    let list = |name: &&str| ((*name).to_owned(), wag.json(&[name, "list"]));
    lists.iter().map(list).collect::<serde_json::Map<_, _>>().into()
}

/// Makes the smallest of plugins: a wheel in a wagon, and its plugin.yaml.
pub(crate) fn tiny_wagon(folder: &Utf8Path, platform: &str) -> (Utf8PathBuf, Utf8PathBuf) {
    fs::create_dir_all(folder).unwrap();
    let wheel = format!("tiny_plugin-1.0-py3-none-{platform}.whl");
    let description = json!({
        "created_by_wagon_version": "1.0.3",
        "archive_name": format!("tiny_plugin-1.0-py311-none-{platform}.wgn"),
        "package_name": "tiny-plugin",
        "package_version": "1.0",
        "package_source": "tiny-plugin==1.0",
        "supported_platform": platform,
        "supported_python_versions": ["py311"],
        "build_server_os_properties":
            {"distribution": null, "distribution_version": null, "distribution_release": null},
        "wheels": [&wheel],
    });
    let files = [
        ("tiny-plugin/package.json".to_owned(), description.to_string().into_bytes()),
        (format!("tiny-plugin/wheels/{wheel}"), tiny_wheel()),
    ];
    let wagon = folder.join("tiny.wgn");
    fs::write(&wagon, tar_gz(&files)).unwrap();
    (wagon, tiny_yaml(folder))
}

/// The blueprint of [`script_blueprint`], its application of the smallest of plugins.
pub(crate) fn tiny_blueprint(site: &Site, name: &str) -> Utf8PathBuf {
    plugin_blueprint(
        site,
        name,
        &[
            ("types.yaml]", "types.yaml, plugin:tiny-plugin]"),
            ("cloudify.nodes.ApplicationModule", "tiny.nodes.App"),
            ("implementation: scripts/create.sh", "implementation: tiny.tiny.create"),
        ],
    )
}

/// The same of the plugin that behaves badly, whose `create` behaves.
pub(crate) fn awkward_blueprint(site: &Site, name: &str) -> Utf8PathBuf {
    plugin_blueprint(
        site,
        name,
        &[
            ("types.yaml]", "types.yaml, plugin:awkward-plugin]"),
            ("cloudify.nodes.ApplicationModule", "awkward.nodes.App"),
            ("implementation: scripts/create.sh", "implementation: awkward.awkward.tasks.fine"),
            ("inputs: {given:", "inputs: {number: 1, given:"),
        ],
    )
}

fn plugin_blueprint(site: &Site, name: &str, changes: &[(&str, &str)]) -> Utf8PathBuf {
    let blueprint = script_blueprint(site, name, "true\n");
    let mut text = fs::read_to_string(&blueprint).unwrap();
    for (before, after) in changes {
        assert!(text.contains(before), "`{before}` is not in {text}");
        text = text.replace(before, after);
    }
    fs::write(&blueprint, text).unwrap();
    blueprint
}

/// Writes the plugin.yaml of the smallest of plugins.
pub(crate) fn tiny_yaml(folder: &Utf8Path) -> Utf8PathBuf {
    let yaml = folder.join("plugin.yaml");
    let text = "\
plugins:
  tiny:
    executor: host_agent
    package_name: tiny-plugin
    package_version: '1.0'
node_types:
  tiny.nodes.App:
    derived_from: cloudify.nodes.ApplicationModule
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: tiny.tiny.create}
";
    fs::write(&yaml, text).unwrap();
    yaml
}

/// A wheel of one module.
pub(crate) fn tiny_wheel() -> Vec<u8> {
    let info = "tiny_plugin-1.0.dist-info";
    let files = [
        ("tiny.py".to_owned(), "def create(**_):\n    pass\n".to_owned()),
        (
            format!("{info}/METADATA"),
            "Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n".to_owned(),
        ),
        (
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: story\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ),
        (format!("{info}/RECORD"), format!("tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")),
    ];
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in &files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Packs files, their names as they are, clean or not.
pub(crate) fn tar_gz(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    tar_gz_with(files, |_| {})
}

/// The same with more put in by hand.
pub(crate) fn tar_gz_with(
    files: &[(String, Vec<u8>)],
    more: impl FnOnce(&mut tar::Builder<flate2::write::GzEncoder<Vec<u8>>>),
) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in files {
        let mut header = header(name, tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes.as_slice()).unwrap();
    }
    more(&mut tar);
    tar.into_inner().unwrap().finish().unwrap()
}

/// A header with a name that `tar` would not write by itself.
pub(crate) fn header(name: &str, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    header
}

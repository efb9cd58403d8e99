//! Plugins that come as sources in their blueprint, or from an address that it names.

use std::{io::Write as _, process::Command};

use camino::Utf8Path;
use fs_err as fs;
use serde_json::{Value, json};
use waggoner_testkit::{Daemon, Site, Wag, cache, python_program};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{fixtures::assert_clear, wagons::wagon_of};

/// A directory's plugin, imported by its own plugin.yaml: it runs on the central agent.
const NOTES: [(&str, &str); 3] = [
    (
        "plugin.yaml",
        "\
plugins:
  notes: {executor: central_deployment_agent, source: notes-plugin}
node_types:
  notes.Note:
    derived_from: cloudify.nodes.Root
    properties: {text: {default: ''}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: notes.notes_plugin.create, inputs: {times: {default: 2}}}
        start: {implementation: notes.notes_plugin.start}
        delete: {implementation: notes.notes_plugin.delete}
",
    ),
    (
        "setup.py",
        "\
from setuptools import setup
setup(name='notes-plugin', version='1.2', py_modules=['notes_plugin'])
",
    ),
    (
        "notes_plugin.py",
        "\
import os
import sys
from cloudify import ctx


def create(times, **_):
    ctx.instance.runtime_properties['note'] = ctx.node.properties['text'] * times
    ctx.instance.runtime_properties['source'] = ctx.plugin.source
    ctx.instance.runtime_properties['own'] = (
        os.path.realpath(ctx.plugin.prefix) == os.path.realpath(sys.prefix))


def start(**_):
    with open(sys.prefix + '/started', 'a') as started:
        started.write('once\\n')


def delete(**_):
    ctx.logger.info('took down %s', ctx.instance.runtime_properties['note'])
",
    ),
];

/// An archive's plugin, with a requirement that only its `install_arguments` name.
const HERE: [(&str, &str); 5] = [
    (
        "here/setup.py",
        "from setuptools import setup\nsetup(name='here', py_modules=['here_plugin'])\n",
    ),
    (
        "here/here_plugin.py",
        "\
from cloudify import ctx
import more


def create(**_):
    ctx.instance.runtime_properties['more'] = more.WORD
",
    ),
    ("here/requirements.txt", "./more\n"),
    (
        "here/more/setup.py",
        "from setuptools import setup\nsetup(name='more', py_modules=['more'])\n",
    ),
    ("here/more/more.py", "WORD = 'and more'\n"),
];

const BLUEPRINT: &str = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml, plugins/notes-plugin/plugin.yaml]
plugins:
  here: {executor: host_agent, source: here, install_arguments: '-r requirements.txt'}
node_templates:
  host:
    type: cloudify.nodes.Compute
    properties: {ip: 127.0.0.1, agent_config: {install_method: provided, service_name: host}}
  app:
    type: cloudify.nodes.ApplicationModule
    relationships: [{type: cloudify.relationships.contained_in, target: host}]
    interfaces: {cloudify.interfaces.lifecycle: {create: here.here_plugin.create}}
  note:
    type: notes.Note
    properties: {text: ab}
";

/// A site with a central agent, which has uv, an agent `host`, which need not have, and
/// cloudify-common.
fn site(args: &[&str]) -> Site {
    let mut site = Site::start_with(&[&["--task-retries", "0"], args].concat());
    let programs = site.folder().join("programs");
    fs::create_dir_all(&programs).unwrap();
    fs::os::unix::fs::symlink(python_program("uv"), programs.join("uv")).unwrap();
    let path = std::env::var("PATH").unwrap();
    let with_uv = format!("{programs}:{path}");
    // What is fetched is fetched once.
    let pip = cache().join("pip");
    let pip = ("PIP_CACHE_DIR", pip.as_str());
    site.agent_with("central", "central", &[], &[pip, ("PATH", &with_uv)]);
    site.agent_with("host", "host", &[], &[pip]);
    let wagon = wagon_of("cloudify-common", "7.0.5");
    let yaml = "plugins:\n  common:\n    executor: host_agent\n    package_name: cloudify-common\n    \
                package_version: 7.0.5\n";
    let yaml = site.file("common/plugin.yaml", yaml);
    site.wag().ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    site
}

/// Packs files into a zip.
fn zip(to: &Utf8Path, files: &[(&str, &str)]) {
    let mut zip = ZipWriter::new(fs::File::create(to).unwrap());
    for (name, text) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

/// A blueprint of one note, made by a plugin with these sources.
fn of_note(source: &str) -> String {
    format!(
        "tosca_definitions_version: cloudify_dsl_1_4\n\
         imports: [cloudify/types/types.yaml]\n\
         plugins: {{notes: {{executor: central_deployment_agent, source: '{source}'}}}}\n\
         node_templates:\n  note:\n    type: cloudify.nodes.Root\n    interfaces:\n      \
         cloudify.interfaces.lifecycle:\n        \
         create: {{implementation: notes.notes_plugin.start}}\n"
    )
}

fn runtime_properties(wag: &Wag, deployment: &str, node: &str) -> Value {
    let instances = wag.items(&["node-instances", "list", "-d", deployment]);
    let found = instances.into_iter().find(|instance| instance["node_id"] == node).unwrap();
    let id = found["id"].as_str().unwrap();
    wag.json(&["node-instances", "get", id])["runtime_properties"].clone()
}

/// The environments of an agent, by name.
fn environments(site: &Site, agent: &str) -> Vec<String> {
    let folder = site.agent_dir(agent).join("python/environments");
    let entries = folder.read_dir_utf8().into_iter().flatten().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().to_owned());
    let is_lock = |name: &String| Utf8Path::new(name).extension() == Some("lock");
    let mut names: Vec<_> = names.filter(|name| !is_lock(name)).collect();
    names.sort();
    names
}

#[test]
fn plugins_of_a_blueprints_own_are_built_where_they_run() {
    let site = site(&[]);
    let wag = site.wag();
    let blueprint = site.file("own/blueprint.yaml", BLUEPRINT);
    for (file, text) in NOTES {
        site.file(&format!("own/plugins/notes-plugin/{file}"), text);
    }
    zip(&blueprint.with_file_name("plugins/here.zip"), &HERE);
    site.install("own", &blueprint, &[]);
    let note = json!({"note": "abab", "source": "notes-plugin", "own": true});
    assert_eq!(runtime_properties(&wag, "own", "note"), note);
    assert_eq!(runtime_properties(&wag, "own", "app"), json!({"more": "and more"}));
    let messages = wag.messages("own");
    let built = "Installing plugin notes: building its sources with pip";
    assert!(messages.iter().any(|message| message == built), "{messages:#?}");

    // All of its operations have run in one environment, which another deployment shares.
    let made = environments(&site, "central");
    site.install("again", &blueprint, &[]);
    assert_eq!(environments(&site, "central"), made);
    let started = format!("python/environments/{}/started", made[0]);
    let started = fs::read_to_string(site.agent_dir("central").join(started)).unwrap();
    assert_eq!(started, "once\nonce\n");
    wag.ok(&["executions", "start", "uninstall", "-d", "own"]);
    assert!(wag.messages("own").iter().any(|message| message == "took down abab"));

    // Sources that cannot be built are told in one sentence, and nothing of them is left.
    let broken = site.file("broken/blueprint.yaml", &of_note("bad"));
    site.file("broken/plugins/bad/setup.py", "from setuptools import setup\nsetup(name='bad'\n");
    site.deploy("broken", &broken, &[]);
    let said = wag.refused(1, &["executions", "start", "install", "-d", "broken"]);
    let sentence = "failed to build the plugin `notes` from its sources for py3";
    assert_clear(&said, &[sentence, "with pip: setup.py line 2: SyntaxError: "]);
    assert_eq!(environments(&site, "central"), made);

    let lacking = site.file("none/blueprint.yaml", &of_note("gone"));
    site.deploy("none", &lacking, &[]);
    let said = wag.refused(1, &["executions", "start", "install", "-d", "none"]);
    assert_clear(&said, &["plugin `notes` comes from `plugins/gone`", "upload a wagon"]);
}

#[test]
fn a_plugin_is_fetched_from_an_address_only_where_the_manager_was_told() {
    let folder = camino_tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir_all(files.join("plugins")).unwrap();
    let notes = NOTES.map(|(file, text)| (format!("notes-1.2/{file}"), text));
    let notes = notes.each_ref().map(|(file, text)| (file.as_str(), *text));
    zip(&files.join("plugins/notes.zip"), &notes);
    zip(&files.join("secret.zip"), &notes);
    let mut command = Command::new(python_program("python"));
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
    command.arg(&files);
    let mut server = Daemon::start(command, folder.path(), "files");
    let line = server.line("Serving HTTP on");
    let address = line.split_once("(http://").unwrap().1.split_once("/)").unwrap().0;

    let site = site(&["--import-site", &format!("http://{address}/plugins/")]);
    let wag = site.wag();
    let given = |name: &str, path: &str| {
        let text = of_note(&format!("http://{address}/{path}"));
        site.file(&format!("{name}/blueprint.yaml"), &text)
    };
    site.install("good", &given("good", "plugins/notes.zip"), &[]);
    assert_eq!(environments(&site, "central").len(), 2, "a directory and its record");

    for (name, path, words) in [
        ("secret", "secret.zip", "--import-site"),
        ("missing", "plugins/missing.zip", "nothing is there"),
    ] {
        site.deploy(name, &given(name, path), &[]);
        let said = wag.refused(1, &["executions", "start", "install", "-d", name]);
        assert_clear(&said, &["plugin `notes` comes from `http://", path, words]);
    }
}

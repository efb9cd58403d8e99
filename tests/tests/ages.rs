//! Plugins that carry a `cloudify-common` of their own, older and newer, in one deployment, each
//! with the interpreter that it is for.

use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Value, json};
use waggoner_python::{Interpreter, interpreters};
use waggoner_testkit::{Site, cached, root};
use waggoner_wagon::{Format, OsProperties, Recipe, write};

use crate::wagons::only;

/// A plugin of the story.
struct Age {
    name: &'static str,
    tag: &'static str,
    common: &'static str,
    /// What its age had, and what pip would choose otherwise.
    with: &'static [&'static str],
}

/// The oldest one logs by AMQP, and is for Python 3.6 alone: what it needs runs on nothing newer.
const OLD: Age = Age {
    name: "old",
    tag: "py36",
    common: "5.1.4",
    with: &["cloudify-common==5.1.4", "wagon<1", "setuptools<60"],
};

const LATE: Age = Age {
    name: "late",
    tag: "py311",
    common: "6.4.2",
    with: &["cloudify-common==6.4.2.0", "setuptools<80"],
};

/// The plugin's wagon, and its plugin.yaml.
fn plugin(age: &Age, python: &Interpreter) -> (Utf8PathBuf, Utf8PathBuf) {
    let files = root().join("tests/plugins/ages");
    let made = cached(&format!("ages-{}-2", age.name), |folder| {
        let source = folder.join("source");
        let package = source.join(format!("{}_plugin", age.name));
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("__init__.py"), "").unwrap();
        fs::copy(files.join("tasks.py"), package.join("tasks.py")).unwrap();
        let setup = format!(
            "from setuptools import setup\nsetup(name='{0}-plugin', version='1.0', \
             packages=['{0}_plugin'], install_requires=['cloudify-common'])\n",
            age.name
        );
        fs::write(source.join("setup.py"), setup).unwrap();
        let tools = folder.join("tools");
        run(Command::new(&python.path).args(["-m", "venv", tools.as_str()]));
        let own = tools.join("bin/python");
        run(Command::new(&own).args(["-m", "pip", "install", "-q", "wheel", "setuptools<80"]));
        let wheels = folder.join("wheels");
        let args = ["-m", "pip", "wheel", "-q", "--wheel-dir", wheels.as_str(), source.as_str()];
        run(Command::new(&own).args(args).args(age.with));
        let recipe = Recipe {
            package_name: format!("{}-plugin", age.name),
            package_version: "1.0".to_owned(),
            package_source: ".".to_owned(),
            python_tags: vec![age.tag.to_owned()],
            os: OsProperties::default(),
        };
        write(&recipe, &wheels, folder, Format::TarGz).unwrap();
        let yaml = fs::read_to_string(files.join("plugin.yaml")).unwrap();
        fs::write(folder.join("plugin.yaml"), yaml.replace("AGE", age.name)).unwrap();
        for done in [source, tools, wheels] {
            fs::remove_dir_all(done).unwrap();
        }
    });
    (only(&made, ".wgn"), made.join("plugin.yaml"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The interpreters that the plugins are for; `None` where this host lacks one.
fn pythons() -> Option<(Interpreter, Interpreter)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(interpreters());
    let of = |tag: &str| found.iter().find(|python| python.tag == tag).cloned();
    of(OLD.tag).zip(of(LATE.tag))
}

fn properties(site: &Site, node: &str) -> Value {
    let instances = site.wag().items(&["node-instances", "list", "-d", "ages", "--node", node]);
    instances[0]["runtime_properties"].clone()
}

fn upload(site: &Site, wagon: &Utf8Path, yaml: &Utf8Path) {
    site.wag().ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
}

#[test]
#[expect(clippy::print_stderr, reason = "says why a story proves nothing")]
fn plugins_of_two_ages_run_in_one_deployment() {
    let Some((old, late)) = pythons() else {
        eprintln!("skipped: this host has not both Python 3.6 and 3.11");
        return;
    };
    let mut site = Site::start_with(&["--task-retry-interval-secs", "1"]);
    site.agent("central", "central");
    for (age, python) in [(&OLD, &old), (&LATE, &late)] {
        let (wagon, yaml) = plugin(age, python);
        upload(&site, &wagon, &yaml);
    }
    let wag = site.wag();
    let put = wag.run_with(&["secrets", "put", "word"], "wagons");
    assert_eq!(put.code, 0, "{put:?}");

    let blueprint = root().join("tests/blueprints/ages/blueprint.yaml");
    site.install("ages", &blueprint, &["greeting=good morning"]);
    let made = properties(&site, "old");
    assert_eq!((&made["common"], &made["python"]), (&json!(OLD.common), &json!("3.6")), "{made}");
    assert_eq!((&made["word"], &made["greeting"]), (&json!("wagons"), &json!("hello")), "{made}");
    assert_eq!((&made["begun"], &made["linked_to"]), (&json!(true), &json!(LATE.common)), "{made}");
    let made = properties(&site, "late");
    assert_eq!((&made["common"], &made["python"]), (&json!(LATE.common), &json!("3.11")), "{made}");
    assert_eq!(
        (&made["greeting"], &made["begun"]),
        (&json!("good morning"), &json!(true)),
        "{made}"
    );

    let messages = wag.messages("ages");
    for age in [&OLD, &LATE] {
        let common = age.common;
        let plugin = format!("Installing plugin {}-plugin 1.0: installing", age.name);
        let told = |words: &str| messages.iter().any(|message| message.starts_with(words));
        for words in [&format!("made with {common}"), &format!("an event of {common}"), &plugin] {
            assert!(told(words), "`{words}` is not among {messages:#?}");
        }
    }
}

//! Where imports are looked for, and what they bring.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Value as Json, json};
use waggoner_blueprint::{
    Blueprint, FetchError, Fetched, Location, Options, PluginImport, PluginLabels, Resolver, parse,
};

/// Texts by the location they are asked for by; remembers what was asked for.
#[derive(Default)]
struct Texts {
    texts: BTreeMap<&'static str, &'static str>,
    asked: RefCell<Vec<String>>,
}

impl Resolver for Texts {
    fn fetch(&self, location: &Location, version: &str) -> Result<Option<Fetched>, FetchError> {
        let key = location.to_string();
        self.asked.borrow_mut().push(format!("{key} {version}"));
        let plugin = matches!(location, Location::Plugin(_)).then(|| PluginLabels {
            labels: json!({"origin": ["store"]}).as_object().cloned().expect("it is a dict"),
            ..PluginLabels::default()
        });
        let text = self.texts.get(key.as_str());
        Ok(text.map(|text| Fetched { text: (*text).to_owned(), plugin, adapts: true }))
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

impl Texts {
    fn of(texts: &[(&'static str, &'static str)]) -> Self {
        Self { texts: texts.iter().copied().collect(), asked: RefCell::default() }
    }

    /// The plan of a main text at `deploy/main.yaml`.
    fn plan(&self, version: &str, text: &str) -> Json {
        let text = format!("tosca_definitions_version: cloudify_dsl_{version}\n{text}");
        let blueprint = Blueprint { text: &text, location: "deploy/main.yaml" };
        match parse(blueprint, self, &Options::default()) {
            Ok(plan) => plan.into_json(),
            Err(found) => panic!("refused: {found}"),
        }
    }
}

#[test]
fn a_plugin_is_chosen_by_its_version() {
    let rows = [
        ("plugin:aws", "3.1.7", true),
        ("plugin:aws?version=3.1.7", "3.1.7", true),
        ("plugin:aws?version=3.1.7", "3.1.8", false),
        ("plugin:aws?version=>=3.0,<4", "3.1.7", true),
        ("plugin:aws?version=>=3.0,<4", "4.0", false),
        ("plugin:aws?version= >=3.0 &distribution=x", "3.1.7", true),
        ("plugin:aws?version=~=3.1", "3.9", true),
        ("plugin:aws?version=>=3", "not-a-version", false),
        ("plugin:aws", "not-a-version", true),
    ];
    for (import, version, fits) in rows {
        let Location::Plugin(plugin) = Location::parse(import) else { panic!("{import}") };
        assert_eq!(plugin.allows(version), fits, "{import} {version}");
    }
    let parsed = Location::parse("plugin:aws?version=>=3&distribution=centos");
    let expected = PluginImport {
        name: "aws".to_owned(),
        version: Some(">=3".to_owned()),
        distribution: Some("centos".to_owned()),
    };
    assert_eq!(parsed, Location::Plugin(expected));
}

#[test]
fn every_version_has_cloudifys_own_types() {
    for version in ["1_3", "1_4", "1_5"] {
        let plan = Texts::default().plan(version, "imports: [cloudify/types/types.yaml]\n");
        assert_eq!(plan["workflows"].as_object().unwrap().len(), 15, "{version}");
        assert_eq!(plan["relationships"].as_object().unwrap().len(), 8, "{version}");
        let install = plan["workflows"]["install"]["parameters"].as_object().unwrap();
        assert_eq!(install.len(), 3, "{version}");
        let is_typed = install["node_ids"]["item_type"] == "node_id";
        assert_eq!(is_typed, version != "1_3", "{version}");
    }
    let texts = Texts::default();
    for (version, site) in [
        ("1_2", "http://www.getcloudify.org"),
        ("1_3", "https://cloudify.co"),
        ("1_5", "http://cloudify.co"),
    ] {
        let url = format!("imports: ['{site}/spec/cloudify/6.3/types.yaml']\n");
        let plan = texts.plan(version, &url);
        assert_eq!(plan["workflows"].as_object().unwrap().len(), 15, "{version}");
    }
    assert!(texts.asked.borrow().is_empty(), "the types need no network");
}

#[test]
fn a_file_is_looked_for_beside_the_one_that_imports_it() {
    let texts = Texts::of(&[
        ("deploy/lib/a.yaml", "imports: [b.yaml]\nnode_types: {a: {}}\n"),
        ("deploy/lib/b.yaml", "imports: [a.yaml]\nnode_types: {b: {derived_from: a}}\n"),
    ]);
    let plan = texts.plan("1_3", "imports: [lib/a.yaml]\nnode_templates: {n: {type: b}}\n");
    assert_eq!(plan["nodes"][0]["type_hierarchy"], json!(["a", "b"]));
    assert_eq!(*texts.asked.borrow(), ["deploy/lib/a.yaml 1_3", "deploy/lib/b.yaml 1_3"]);
}

#[test]
fn what_a_manager_knows_of_a_plugin_replaces_its_labels() {
    let yaml = "plugins: {p: {executor: central_deployment_agent, package_name: p}}\n\
                labels: {origin: {values: [text]}}\n";
    let plan = Texts::of(&[("plugin:p", yaml)]).plan("1_4", "imports: ['plugin:p']\n");
    assert_eq!(plan["labels"], json!({"origin": {"values": ["store"]}}));
}

#[test]
fn an_import_sets_the_properties_of_its_plugins() {
    let yaml = "plugins:\n  p:\n    executor: central_deployment_agent\n    install: false\n    \
                properties:\n      region: {type: string}\nnode_types:\n  t:\n    interfaces:\n      \
                i: {create: p.m.f}\n";
    let texts = Texts::of(&[("plugin:p", yaml)]);
    let text = "imports:\n  - plugin:p:\n      region: {get_secret: region}\n\
                node_templates: {n: {type: t}}\n";
    let plan = texts.plan("1_5", text);
    let plugin = &plan["nodes"][0]["plugins"][0];
    assert_eq!(plugin["properties"]["region"]["value"], json!({"get_secret": "region"}));
}

#[test]
fn an_imported_blueprint_brings_its_own_imports_under_its_namespace() {
    let texts = Texts::of(&[(
        "blueprint:base",
        "tosca_definitions_version: cloudify_dsl_1_3\nimports: [cloudify/types/types.yaml]\n\
         inputs: {port: {default: 80}}\nnode_templates:\n  web:\n    type: \
         cloudify.nodes.WebServer\n    properties: {port: {get_input: port}}\n",
    )]);
    let plan = texts.plan("1_3", "imports: ['ns--blueprint:base']\n");
    assert_eq!(plan["nodes"][0]["name"], "ns--web");
    assert_eq!(plan["nodes"][0]["type"], "cloudify.nodes.WebServer");
    assert_eq!(plan["nodes"][0]["properties"]["port"], json!({"get_input": "ns--port"}));
    assert_eq!(plan["imported_blueprints"], json!(["base"]));
    assert_eq!(plan["namespaces_mapping"], json!({"ns": "base"}));
}

#[test]
fn a_file_that_imports_itself_under_ever_longer_namespaces_is_refused() {
    let main = "tosca_definitions_version: cloudify_dsl_1_4\nimports: [ns--main.yaml]\n";
    let texts = Texts::of(&[("deploy/main.yaml", main)]);
    let blueprint = Blueprint { text: main, location: "deploy/main.yaml" };
    let found = parse(blueprint, &texts, &Options::default()).unwrap_err();
    assert_eq!(
        found.0[0].message,
        "the namespace `ns` is one of more than 16 in each other: does a file import itself?"
    );
    assert!(texts.asked.borrow().len() < 20);
}

#[test]
fn an_imported_blueprint_finds_its_own_files_and_not_those_beside_the_importing_one() {
    let texts = Texts::of(&[
        (
            "blueprint:lib",
            "tosca_definitions_version: cloudify_dsl_1_4\nimports: [types/own.yaml]\n",
        ),
        ("blueprint:lib/types/own.yaml", "imports: [more.yaml]\nnode_types: {own: {}}\n"),
        ("blueprint:lib/types/more.yaml", "node_types: {more: {}}\n"),
        ("types/own.yaml", "node_types: {foreign: {}}\n"),
    ]);
    let plan = texts.plan(
        "1_4",
        "imports: ['ns--blueprint:lib']\nnode_templates: {n: {type: ns--more}, m: {type: ns--own}}\n",
    );
    assert_eq!(plan["nodes"].as_array().unwrap().len(), 2);
}

#[test]
fn imports_of_many_megabytes_are_refused() {
    struct Endless(String);
    impl Resolver for Endless {
        fn fetch(&self, _: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
            Ok(Some(Fetched { text: self.0.clone(), ..Fetched::default() }))
        }

        fn has_file(&self, _: &str) -> bool {
            false
        }
    }
    let imports: Vec<_> = (0..40).map(|at| format!("part{at}.yaml")).collect();
    let main =
        format!("tosca_definitions_version: cloudify_dsl_1_4\nimports: [{}]\n", imports.join(", "));
    let blueprint = Blueprint { text: &main, location: "main.yaml" };
    let texts = Endless(format!("dsl_definitions: {{long: '{}'}}\n", "x".repeat(1 << 20)));
    let found = parse(blueprint, &texts, &Options::default()).unwrap_err();
    assert_eq!(found.0[0].message, "the blueprint and its imports have more than 16777216 bytes");
}

/// A plugin's file of a later version, and a blueprint that uses it.
const NEWER: &str = "
plugins: {play: {executor: central_deployment_agent, package_name: play}}
data_types:
  target: {properties: {where: {type: node_id, required: false}}}
node_types:
  play: {properties: {of: {type: deployment_id, default: ''}, to: {type: target, default: {}}}}
workflows:
  again:
    mapping: play.workflows.again
    availability_rules: {node_instances_active: [all]}
    parameters: {nodes: {type: list, item_type: node_id, default: []}, secret: {type: secret_key, default: s}}
";

#[test]
fn a_plugin_of_a_later_version_is_adapted_to_1_3_as_a_manager_does() {
    let texts = Texts::of(&[("plugin:play", NEWER)]);
    let main = "imports: [plugin:play]\nnode_templates: {a: {type: play, properties: {of: x}}}\n";
    let plan = texts.plan("1_3", main);
    let again = &plan["workflows"]["again"];
    assert_eq!(again["availability_rules"], Json::Null);
    assert_eq!(again["parameters"]["secret"]["type"], "string");
    assert_eq!(again["parameters"]["nodes"], Json::Null);
    assert_eq!(plan["nodes"][0]["properties"]["of"], "x");
    assert_eq!(plan["data_types"]["target"]["properties"]["where"]["type"], "string");

    let plan = texts.plan("1_4", main);
    let again = &plan["workflows"]["again"];
    assert_eq!(again["availability_rules"], json!({"node_instances_active": ["all"]}));
    assert_eq!(again["parameters"]["secret"]["type"], "secret_key");
    assert_eq!(again["parameters"]["nodes"]["item_type"], "node_id");
}

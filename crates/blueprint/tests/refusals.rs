//! What a user is told: one sentence with the place, and what to do when we know.

use waggoner_blueprint::{Blueprint, FetchError, Fetched, Location, Options, Resolver, validate};

/// Brings `lib.yaml`; a plugin is refused by a sentence of the manager's.
struct Files;

impl Resolver for Files {
    fn fetch(&self, location: &Location, _: &str) -> Result<Option<Fetched>, FetchError> {
        let lib = "node_types:\n  lib.Thing:\n    properties:\n      size: {type: integr}\n";
        match location {
            Location::File(path) if path == "deploy/lib.yaml" => {
                Ok(Some(Fetched { text: lib.to_owned(), ..Fetched::default() }))
            }
            Location::Plugin(_) => Err(FetchError("no uploaded plugin has this name".to_owned())),
            _ => Ok(None),
        }
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }
}

/// Everything that is said about a text, one fault a line.
fn told(text: &str) -> String {
    let text = format!("tosca_definitions_version: cloudify_dsl_1_4\n{text}");
    let blueprint = Blueprint { text: &text, location: "deploy/main.yaml" };
    let found = validate(blueprint, &Files, &Options::default());
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const TYPES: &str = "imports: [cloudify/types/types.yaml]\n";

#[test]
fn yaml_that_is_none_is_told_with_its_place() {
    insta::assert_snapshot!(told("inputs:\n  a: [1, 2\nnode_types: {}\n"), @r#"
    deploy/main.yaml:4:11: not YAML: expected `,` or `]`, found `:`
    "#);
}

#[test]
fn an_import_that_cannot_be_had_is_told() {
    insta::assert_snapshot!(told("imports:\n  - plugin:aws\n"), @r#"
    deploy/main.yaml:3:5: `plugin:aws` cannot be imported: no uploaded plugin has this name (at `imports`)
    "#);
    insta::assert_snapshot!(told("imports:\n  - missing.yaml\n"), @r#"
    deploy/main.yaml:3:5: `missing.yaml` cannot be imported: it is nowhere to be found (at `imports`)
    "#);
}

#[test]
fn an_unknown_word_is_told_beside_the_nearest_known_one() {
    insta::assert_snapshot!(told("node_template: {}\n"), @r#"
    deploy/main.yaml:2:1: `node_template` is not known here; did you mean `node_templates`?
    "#);
    insta::assert_snapshot!(
        told(&format!("{TYPES}node_templates:\n  web:\n    type: cloudify.nodes.WebServr\n")),
        @r#"
        deploy/main.yaml:5:5: the node `web` is of type `cloudify.nodes.WebServr`, which is not defined (at `node_templates.web`); did you mean `cloudify.nodes.WebServer`?
        "#
    );
    insta::assert_snapshot!(told("imports: [lib.yaml]\n"), @r#"
    deploy/lib.yaml:4:14: `integr` is not a known type (at `node_types.lib.Thing.properties.size`); did you mean `integer`?
    "#);
}

#[test]
fn a_value_of_another_type_is_told_where_it_stands() {
    let text = format!(
        "{TYPES}node_types:\n  my.Thing:\n    properties:\n      size: {{type: integer}}\n\
         node_templates:\n  thing:\n    type: my.Thing\n    properties:\n      size: large\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    deploy/main.yaml:11:7: `size` of the node `thing` is of type `integer`, yet its value is `"large"` (at `node_templates.thing.properties.size`)
    "#);
}

#[test]
fn a_circle_is_told_by_its_names() {
    let types = "node_types:\n  a: {derived_from: b}\n  b: {derived_from: a}\n";
    insta::assert_snapshot!(told(types), @r#"
    deploy/main.yaml:3:3: types derive from each other: a → b → a (at `node_types`)
    "#);
}

#[test]
fn an_operation_of_an_unknown_plugin_is_told() {
    let text = format!(
        "{TYPES}node_templates:\n  web:\n    type: cloudify.nodes.Root\n    interfaces:\n      \
         cloudify.interfaces.lifecycle:\n        create: scirpt.script_runner.tasks.run\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    deploy/main.yaml:8:9: in the node `web`, the operation `cloudify.interfaces.lifecycle.create` is mapped to `scirpt.script_runner.tasks.run`, which is neither a script of the blueprint nor a function of a known plugin; did you mean `script`? (at `node_templates.web`)
    "#);
}

#[test]
fn several_faults_are_told_at_once() {
    let text = format!(
        "{TYPES}node_templates:\n  one:\n    type: nowhere.One\n  two:\n    type: \
         cloudify.nodes.Root\n    properties: {{colour: red}}\n    relationships:\n      - type: \
         cloudify.relationships.contained_in\n        target: tree\n\
         outputs:\n  port:\n    value: {{get_input: prot}}\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    deploy/main.yaml:5:5: the node `one` is of type `nowhere.One`, which is not defined (at `node_templates.one`)
    deploy/main.yaml:8:18: the node `two` has no property `colour` (at `node_templates.two.properties.colour`)
    deploy/main.yaml:11:9: the node `two` has a relationship to `tree`, which is not there (at `node_templates.two.relationships.0`)
    "#);
}

#[test]
fn a_function_that_names_nothing_is_told_where_it_stands() {
    let text = format!(
        "{TYPES}inputs: {{port: {{}}}}\nnode_templates:\n  web:\n    type: cloudify.nodes.Root\n\
         outputs:\n  port:\n    value: {{get_input: prot}}\n  ip:\n    value: {{get_attribute: \
         [wbe, ip]}}\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    deploy/main.yaml:9:5: `get_input` asks for `prot`, which is not an input (at `outputs.port.value`); did you mean `port`?
    deploy/main.yaml:11:5: `get_attribute` asks for the node `wbe`, which is not there (at `outputs.ip.value`); did you mean `web`?
    "#);
}

#[test]
fn a_word_of_a_later_version_is_told_with_both_versions() {
    let text = "plugins:\n  p:\n    executor: host_agent\n    install: false\n    properties: {}\n";
    insta::assert_snapshot!(told(text), @r#"
    deploy/main.yaml:6:5: `properties` needs `cloudify_dsl_1_5`, this is `cloudify_dsl_1_4` (at `plugins.p.properties`)
    "#);
}

#[test]
fn the_lines_around_are_shown_with_a_caret() {
    let text = "tosca_definitions_version: cloudify_dsl_1_4\ninputs:\n  port:\n    typ: integer\n";
    let blueprint = Blueprint { text, location: "main.yaml" };
    let found = validate(blueprint, &Files, &Options::default());
    insta::assert_snapshot!(found[0].snippet, @r#"
    2 | inputs:
    3 |   port:
    4 |     typ: integer
      |     ^
    "#);
}

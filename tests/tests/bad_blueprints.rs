//! Blueprints that are no good.

use waggoner_testkit::Site;

use crate::fixtures::{assert_clear, holdings};

/// What `wag` ends with when the manager says no, or the same check made here.
const REFUSED: i32 = 3;

/// What is wrong, the blueprint's text below its version, and words of the reason.
const BAD: [(&str, &str, &[&str]); 9] = [
    (
        "a plugin that is not there",
        "imports: [cloudify/types/types.yaml, plugin:no-such-plugin]\n",
        &["no-such-plugin", "wag plugins upload"],
    ),
    (
        "a file that is not there",
        "imports: [cloudify/types/types.yaml, no/such.yaml]\n",
        &["no/such.yaml", "blueprint.yaml:2:"],
    ),
    (
        "nodes in a circle",
        "imports: [cloudify/types/types.yaml]
node_templates:
  a: {type: cloudify.nodes.Root, relationships: [{type: cloudify.relationships.depends_on, target: b}]}
  b: {type: cloudify.nodes.Root, relationships: [{type: cloudify.relationships.depends_on, target: a}]}
",
        &["circle", "blueprint.yaml:4:"],
    ),
    (
        "types in a circle",
        "imports: [cloudify/types/types.yaml]
node_types:
  one: {derived_from: two}
  two: {derived_from: one}
node_templates:
  a: {type: one}
",
        &["one", "two"],
    ),
    (
        "a type that is not there",
        "imports: [cloudify/types/types.yaml]
node_templates:
  a: {type: cloudify.nodes.Compte}
",
        &["cloudify.nodes.Compte", "cloudify.nodes.Compute", "blueprint.yaml:4:"],
    ),
    (
        "a value of another type",
        "imports: [cloudify/types/types.yaml]
node_types:
  server: {derived_from: cloudify.nodes.Root, properties: {port: {type: integer}}}
node_templates:
  a:
    type: server
    properties: {port: eighty}
",
        &["port", "integer", "blueprint.yaml:8:"],
    ),
    (
        "YAML that is none",
        "imports: [cloudify/types/types.yaml]
node_templates:
  a: {type: cloudify.nodes.Root
  b: {type: cloudify.nodes.Root}
",
        &["YAML", "blueprint.yaml:"],
    ),
    ("no mapping at all", "- just\n- a list\n", &["blueprint.yaml"]),
    (
        "an anchor that multiplies",
        "x: &a [1,1,1,1,1,1,1,1,1,1]
y: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
z: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
w: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]
v: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]
u: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]
t: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]
s: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]
",
        &["blueprint.yaml"],
    ),
];

#[test]
fn a_bad_blueprint_is_refused_with_its_place_and_changes_nothing() {
    let site = Site::start();
    let wag = site.wag();
    let before = holdings(&wag);
    for (what, text, words) in BAD {
        let text = if text.starts_with('-') {
            text.to_owned()
        } else {
            format!("tosca_definitions_version: cloudify_dsl_1_4\n{text}")
        };
        let path = site.file("bad/blueprint.yaml", &text);
        for args in [
            &["blueprints", "upload", path.as_str(), "--blueprint-id", "bad"][..],
            &["blueprints", "validate", path.as_str()],
            &["up", path.as_str()],
        ] {
            let message = wag.refused(REFUSED, args);
            assert_clear(&message, words);
        }
        assert_eq!(holdings(&wag), before, "{what}");
    }
    wag.ok(&["status"]);
}

#[test]
fn a_deployment_with_wrong_inputs_is_refused_and_not_there() {
    let site = Site::start();
    let wag = site.wag();
    let text = "\
tosca_definitions_version: cloudify_dsl_1_4
imports: [cloudify/types/types.yaml]
inputs:
  port: {type: integer}
node_templates:
  a: {type: cloudify.nodes.Root}
";
    let path = site.file("inputs/blueprint.yaml", text);
    wag.ok(&["blueprints", "upload", path.as_str(), "--blueprint-id", "inputs"]);
    let before = holdings(&wag);
    let create = ["deployments", "create", "d", "--blueprint-id", "inputs"];
    let cases: [(&[&str], &[&str]); 3] = [
        (&[], &["port"]),
        (&["-i", "port=eighty"], &["port", "integer"]),
        (&["-i", "port=80", "-i", "pot=81"], &["pot"]),
    ];
    for (inputs, words) in cases {
        assert_clear(&wag.refused(REFUSED, &[&create, inputs].concat()), words);
        assert_eq!(holdings(&wag), before, "{inputs:?}");
    }
    wag.ok(&[&create[..], &["-i", "port=80"]].concat());
}

#[test]
fn what_is_not_there_is_told_apart_from_what_is_refused() {
    let site = Site::start();
    let wag = site.wag();
    let absent: [&[&str]; 8] = [
        &["blueprints", "get", "no-such"],
        &["deployments", "get", "no-such"],
        &["deployments", "create", "d", "--blueprint-id", "no-such"],
        &["executions", "get", "0192e4a0-0000-7000-8000-000000000000"],
        &["executions", "start", "install", "--deployment-id", "no-such"],
        &["node-instances", "get", "no-such"],
        &["agents", "get", "no-such"],
        &["secrets", "get", "no-such"],
    ];
    for args in absent {
        let message = wag.refused(4, args);
        let missing = args.iter().find(|arg| arg.contains("no-such") || arg.contains("0192e4a0"));
        assert_clear(&message, &[missing.unwrap()]);
    }
}

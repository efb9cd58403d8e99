//! From a plan to a deployment: inputs, and what costs too much.

use std::fmt::Write;

use serde_json::{Value as Json, json};
use waggoner_blueprint::{
    Blueprint, Kind, NoImports, Options, Plan, Refusal, Request, SeededIds, parse,
    prepare_deployment,
};

fn plan(text: &str) -> Plan {
    let text = format!("tosca_definitions_version: cloudify_dsl_1_4\n{text}");
    let blueprint = Blueprint { text: &text, location: "main.yaml" };
    parse(blueprint, &NoImports, &Options::default()).expect("the blueprint is fine")
}

fn prepared(text: &str, inputs: &Json) -> Result<Json, Refusal> {
    let inputs = inputs.as_object().cloned().unwrap_or_default();
    let request = Request { inputs, ..Request::default() };
    prepare_deployment(plan(text), request, &mut SeededIds::new(7))
}

#[test]
fn inputs_are_filled_in_or_told_in_one_sentence() {
    let text = "inputs:\n  port: {type: integer}\n  host: {default: here}\n\
                outputs:\n  url: {value: {concat: [{get_input: host}, ':', {get_input: port}]}}\n";
    let deployment = prepared(text, &json!({"port": 80})).unwrap();
    assert_eq!(deployment["outputs"]["url"]["value"], "here:80");
    for (inputs, kind, sentence) in [
        (json!({}), Kind::MissingInput, "the deployment needs a value for the input `port`"),
        (
            json!({"port": 80, "hots": 1}),
            Kind::UnknownInput,
            "the blueprint has no input `hots`, only: port, host; did you mean `host`?",
        ),
        (
            json!({"port": "eighty"}),
            Kind::Parsing,
            "the input `port` is of type `integer`, yet its value is `\"eighty\"`",
        ),
    ] {
        let refusal = prepared(text, &inputs).unwrap_err();
        assert_eq!((refusal.kind, refusal.message.as_str()), (kind, sentence));
    }
}

#[test]
fn the_same_seed_makes_the_same_instances() {
    let text = "node_types: {t: {}}\nnode_templates:\n  n:\n    type: t\n    capabilities: \
                {scalable: {properties: {default_instances: 3}}}\n";
    let ids = |deployment: &Json| -> Vec<String> {
        let instances = deployment["node_instances"].as_array().unwrap().iter();
        instances.map(|instance| instance["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = ids(&prepared(text, &json!({})).unwrap());
    assert_eq!(first, ids(&prepared(text, &json!({})).unwrap()));
    assert_eq!(first.len(), 3);
    assert!(first.iter().all(|id| id.len() == "n_123456".len()));
}

#[test]
fn values_that_double_with_every_step_are_refused() {
    let mut text =
        "node_types:\n  t:\n    properties:\n      p0: {default: 0123456789}\n".to_owned();
    for at in 1..40 {
        let before = at - 1;
        let call = format!("{{get_property: [SELF, p{before}]}}");
        writeln!(text, "      p{at}: {{default: {{concat: [{call}, {call}]}}}}").unwrap();
    }
    text += "node_templates: {n: {type: t}}\n";
    let refusal = prepared(&text, &json!({})).unwrap_err();
    assert_eq!(refusal.kind, Kind::RecursionLimit);
}

#[test]
fn functions_that_lead_to_each_other_are_refused() {
    let text = "node_types: {t: {properties: {a: {}, b: {}}}}\nnode_templates:\n  n:\n    type: t\n    \
                properties:\n      a: {get_property: [SELF, b]}\n      b: {get_property: [SELF, a]}\n";
    assert_eq!(prepared(text, &json!({})).unwrap_err().kind, Kind::RecursionLimit);
}

#[test]
fn more_instances_than_a_machine_holds_are_refused() {
    let text = "node_types: {t: {}}\nnode_templates:\n  n:\n    type: t\n    capabilities: \
                {scalable: {properties: {default_instances: 100000000}}}\n";
    let refusal = prepared(text, &json!({})).unwrap_err();
    assert_eq!(refusal.message, "`n` is to have 100000000 instances, at most 100000");
}

/// What `get_property` brings from another node may itself be known at run time only: the
/// operation is then evaluated again, whichever of its two names it is called by.
#[test]
fn an_operation_is_marked_under_both_its_names_when_something_is_left_of_it() {
    let text = "node_types: {t: {properties: {p: {}}}}\n\
                plugins: {x: {executor: central_deployment_agent, install: false}}\n\
                node_templates:\n  \
                one:\n    type: t\n    properties: {p: 1}\n    interfaces: {go: {now: \
                {implementation: x.y, inputs: {i: {get_property: [two, p]}}}}}\n  \
                two: {type: t, properties: {p: {get_attribute: [one, ip]}}}\n";
    let deployment = prepared(text, &json!({})).unwrap();
    for name in ["now", "go.now"] {
        let operation = &deployment["nodes"][0]["operations"][name];
        assert_eq!(operation["inputs"]["i"], json!({"get_attribute": ["one", "ip"]}), "{name}");
        assert_eq!(operation["has_intrinsic_functions"], true, "{name}");
    }
}

#[test]
fn a_member_of_a_scaling_group_that_does_not_scale_is_refused() {
    let text = "node_types: {t: {}}\nnode_templates: {n: {type: t}}\n\
                groups: {inner: {members: [n]}, outer: {members: [inner]}}\n\
                policies: {p: {type: cloudify.policies.scaling, targets: [outer]}}\n";
    let refusal = prepared(text, &json!({})).unwrap_err();
    assert_eq!(refusal.kind, Kind::Key);
    assert_eq!(
        refusal.message,
        "the scaling group `outer` has the member `inner`, which is neither a node nor a group \
         with a scaling policy"
    );
}

fn refused(text: &str) -> String {
    let text = format!("tosca_definitions_version: cloudify_dsl_1_4\n{text}");
    let blueprint = Blueprint { text: &text, location: "main.yaml" };
    parse(blueprint, &NoImports, &Options::default()).expect_err("it costs too much").to_string()
}

/// Found by the fuzzer: every type repeats the names of all it derives from.
#[test]
fn types_that_inherit_without_end_are_refused() {
    for section in ["node_types", "relationships", "data_types"] {
        let mut text = format!("{section}:\n");
        for at in 0..30_000 {
            writeln!(text, "  t{at}: {{derived_from: t{}}}", at + 1).unwrap();
        }
        text += "  t30000: {}\n";
        let told = refused(&text);
        assert!(told.contains("derives from its root over more than 100 steps"), "{told}");
    }
    let mut text = "node_types:\n  base:\n    properties:\n".to_owned();
    for at in 0..2000 {
        writeln!(text, "      p{at}: {{default: 1}}").unwrap();
    }
    for at in 0..5000 {
        writeln!(text, "  t{at}: {{derived_from: base}}").unwrap();
    }
    let told = refused(&text);
    assert!(told.contains("all types inherit more than 500000 values"), "{told}");
}

/// Members of groups are compared with each other, all of them only where that can end.
#[test]
fn a_group_of_thousands_is_judged() {
    let mut text =
        "node_types: {t: {}}\nrelationships: {cloudify.relationships.contained_in: {}}\n\
                    node_templates:\n"
            .to_owned();
    let count = 3000;
    for at in 0..count {
        let container = at.max(1) - 1;
        let relationship = "relationships: [{type: cloudify.relationships.contained_in, target: ";
        let inside =
            if at % 2 == 1 { format!("{relationship}n{container}}}]") } else { String::new() };
        writeln!(text, "  n{at}: {{type: t, {inside}}}").unwrap();
    }
    let members: Vec<_> = (0..count).map(|at| format!("n{at}")).collect();
    let groups = |members: &[String]| {
        format!(
            "groups: {{g: {{members: [{}]}}}}\npolicies: {{p: {{type: cloudify.policies.scaling, \
             targets: [g]}}}}\n",
            members.join(", ")
        )
    };
    let told = refused(&format!("{text}{}", groups(&members)));
    assert!(told.contains("are in the group `g`, but are contained in nothing common"), "{told}");
    let alone: Vec<_> = members.iter().step_by(2).cloned().collect();
    assert_eq!(plan(&format!("{text}{}", groups(&alone))).0["groups"]["g"]["policies"], json!({}));
}

use prost_types::Timestamp;
use serde_json::json;
use waggoner_proto::v1::{
    Deployment, GetDeploymentOutputsResponse, NodeInstance, Plugin, PluginInstallState,
    PluginInstallation,
};

use super::{Fake, wag};

const NOON: Option<Timestamp> = Some(Timestamp { seconds: 1_795_348_800, nanos: 5_000_000 });

fn plugin(id: &str, version: &str) -> Plugin {
    Plugin {
        id: id.to_owned(),
        package_name: "cloudify-aws-plugin".to_owned(),
        package_version: version.to_owned(),
        supported_platform: "manylinux_2_17_x86_64".to_owned(),
        supported_python_versions: vec!["py311".to_owned()],
        size: 9_007_199_254_740_993,
        uploaded_at: NOON,
        ..Plugin::default()
    }
}

fn plugins() -> Fake {
    let mut plugins = ["1", "2", "3"].map(|id| plugin(id, &format!("3.1.{id}"))).to_vec();
    plugins[2].installations = [
        ("web", PluginInstallState::Installed, ""),
        ("db", PluginInstallState::Error, "no room"),
        ("old", PluginInstallState::Uninstalled, ""),
    ]
    .map(|(agent, state, error)| PluginInstallation {
        agent: agent.to_owned(),
        plugin_id: "3".to_owned(),
        state: state.into(),
        error: error.to_owned(),
        updated_at: None,
    })
    .to_vec();
    Fake { plugins, ..Fake::default() }
}

#[tokio::test]
async fn a_list_is_a_table_with_a_line_for_each_thing_of_every_page() {
    let fake = plugins();
    let heard = fake.heard.clone();
    let said = wag(fake, &["plugins", "list"]).await;
    insta::assert_snapshot!(said.out, @"
    ID  PACKAGE              VERSION  PLATFORM               PYTHON  UPLOADED             AGENTS
    1   cloudify-aws-plugin  3.1.1    manylinux_2_17_x86_64  py311   2026-11-22 12:00:00  -
    2   cloudify-aws-plugin  3.1.2    manylinux_2_17_x86_64  py311   2026-11-22 12:00:00  -
    3   cloudify-aws-plugin  3.1.3    manylinux_2_17_x86_64  py311   2026-11-22 12:00:00  web, db: error
    ");
    assert_eq!((said.exit, said.err.as_str()), (0, ""));
    let heard = heard.lock().unwrap();
    assert_eq!(heard.page_tokens, ["", "rest"]);
    assert_eq!(heard.authorization, ["Bearer wgt_test", "Bearer wgt_test"]);
}

#[tokio::test]
async fn a_list_for_programs_has_items_of_a_stable_shape() {
    let said = wag(plugins(), &["plugins", "list", "--output", "json"]).await;
    let json = said.json();
    assert_eq!(json["items"].as_array().unwrap().len(), 3);
    assert_eq!(
        json["items"][0],
        json!({
            "id": "1",
            "tenant": "",
            "title": "",
            "package_name": "cloudify-aws-plugin",
            "package_version": "3.1.1",
            "supported_platform": "manylinux_2_17_x86_64",
            "distribution": "",
            "distribution_version": "",
            "distribution_release": "",
            "supported_python_versions": ["py311"],
            "wheels": [],
            "archive_name": "",
            "digest": "",
            "size": 9_007_199_254_740_993_u64,
            "uploaded_at": "2026-11-22T12:00:00.005Z",
            "yamls": [],
            "installations": [],
        })
    );
    assert_eq!(
        json["items"][2]["installations"][1],
        json!({
            "agent": "db",
            "plugin": "3",
            "state": "error",
            "error": "no room",
            "updated_at": null,
        })
    );
}

#[tokio::test]
async fn an_empty_list_has_a_head_and_no_items() {
    let said = wag(Fake::default(), &["plugins", "list"]).await;
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    let said = wag(Fake::default(), &["-o", "json", "plugins", "list"]).await;
    assert_eq!(said.json(), json!({ "items": [] }));
}

#[tokio::test]
async fn one_thing_is_shown_field_by_field() {
    let node_instance = NodeInstance {
        id: "web_1a2b3c".to_owned(),
        node_id: "web".to_owned(),
        state: "started".to_owned(),
        runtime_properties_json: r#"{"port":8080,"big":9007199254740993,"lines":"a\nb"}"#
            .to_owned(),
        version: 7,
        index: 1,
        ..NodeInstance::default()
    };
    let fake = Fake { node_instances: vec![node_instance], ..Fake::default() };
    let said = wag(fake.clone(), &["node-instances", "get", "web_1a2b3c"]).await;
    insta::assert_snapshot!(said.out, @r#"
    id                  web_1a2b3c
    tenant              -
    deployment_id       -
    node_id             web
    host_id             -
    state               started
    runtime_properties
      {
        "port": 8080,
        "big": 9007199254740993,
        "lines": "a\nb"
      }
    version             7
    index               1
    relationships       -
    "#);
    let said = wag(fake, &["node-instances", "get", "web_1a2b3c", "-o", "json"]).await;
    assert_eq!(said.json()["runtime_properties"]["big"], json!(9_007_199_254_740_993_u64));
}

#[tokio::test]
async fn outputs_are_json_themselves() {
    let outputs = GetDeploymentOutputsResponse {
        outputs_json: r#"{"url":"http://127.0.0.1:80/","ports":[1,2]}"#.to_owned(),
        capabilities_json: String::new(),
    };
    let fake = Fake { outputs, ..Fake::default() };
    let said = wag(fake, &["deployments", "outputs", "web", "-o", "json"]).await;
    let outputs = json!({ "url": "http://127.0.0.1:80/", "ports": [1, 2] });
    assert_eq!(said.json(), json!({ "outputs": outputs, "capabilities": {} }));
}

#[tokio::test]
async fn text_of_others_cannot_steer_the_terminal() {
    let description = "\u{1b}[2Jwiped\r\nthe screen\u{9b}".to_owned();
    let deployment = Deployment { id: description, ..Deployment::default() };
    let fake = Fake { deployments: vec![deployment], ..Fake::default() };
    let said = wag(fake, &["deployments", "list"]).await;
    assert!(said.out.contains("␛[2Jwiped⏎the screen·"), "{}", said.out);
}

#[tokio::test]
async fn inputs_are_sent_as_json() {
    let fake = Fake::default();
    let heard = fake.heard.clone();
    let line = ["deployments", "create", "web", "-b", "bp", "-i", "port=80", "-i", "name=x y"];
    let said = wag(fake, &line).await;
    assert_eq!(said.exit, 0, "{}", said.err);
    let created = heard.lock().unwrap().created.take().unwrap();
    assert_eq!(created.inputs_json, r#"{"port":80,"name":"x y"}"#);
    assert_eq!(created.tenant, "default_tenant");
    assert_eq!(created.request_id.len(), 36);
}

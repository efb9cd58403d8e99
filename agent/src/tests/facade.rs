//! The REST API on the loopback, as clients find it that know nothing of us.

use serde_json::{Value, json};
use waggoner_proto::agent::v1::{self as pb, answer::Outcome, question::Ask};

use super::{
    scripts::script,
    site::{Site, Story, Talk, refuse, value},
};

/// How a script calls the REST API.
const CALL: &str = r#"
    url=https://$REST_HOST:$REST_PORT
    token=$(curl --silent --unix-socket $WAGGONER_SOCKET --request POST \
        http://localhost/waggoner.plugin.v1.ContextService/GetContext |
        sed 's/.*execution_token\\":\\"\([0-9a-f]*\).*/\1/')
    known() { curl --silent --max-time 20 --cacert $LOCAL_REST_CERT_FILE "$@"; echo; }
    stranger() (unset WAGGONER_FAMILY; known "$@")
    call() { known --header "Execution-Token: $token" "$@"; }
    status() { call --output /dev/null --write-out '%{http_code}' "$@"; }
"#;

/// Answers as a manager that has one execution and one file.
fn manager(ask: &Ask) -> Outcome {
    match ask {
        Ask::Resource(resource)
            if resource.path == "/resources/deployments/default_tenant/dep/a.txt" =>
        {
            let data = b"a file".to_vec();
            Outcome::Chunk(pb::FileChunk { data, last: true, directory: false })
        }
        Ask::PutBody(_) => value(&json!({ "size": 1 })),
        Ask::Rest(request) => match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/plugins/p/archive") => {
                let path = "/resources/deployments/default_tenant/dep/a.txt";
                value(&json!({ "status": 200, "file": { "path": path, "name": "p.wgn" } }))
            }
            ("DELETE", _) => value(&json!({ "status": 204, "body": null })),
            ("POST", _) => value(&json!({ "status": 201, "body": {} })),
            _ => value(&json!({ "status": 200, "body": { "id": "e", "status": "started" } })),
        },
        ask => refuse(ask),
    }
}

async fn run(source: &str) -> Story {
    let site = Site::new().await;
    let mut client = site.link().await;
    let start = script(&format!("{CALL}{source}"), &json!({}));
    Talk::start(&mut client, start).await.unwrap().finish(manager).await
}

fn output(story: &Story) -> Vec<String> {
    let lines = story.logs().into_iter();
    lines.filter_map(|line| line.strip_prefix("<out> ").map(str::to_owned)).collect()
}

#[tokio::test]
async fn stock_clients_find_the_rest_api_and_strangers_do_not() {
    let story = run(r#"
        stranger $url/api/v3.1/executions/e
        stranger --header "Execution-Token: none" $url/api/v3.1/executions/e
        call --header "Tenant: other" $url/api/v3.1/executions/e
        call --header "Tenant: default_tenant" $url/api/v3.1/executions/e?_include=id
        call $url/api/version
        call $url/resources/deployments/default_tenant/dep/a.txt
        status $url/resources/none
        status $url/none
        call $url/api/v3.1/events --data \
            '{"events": null, "logs": [{"level": "error", "logger": "l", "message": {"text": "by rest"}}]}'
    "#)
    .await;
    let lines = output(&story);
    let code = |line: &String| {
        let said: Value = serde_json::from_str(line).unwrap();
        assert!(said["message"].is_string() && said["server_traceback"].is_null(), "{said}");
        said["error_code"].as_str().unwrap().to_owned()
    };
    let codes: Vec<String> = lines[..3].iter().map(code).collect();
    assert_eq!(codes, ["unauthorized_error", "unauthorized_error", "forbidden_error"]);
    let found = r#"{"id":"e","status":"started"}"#;
    assert_eq!(lines[3..], [found, found, "a file", "404", "404", "null"], "{lines:#?}");
    assert!(story.logs().iter().any(|line| line == "by rest"), "{:?}", story.logs());
    let rest = story.questions.iter().filter_map(|ask| match ask {
        Ask::Rest(request) => Some((request.path.as_str(), request.query.as_str())),
        _ => None,
    });
    assert_eq!(rest.collect::<Vec<_>>(), [("/executions/e", "_include=id"), ("/version", "")]);
}

#[tokio::test]
async fn a_client_without_a_token_is_the_operations_in_whose_process_it_is() {
    let story = run(r#"
        known $url/api/v3.1/executions/e
        known --user admin:of-another-manager $url/api/v3.1/executions/e
        known --header "Tenant: other" $url/api/v3.1/executions/e
        (export WAGGONER_FAMILY=00000000-0000-0000-0000-000000000001-x; known $url/api/v3.1/executions/e)
    "#)
    .await;
    let lines = output(&story);
    let found = r#"{"id":"e","status":"started"}"#;
    assert_eq!(lines[..2], [found, found], "{lines:#?}");
    assert!(lines[2].contains("forbidden_error"), "{lines:#?}");
    assert!(lines[3].contains("unauthorized_error"), "{lines:#?}");
}

#[tokio::test]
async fn what_is_no_text_or_long_goes_to_the_manager_in_pieces() {
    let story = run(r#"
        head --bytes 600000 /dev/zero | tr '\0' '\377' >binary
        head --bytes 1500000 /dev/zero | tr '\0' 'x' >long
        status --data-binary @binary --header 'Transfer-Encoding: chunked' $url/api/v3.1/plugins
        status --data-binary @long --header 'Content-Type: text/plain' $url/api/v3.1/plugins
        status --data '{"a": 1}' $url/api/v3.1/executions
        status --request DELETE $url/api/v3.1/secrets/s
        call --dump-header - --output /dev/null $url/api/v3.1/plugins/p/archive | tr -d '\r'
    "#)
    .await;
    let lines = output(&story);
    assert_eq!(lines[..4], ["201", "201", "201", "204"], "{lines:#?}");
    let head = lines[4..].join("\n").to_lowercase();
    assert!(head.contains("content-disposition: attachment; filename=\"p.wgn\""), "{head}");
    assert!(head.contains("content-length: 6\n"), "{head}");
    let (mut bodies, mut requests) = (Vec::<(String, Vec<u8>)>::new(), Vec::new());
    for ask in &story.questions {
        match ask {
            Ask::PutBody(piece) => {
                assert!(piece.data.len() <= 256 * 1024);
                if bodies.last().is_none_or(|(id, _)| *id != piece.body_id) {
                    bodies.push((piece.body_id.clone(), Vec::new()));
                }
                let (_, body) = bodies.last_mut().unwrap();
                assert_eq!(piece.offset, body.len() as u64);
                body.extend(&piece.data);
            }
            Ask::Rest(request) => requests.push(request),
            _ => {}
        }
    }
    assert_eq!(bodies[0].1, vec![0xff; 600_000]);
    assert_eq!(bodies[1].1, vec![b'x'; 1_500_000]);
    assert_eq!((&requests[0].body_id, &requests[1].body_id), (&bodies[0].0, &bodies[1].0));
    assert_eq!(requests[1].content_type, "text/plain");
    assert_eq!((requests[2].body_json.as_str(), requests[2].body_id.as_str()), ("{\"a\": 1}", ""));
}

#[tokio::test]
async fn what_the_agent_has_itself_is_no_question() {
    let story = run(r#"
        evaluate() { call $url/api/v3.1/evaluate/functions --data "$1"; }
        nodes=$url/api/v3.1/nodes?deployment_id=dep
        call "$nodes&id=web&_evaluate_functions=True&_instance_context=web_1"
        call "$url/api/v3.1/node-instances/web_1?_evaluate_functions=True"
        evaluate '{"deployment_id": "dep", "context": {}, "payload": {"a": 1, "b": [2, "c"]}}'
        call "$nodes&id=web&_evaluate_functions=True"
        evaluate '{"deployment_id": "dep", "context": {}, "payload": {"get_secret": "a"}}'
        call --request PATCH $url/api/v3.1/node-instances/web_1 --data '{"version": 1}'
    "#)
    .await;
    let lines = output(&story);
    let said = |at: usize| serde_json::from_str::<Value>(&lines[at]).unwrap();
    assert_eq!(said(0)["items"][0]["properties"]["port"], 8080);
    assert_eq!(said(0)["metadata"]["pagination"]["total"], 1);
    assert_eq!(said(1)["runtime_properties"], json!({ "old": [1] }));
    assert_eq!(said(2)["payload"], json!({ "a": 1, "b": [2, "c"] }));
    let rest = story.questions.iter().filter_map(|ask| match ask {
        Ask::Rest(request) => Some(request.path.as_str()),
        _ => None,
    });
    let asked: Vec<_> = rest.collect();
    assert_eq!(asked, ["/nodes", "/evaluate/functions", "/node-instances/web_1"]);
}

#[tokio::test]
async fn lines_that_come_over_rest_keep_their_order() {
    let story = run(r#"
        at=0
        while [ $at -lt 30 ]; do
            echo "url = $url/api/v3.1/events"
            echo "cacert = \"$LOCAL_REST_CERT_FILE\""
            echo "header = \"Execution-Token: $token\""
            echo "data = \"{\\\"logs\\\": [{\\\"level\\\": \\\"info\\\", \\\"message\\\": {\\\"text\\\": \\\"line $at\\\"}}]}\""
            echo next
            at=$((at + 1))
        done >config
        stranger --config config
    "#)
    .await;
    let lines =
        story.logs().into_iter().filter(|line| line.starts_with("line ")).collect::<Vec<_>>();
    assert_eq!(lines, (0..30).map(|at| format!("line {at}")).collect::<Vec<_>>());
}

//! What an operation's process may ask, by every way there is.

use camino::Utf8PathBuf;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tonic::{Code, transport::Endpoint};
use tonic_types::StatusExt as _;
use waggoner_proto::{
    agent::v1::{self as pb, answer, operate_request, operate_response, question::Ask},
    plugin::v1::{self as plugin, context_service_client::ContextServiceClient},
};
use waggoner_types::Body;

use super::{
    scripts::script,
    site::{Site, Talk, refuse, value},
};

async fn question(talk: &mut Talk) -> pb::Question {
    loop {
        if let operate_response::Message::Question(question) = talk.hear().await.unwrap().unwrap() {
            return question;
        }
    }
}

fn piece(data: &str, last: bool) -> answer::Outcome {
    let data = data.as_bytes().to_vec();
    answer::Outcome::Chunk(pb::FileChunk { data, last, directory: false })
}

async fn answer(talk: &Talk, question_id: u64, outcome: answer::Outcome) {
    let answer = pb::Answer { question_id, outcome: Some(outcome) };
    talk.say(operate_request::Message::Answer(answer)).await;
}

#[tokio::test]
async fn a_question_outlives_the_link_and_half_an_answer_is_void() {
    let site = Site::new().await;
    let start = script("ctx get-resource motd | sed 's/^/got /'", &json!({}));
    let id = start.attempt_id.clone();
    let mut client = site.link().await;
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    let asked = question(&mut talk).await;
    answer(&talk, asked.question_id, piece("half of ", false)).await;
    drop((talk, client));

    let mut client = site.link().await;
    let mut talk = Talk::resume(&mut client, &id, 0).await.unwrap();
    let again = question(&mut talk).await;
    assert_eq!(again, asked);
    answer(&talk, again.question_id, piece("the ", false)).await;
    answer(&talk, again.question_id, piece("whole", true)).await;
    let story = talk.finish(refuse).await;
    assert!(story.logs().iter().any(|line| line == "<out> got the whole"), "{:?}", story.logs());
}

#[tokio::test]
async fn any_language_may_speak_grpc_on_the_socket() {
    let site = Site::new().await;
    let mut client = site.link().await;
    let start = script("ctx logger info ready; sleep 600", &json!({}));
    let mut talk = Talk::start(&mut client, start).await.unwrap();
    talk.record(|body| matches!(body, Body::Log { message, .. } if message == "ready")).await;
    let entries = site.house.state.run().read_dir_utf8().unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().into_path());
    let is_operations = |path: &Utf8PathBuf| {
        path.extension() == Some("sock") && path.file_stem() != Some("supervisor")
    };
    let socket = paths.find(is_operations).unwrap();
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://agent.test");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut context = ContextServiceClient::new(channel);

    let answered = context.get_context(plugin::GetContextRequest {}).await.unwrap().into_inner();
    let seen: Value = serde_json::from_str(&answered.context_json).unwrap();
    assert_eq!((seen["node_id"].as_str(), seen["task_id"].as_str()), (Some("web_1"), Some("t-1")));

    let (asked, ()) = tokio::join!(
        context.get_node(plugin::GetNodeRequest {
            node_id: "other".to_owned(),
            instance_context: String::new(),
        }),
        async {
            let asked = question(&mut talk).await;
            assert!(matches!(asked.ask, Some(Ask::Node(_))));
            answer(&talk, asked.question_id, value(&json!({"id": "other"}))).await;
        }
    );
    assert_eq!(asked.unwrap().into_inner().node_json, r#"{"id":"other"}"#);

    let update = plugin::UpdateNodeInstanceRequest {
        node_instance_id: "web_1".to_owned(),
        version: 1,
        runtime_properties_json: Some("{}".to_owned()),
        state: None,
    };
    let (refused, ()) = tokio::join!(context.update_node_instance(update), async {
        let asked = question(&mut talk).await;
        let refusal = pb::Refusal {
            reason: "VERSION_CONFLICT".to_owned(),
            message: "the stored version is newer".to_owned(),
            status: 409,
            error_code: "conflict_error".to_owned(),
        };
        answer(&talk, asked.question_id, answer::Outcome::Refusal(refusal)).await;
    });
    let refused = refused.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Aborted, "the stored version is newer"));
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.metadata["status"].as_str()),
        ("VERSION_CONFLICT", "409")
    );
    talk.cancel(true).await;
    talk.finish(refuse).await;
}

#[tokio::test]
async fn a_directory_comes_with_all_below_it_and_nothing_beside_it() {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in [("a.txt", "a"), ("sub/b.txt", "b")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut escape = tar::Header::new_gnu();
    escape.as_old_mut().name[..9].copy_from_slice(b"../escape");
    escape.set_size(0);
    escape.set_cksum();
    archive.append(&escape, std::io::empty()).unwrap();
    let archive = archive.into_inner().unwrap();
    let site = Site::new().await;
    let mut client = site.link().await;
    let start = script(
        "cd $(ctx download-directory in/www)/www && cat a.txt sub/b.txt && ls -A ../..",
        &json!({}),
    );
    let story = Talk::start(&mut client, start).await.unwrap().finish(|ask| match ask {
        Ask::Resource(resource) if resource.directory && resource.path == "in/www" => {
            let data = archive.clone();
            answer::Outcome::Chunk(pb::FileChunk { data, last: true, directory: true })
        }
        ask => refuse(ask),
    });
    let story = story.await;
    assert!(
        story.logs().iter().any(|line| line.starts_with("<out> abresource-")),
        "{:?}",
        story.logs()
    );
    assert!(!story.logs().iter().any(|line| line.contains("escape")), "{:?}", story.logs());
}

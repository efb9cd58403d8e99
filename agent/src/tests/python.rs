//! Python operations, by the stock cloudify-common in an environment of its own.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use waggoner_proto::agent::v1::{
    self as pb, question::Ask, script_operation, start, write_artifact_request,
};
use waggoner_python::{Interpreter, PackRequest, PackSource, find_interpreters, pack};
use waggoner_types::{Digest, ErrorKind, Exit, OutputStream};

use super::{
    scripts::{manager, script},
    site::{Site, Story, Talk, refuse},
};

/// What stays between runs, beside what cargo builds.
fn cache() -> Utf8PathBuf {
    let test = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
    test.ancestors().nth(3).unwrap().join("tmp/waggoner-agent")
}

/// An interpreter that cloudify-common runs on.
async fn interpreter() -> Interpreter {
    let path = std::env::var("PATH").unwrap();
    for directory in
        path.split(':').filter(|place| Utf8Path::new(place).join("python3.11").exists())
    {
        let found = find_interpreters(&[Utf8PathBuf::from(directory)]).await;
        if let Some(python) = found.into_iter().find(|python| python.tag == "py311") {
            return python;
        }
    }
    waggoner_python::interpreters().await.first().expect("this host has a Python").clone()
}

/// A site whose agent holds a wagon of cloudify-common, and the environment made of it.
async fn site() -> (Site, pb::Environment) {
    site_with(PackSource::Requirement("cloudify-common==7.0.5"), "cloudify-common", "7.0.5").await
}

/// A site with the plugin that is run under the stock dispatcher as well.
pub(super) async fn stock_site() -> (Site, pb::Environment) {
    let tree = super::stock::tree();
    site_with(PackSource::Directory(&tree), "stock-plugin", "1.0").await
}

/// The interpreter of an environment.
pub(super) async fn interpreter_of(site: &Site, environment: &pb::Environment) -> Utf8PathBuf {
    let wanted = crate::start::environment(Some(environment.clone()), "environment");
    let wanted = wanted.unwrap().unwrap();
    let house = &site.house;
    let prepared = crate::environments::prepare(&house.environments, &house.artifacts, &wanted);
    prepared.await.unwrap().python
}

async fn site_with(
    source: PackSource<'_>,
    package_name: &str,
    package_version: &str,
) -> (Site, pb::Environment) {
    let python = interpreter().await;
    let cache = cache();
    fs_err::create_dir_all(&cache).unwrap();
    // Each test is a process, and one download is enough.
    let lock = fs_err::File::create(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    let request = PackRequest {
        source,
        python: &python,
        cache: &cache.join("packs"),
        os: waggoner_wagon::OsProperties::default(),
        with: &[],
    };
    fs_err::create_dir_all(cache.join("packs")).unwrap();
    let wagon = fs_err::read(pack(&request).await.unwrap()).unwrap();
    let site = Site::with_python(&cache.join("root"), python).await;
    let digest = Digest(Sha256::digest(&wagon).into()).to_string();
    upload(&site, &digest, &wagon).await;
    let environment = pb::Environment {
        package_name: package_name.to_owned(),
        package_version: package_version.to_owned(),
        wagon_digest: digest,
        ..pb::Environment::default()
    };
    let mut client = site.link().await;
    let request = pb::PrepareEnvironmentRequest { environment: Some(environment.clone()) };
    let ready = client.prepare_environment(request).await.unwrap().into_inner();
    assert!(ready.python_tag.starts_with("py3"));
    (site, environment)
}

async fn upload(site: &Site, digest: &str, bytes: &[u8]) {
    use write_artifact_request::Message;
    let mut client = site.link().await;
    let header = pb::ArtifactHeader { digest: digest.to_owned(), size: bytes.len() as u64 };
    let mut messages = vec![Message::Header(header)];
    messages.extend(bytes.chunks(256 * 1024).map(|chunk| Message::Chunk(chunk.to_vec())));
    let requests =
        messages.into_iter().map(|message| pb::WriteArtifactRequest { message: Some(message) });
    client.write_artifact(tokio_stream::iter(requests.collect::<Vec<_>>())).await.unwrap();
    let digests = vec![digest.to_owned()];
    let missing = client.find_missing_artifacts(pb::FindMissingArtifactsRequest { digests }).await;
    assert!(missing.unwrap().into_inner().digests.is_empty());
}

fn python_script(source: &str, environment: &pb::Environment) -> pb::Start {
    let mut start = script("", &json!({}));
    if let Some(start::Implementation::Script(operation)) = &mut start.implementation {
        operation.script = Some(script_operation::Script::Source(source.to_owned()));
        operation.environment = Some(environment.clone());
    }
    start
}

async fn run(site: &Site, start: pb::Start) -> Story {
    let mut client = site.link().await;
    Talk::start(&mut client, start).await.unwrap().finish(manager).await
}

#[tokio::test]
async fn a_python_script_works_with_ctx_and_the_rest_client() {
    let (site, environment) = site().await;
    let source = "
from cloudify import ctx
from cloudify.state import ctx_parameters
from cloudify.manager import get_rest_client
ctx.logger.info('port %s', ctx.node.properties['port'])
ctx.instance.runtime_properties['greeting'] = ctx_parameters['greeting']
ctx.send_event('half way')
print('printed')
ctx.logger.info('the execution is %s', get_rest_client().executions.get('e').status)
ctx.returns({'old': ctx.instance.runtime_properties['old']})
";
    let mut start = python_script(source, &environment);
    start.inputs_json = json!({"greeting": "hello"}).to_string();
    let story = run(&site, start).await;
    assert_eq!(story.outcome().result, Ok(json!({"old": [1]})), "{:?}", story.logs());
    assert!(story.logs().iter().any(|line| line == "port 8080"), "{:?}", story.logs());
    assert!(
        story.logs().iter().any(|line| line == "the execution is started"),
        "{:?}",
        story.logs()
    );
    assert!(story.output(OutputStream::Stdout).starts_with(b"printed\n"));
    let updates: Vec<_> = story
        .questions
        .iter()
        .filter_map(|ask| match ask {
            Ask::UpdateNodeInstance(update) => update.runtime_properties_json.as_deref(),
            _ => None,
        })
        .collect();
    let [update] = updates.as_slice() else { panic!("{:?}", story.questions) };
    let properties: serde_json::Value = serde_json::from_str(update).unwrap();
    assert_eq!(properties, json!({"old": [1], "greeting": "hello"}));
}

#[tokio::test]
async fn a_python_operation_ends_as_the_stock_worker_says() {
    let (site, environment) = site().await;
    let story = run(&site, python_script("1 / 0", &environment)).await;
    assert_eq!(story.error().kind, ErrorKind::Recoverable);
    assert_eq!(story.error().exception_type, "ZeroDivisionError");
    assert!(story.error().traceback.contains("1 / 0") || story.error().traceback.contains("exec"));

    let exits = run(&site, python_script("import os; os._exit(3)", &environment)).await;
    assert_eq!(exits.error().kind, ErrorKind::NonRecoverable);
    assert_eq!(exits.outcome().exit, Some(Exit::Code(3)));

    let source = "from cloudify import ctx; ctx.returns(object())";
    let no_json = run(&site, python_script(source, &environment)).await;
    assert_eq!(no_json.error().kind, ErrorKind::NonRecoverable, "{:?}", no_json.error());

    let mut start = script("", &json!({}));
    start.implementation = Some(start::Implementation::Python(pb::PythonOperation {
        task_name: "no_such_module.start".to_owned(),
        environment: Some(environment),
    }));
    let missing = run(&site, start).await;
    assert!(missing.error().message.contains("no_such_module"), "{:?}", missing.error());
}

#[tokio::test]
async fn what_an_environment_lacks_is_one_clear_sentence() {
    let site = Site::new().await;
    let digest = "0".repeat(64);
    let environment = pb::Environment {
        package_name: "web-plugin".to_owned(),
        package_version: "1.0".to_owned(),
        wagon_digest: digest.clone(),
        ..pb::Environment::default()
    };
    let mut start = script("", &json!({}));
    start.implementation = Some(start::Implementation::Python(pb::PythonOperation {
        task_name: "web_plugin.start".to_owned(),
        environment: Some(environment),
    }));
    let story = site.run(start).await;
    assert_eq!(
        story.error().message,
        format!(
            "the artifact {digest} of the plugin `web-plugin` is not on this agent: the manager has \
             to send it first"
        )
    );
    let mut start = script("", &json!({"eval_python": true}));
    start.inputs_json = String::new();
    let mut client = site.link().await;
    let story = Talk::start(&mut client, start).await.unwrap().finish(refuse).await;
    assert!(story.error().message.contains("upload a wagon of `cloudify-common`"));
    assert_eq!(story.error().kind, ErrorKind::NonRecoverable);
}

#[tokio::test]
async fn a_plugin_finds_itself_and_its_deployments_directory() {
    let (site, environment) = stock_site().await;
    let mut start = script("", &json!({}));
    let mut context: serde_json::Value = serde_json::from_str(&start.context_json).unwrap();
    context["plugin"] =
        json!({"name": "stock", "package_name": "stock-plugin", "package_version": "1.0"});
    start.context_json = context.to_string();
    start.implementation = Some(start::Implementation::Python(pb::PythonOperation {
        task_name: "stock_plugin.errors.folders".to_owned(),
        environment: Some(environment.clone()),
    }));
    let story = run(&site, start).await;
    let found = story.outcome().result.clone().unwrap();
    let path = |at: usize| Utf8PathBuf::from(found[at].as_str().unwrap());
    let interpreter = interpreter_of(&site, &environment).await;
    let prefix = interpreter.parent().unwrap().parent().unwrap();
    assert_eq!(path(0).canonicalize_utf8().unwrap(), prefix.canonicalize_utf8().unwrap());
    let work = site.house.state.work();
    assert!(path(1).starts_with(&work) && path(1).is_dir(), "{found}");
    assert_eq!(path(2), work.join("deployments/default_tenant/dep"));
}

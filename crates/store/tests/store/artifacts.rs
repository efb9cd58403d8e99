use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use waggoner_store::{
    Store,
    artifact::{Announced, Artifact, ArtifactError, Received},
    plugin::Plugin,
};
use waggoner_types::Digest;

use crate::scene::{Scene, plugin, tenant};

fn announced(bytes: &[u8]) -> Announced {
    Announced { digest: Digest(Sha256::digest(bytes).into()), size: bytes.len() as u64 }
}

/// Sends `bytes` in small pieces as what was announced.
async fn send(
    store: &Store,
    announced: Announced,
    bytes: &[u8],
) -> Result<Received, ArtifactError> {
    let mut incoming = store.artifacts().receive(announced).await?;
    for piece in bytes.chunks(3) {
        incoming.write(piece).await?;
    }
    incoming.finish().await
}

async fn keep(store: &Store, bytes: &[u8]) -> Artifact {
    send(store, announced(bytes), bytes).await.unwrap().publish().await.unwrap()
}

/// The names of all files under `artifacts`.
fn files(scene: &Scene) -> Vec<String> {
    let directory = scene.directory.path().join("data/artifacts");
    let mut names = Vec::new();
    for directory in [directory.join(".incoming"), directory] {
        for entry in fs_err::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                names.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn an_artifact_is_read_back_byte_for_byte() {
    let scene = Scene::new().await;
    let bytes = b"a wagon full of wheels";
    let received = send(&scene.store, announced(bytes), bytes).await.unwrap();
    assert_eq!(fs_err::read(received.path()).unwrap(), bytes);
    let digest = announced(bytes).digest;
    let unseen = scene.store.artifacts().open_artifact(digest).await;
    assert!(matches!(unseen, Err(ArtifactError::Missing { .. })));

    let artifact = received.publish().await.unwrap();
    assert_eq!((artifact.digest, artifact.size), (digest, bytes.len() as u64));
    let (mut file, size) = scene.store.artifacts().open_artifact(digest).await.unwrap();
    let mut read = Vec::new();
    file.read_to_end(&mut read).await.unwrap();
    assert_eq!((read.as_slice(), size), (bytes.as_slice(), bytes.len() as u64));
    assert_eq!(files(&scene), [digest.to_string()]);
}

#[tokio::test]
async fn what_is_not_as_it_was_announced_leaves_nothing() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let truth = announced(b"twelve bytes");

    let short = send(store, truth, b"twelve byte").await;
    assert!(matches!(short, Err(ArtifactError::Size { announced: 12, got: 11 })));
    let long = send(store, truth, b"twelve bytes and more").await;
    assert!(matches!(long, Err(ArtifactError::Size { announced: 12, got: 15 })));
    let other = send(store, truth, b"twelve BYTES").await;
    assert!(matches!(other, Err(ArtifactError::Digest { .. })));
    drop(store.artifacts().receive(truth).await.unwrap());
    drop(send(store, truth, b"twelve bytes").await.unwrap());
    assert_eq!(files(&scene), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_cleared_at_the_next_start() {
    let scene = Scene::new().await;
    let half = scene.directory.path().join("data/artifacts/.incoming/half");
    fs_err::write(half, "ha").unwrap();
    assert_eq!(files(&scene).len(), 1);
    let scene = scene.reopened().await;
    assert_eq!(files(&scene), Vec::<String>::new());
}

#[tokio::test]
async fn the_sweep_takes_what_nobody_refers_to_and_waits_for_who_is_about_to() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let orphan = keep(store, b"orphan").await.digest;
    let named = keep(store, b"named").await.digest;

    let held = keep(store, b"used").await;
    let used = held.digest;
    let mut sweep = Box::pin(store.sweep_artifacts(|| [named].into()));
    tokio::select! {
        biased;
        swept = &mut sweep => panic!("swept {swept:?} while an artifact is held"),
        stored = store.create_plugin(Plugin { digest: used, ..plugin(1, "1.0") }) => stored.unwrap(),
    }
    drop(held);
    assert_eq!(sweep.await.unwrap(), [orphan]);
    let mut left = [used, named].map(|digest| digest.to_string());
    left.sort();
    assert_eq!(files(&scene), left);
    store.artifacts().remove(named).await.unwrap();

    store.artifacts().remove(used).await.unwrap();
    store.artifacts().remove(used).await.unwrap();
    assert_eq!(files(&scene), Vec::<String>::new());
    assert!(store.plugin(tenant(), plugin(1, "1.0").id).await.is_ok());
}

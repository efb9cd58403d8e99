use std::os::unix::fs::PermissionsExt as _;

use camino_tempfile::tempdir;
use waggoner_store::{OpenError, Store};

use crate::scene::{Scene, tenant};

#[tokio::test]
async fn a_data_directory_has_one_manager() {
    let scene = Scene::new().await;
    let data = scene.directory.path().join("data");
    let second = Store::open(data.clone()).await;
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(scene.store);
    Store::open(data).await.unwrap();
}

#[tokio::test]
async fn nobody_else_may_read_what_is_made() {
    let scene = Scene::new().await;
    let data = scene.directory.path().join("data");
    let mode = |path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data.clone()), 0o700);
    for file in ["store.db", "store.db-wal", "secrets.key", "store.lock"] {
        assert_eq!(mode(data.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_as_it_is() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("store.db");
    let text = "not a database, and longer than a header of one has to be".repeat(20);
    fs_err::write(&path, &text).unwrap();
    let refused = Store::open(directory.path()).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Database { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), format!("failed to open the database `{path}`"));
    assert_eq!(fs_err::read_to_string(path).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_with_a_sentence() {
    let scene = Scene::new().await;
    let data = scene.directory.path().join("data");
    drop(scene.store);
    // The version is the big-endian number at offset 60 of the file (SQLite, file format 1.3).
    let path = data.join("store.db");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&77_u32.to_be_bytes());
    fs_err::write(&path, bytes).unwrap();

    let refused = Store::open(data).await.unwrap_err();
    assert!(matches!(&refused, OpenError::Newer { found: 77, .. }), "{refused:?}");
    assert!(refused.to_string().contains("start the newer manager that made it"), "{refused}");
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let scene = Scene::new().await;
    scene.store.tenant(tenant()).await.unwrap();
    let Scene { directory, store } = scene;
    let log = directory.path().join("data/store.db-wal");
    assert!(log.exists());
    drop(store);
    assert!(!log.exists());
}

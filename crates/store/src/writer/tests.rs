use std::sync::mpsc;

use camino_tempfile::{Utf8TempDir, tempdir};
use tokio::{
    sync::oneshot,
    task::{JoinSet, yield_now},
};
use waggoner_types::TenantName;

use super::Tx;
use crate::{Error, PageRequest, Store, column::run, error::Stop};

/// How many writes gather behind the one that holds the writer.
const CALLERS: usize = 300;

async fn open() -> (Utf8TempDir, Store) {
    let directory = tempdir().unwrap();
    let store = Store::open(directory.path().join("data")).await.unwrap();
    (directory, store)
}

fn tenant(number: usize) -> TenantName {
    format!("t{number}").parse().unwrap()
}

async fn create(store: Store, name: TenantName) -> Result<TenantName, Error> {
    Ok(store.create_tenant(name, jiff::Timestamp::UNIX_EPOCH).await?.name)
}

/// Makes the writer wait inside a write, lets `writes` queue up behind it, and lets it go.
async fn in_one_group<T, F>(store: &Store, writes: impl Iterator<Item = F>) -> Vec<Result<T, Error>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let (release, released) = mpsc::channel::<()>();
    let (holds, held) = oneshot::channel();
    let holder = store.clone();
    let mut holding = JoinSet::new();
    holding.spawn(async move {
        let wait = move |_: &Tx<'_>| {
            holds.send(()).ok();
            released.recv().ok();
            Ok(())
        };
        holder.write("hold the writer", wait).await
    });
    held.await.unwrap();

    let mut writing: JoinSet<_> = writes.collect();
    let jobs = store.inner.writer.jobs.as_ref().unwrap();
    while jobs.max_capacity() - jobs.capacity() < writing.len() {
        yield_now().await;
    }
    release.send(()).unwrap();
    holding.join_next().await.unwrap().unwrap().ok();

    let mut results = Vec::new();
    while let Some(result) = writing.join_next().await {
        results.push(result.unwrap());
    }
    results
}

#[tokio::test]
async fn writes_that_wait_together_share_a_commit() {
    let (_directory, store) = open().await;
    let before = store.activity();
    let writes = (0..CALLERS).map(|number| create(store.clone(), tenant(number)));
    let results = in_one_group(&store, writes).await;
    assert!(results.iter().all(Result::is_ok));

    let after = store.activity();
    assert_eq!(after.writes - before.writes, CALLERS as u64 + 1);
    assert_eq!(after.commits - before.commits, 1);
    let page = store.tenants(&PageRequest::new(500, "")).await.unwrap();
    assert_eq!(page.items.len(), CALLERS);
}

#[tokio::test]
async fn a_write_that_fails_or_panics_is_undone_alone() {
    let (_directory, store) = open().await;
    let half = |number: usize| {
        move |tx: &Tx<'_>| -> Result<TenantName, Stop> {
            let name = tenant(number);
            run(tx, "INSERT INTO tenants VALUES (?1, 0)", [name.as_str()])?;
            assert!(number % 3 == 1, "in the middle of a write");
            run(tx, "INSERT INTO tenants VALUES (?1, 0)", [name.as_str()])?;
            Ok(name)
        }
    };
    let writes = (0..CALLERS).map(|number| {
        let store = store.clone();
        async move {
            match number % 3 {
                0 => create(store, tenant(number)).await,
                _ => store.write("fail half-way", half(number)).await,
            }
        }
    });
    let results = in_one_group(&store, writes).await;
    let good = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!((good, results.len()), (CALLERS / 3, CALLERS));

    let page = store.tenants(&PageRequest::new(500, "")).await.unwrap();
    assert_eq!(page.items.len(), CALLERS / 3);
    for tenant in page.items {
        let number: usize = tenant.name.as_str()[1..].parse().unwrap();
        assert_eq!(number % 3, 0);
    }
}

#[tokio::test]
async fn a_lost_transaction_is_reported_to_all_of_its_group_and_to_nobody_else() {
    let (_directory, store) = open().await;
    let writes = (0..3).map(|number| {
        let store = store.clone();
        async move {
            if number != 1 {
                return create(store, tenant(number)).await;
            }
            // What SQLite does by itself when the disk is full.
            let lose = |tx: &Tx<'_>| {
                tx.execute_batch("ROLLBACK")?;
                Ok(tenant(1))
            };
            store.write("lose the transaction", lose).await
        }
    });
    let results = in_one_group(&store, writes).await;
    let failed = results.iter().filter(|result| matches!(result, Err(Error::Failed { .. })));

    // What was behind the loss is in the next group and is kept.
    let kept = store.tenants(&PageRequest::default()).await.unwrap().items;
    assert_eq!((failed.count(), kept.len()), (2, 1));
    assert_eq!(kept[0].name, tenant(2));
    create(store, tenant(9)).await.unwrap();
}

#[tokio::test]
async fn who_looks_before_a_change_is_refused_alone_and_fails_with_its_group() {
    let (_directory, store) = open().await;
    let change = |tx: &Tx<'_>| run(tx, "INSERT INTO tenants VALUES ('half', 0)", []);
    for changes in [false, true] {
        let writes = (0..3).map(|number| {
            let store = store.clone();
            async move {
                if number != 1 {
                    return create(store, tenant(number + if changes { 3 } else { 0 })).await;
                }
                let fail = move |tx: &Tx<'_>| -> Result<TenantName, Stop> {
                    if changes {
                        change(tx)?;
                    }
                    Err(Error::InvalidPageToken.into())
                };
                store.write_checked("fail", fail).await
            }
        });
        let results = in_one_group(&store, writes).await;
        let refused =
            results.iter().filter(|result| matches!(result, Err(Error::InvalidPageToken)));
        let lost = results.iter().filter(|result| matches!(result, Err(Error::Failed { .. })));
        // What is behind the failure is in the next group.
        assert_eq!((refused.count(), lost.count()), if changes { (0, 2) } else { (1, 0) });
    }
    let kept = store.tenants(&PageRequest::default()).await.unwrap().items;
    let kept: Vec<_> = kept.into_iter().map(|kept| kept.name).collect();
    assert_eq!(kept, [tenant(0), tenant(2), tenant(5)]);
}

#[tokio::test]
async fn dropping_the_last_handle_commits_what_was_sent() {
    let (directory, store) = open().await;
    create(store.clone(), tenant(1)).await.unwrap();
    drop(store);
    let store = Store::open(directory.path().join("data")).await.unwrap();
    assert_eq!(store.tenant(tenant(1)).await.unwrap().name, tenant(1));
}

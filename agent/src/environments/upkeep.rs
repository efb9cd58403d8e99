//! Letting go the environments and wagons that nobody uses.

use std::{convert::Infallible, time::Duration};

use camino::Utf8Path;
use jiff::Timestamp;
use tokio::{task::spawn_blocking, time::sleep};
use tracing::{info, warn};
use waggoner_python::{Environments, Unwanted};
use waggoner_types::{Chain, Digest};

use crate::{artifacts::Artifacts, environments::Installs, house::House, operation};

/// How often is looked what may go.
const ROUND: Duration = Duration::from_hours(1);

/// Removes from time to time what nobody has used for so long.
pub(crate) async fn keep(house: &House, unused_for: Duration) -> Infallible {
    let House { environments, artifacts, installs, .. } = house;
    rounds(environments, artifacts, installs, &house.state.work(), unused_for).await
}

/// Removes a plugin that no operation uses now, with its wagon. Says whether it is gone: one that
/// is being installed stays.
pub(crate) async fn remove(house: &House, wagon: Digest) -> std::io::Result<bool> {
    let House { environments, artifacts, installs, .. } = house;
    if installs.is_installing(wagon) {
        return Ok(false);
    }
    let removed = environments.collect(Unwanted::OfWagon(wagon), Timestamp::now()).await?;
    if environments.list()?.iter().any(|installed| installed.wagon == wagon) {
        return Ok(false);
    }
    unlink(&house.state.work()).await;
    info!(%wagon, environments = removed.len(), "removed a plugin");
    artifacts.remove(wagon)?;
    installs.forget(wagon);
    Ok(true)
}

async fn rounds(
    environments: &Environments,
    artifacts: &Artifacts,
    installs: &Installs,
    work: &Utf8Path,
    unused_for: Duration,
) -> Infallible {
    loop {
        // First of all operations that run on take hold of what they use.
        sleep(ROUND).await;
        let now = Timestamp::now();
        match environments.collect(Unwanted::UnusedFor(unused_for), now).await {
            Ok(removed) => removed.iter().for_each(|one| installs.forget(one.wagon)),
            Err(error) => warn!(error = %Chain(&error), "unused environments are not removed"),
        }
        unlink(work).await;
        if let Err(error) = artifacts.collect(unused_for, now) {
            warn!(error = %Chain(&error), "unused artifacts are not removed");
        }
    }
}

/// Removes what leads to environments that are gone.
async fn unlink(work: &Utf8Path) {
    let work = work.to_owned();
    let tidied = spawn_blocking(move || operation::tidy(&work)).await;
    if let Err(error) = tidied.map_err(std::io::Error::other).flatten() {
        warn!(error = %Chain(&error), "links to environments that are gone stay");
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use camino_tempfile::Utf8TempDir;
    use fs_err as fs;
    use serde_json::json;

    use super::*;

    const WEEK: Duration = Duration::from_hours(7 * 24);

    const YOUNGER: Duration = Duration::from_hours(7 * 24 - 3);

    fn age(path: &Utf8Path, age: Duration) {
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// An environment as far as its record and its interpreter go.
    fn environment(root: &Utf8Path, name: &str, wagon: Digest, unused_for: Duration) {
        let directory = root.join("environments");
        fs::create_dir_all(directory.join(name).join("bin")).unwrap();
        fs::write(directory.join(name).join("bin/python"), "").unwrap();
        let record = json!({
            "name": name, "key": name, "package_name": "web", "package_version": "1.0",
            "tag": "py311", "python_version": "3.11.7", "common_version": "7.0.5",
            "wagon": wagon.to_string(), "wheels": [], "built_at": "2026-01-01T00:00:00Z",
        });
        let path = directory.join(format!("{name}.json"));
        fs::write(&path, record.to_string()).unwrap();
        age(&path, unused_for);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_used_for_long_goes_hour_by_hour() {
        let directory = Utf8TempDir::new().unwrap();
        let root = directory.path().join("python");
        let (old, new) = (Digest([1; 32]), Digest([2; 32]));
        environment(&root, "old", old, WEEK);
        environment(&root, "new", new, YOUNGER);
        fs::create_dir_all(root.join("wheels")).unwrap();
        let artifacts = Artifacts::open(directory.path().join("artifacts")).unwrap();
        for (digest, unused_for) in [(old, WEEK), (new, Duration::ZERO)] {
            fs::write(artifacts.path(digest), "wagon").unwrap();
            age(&artifacts.path(digest), unused_for);
        }
        let environments = Environments::with_tools(&root, None, Vec::new());
        let installs = Installs::of(&environments);
        let names = || {
            let listed = environments.list().unwrap();
            listed.into_iter().map(|installed| installed.name).collect::<Vec<_>>()
        };
        let work = directory.path().join("work");
        let place = work.join("plugins/tenant/web/1.0");
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::os::unix::fs::symlink(root.join("environments/old"), &place).unwrap();
        let rounds = rounds(&environments, &artifacts, &installs, &work, WEEK);
        tokio::select! {
            never = rounds => match never {},
            () = async {
                sleep(ROUND / 2).await;
                assert_eq!(names(), ["new", "old"]);
                assert!(place.is_symlink());
                sleep(ROUND).await;
                assert_eq!(names(), ["new"]);
            } => {}
        }
        assert!(!place.is_symlink());
        assert_eq!(artifacts.find(old), None);
        assert!(artifacts.find(new).is_some());
        assert_eq!(installs.message().plugins.len(), 1);
    }
}

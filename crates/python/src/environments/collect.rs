//! Which environments go, and their going: the environment, then the wheels that no other one was
//! made of, then what uv has unpacked of those.

use std::{collections::BTreeSet, io, time::Duration};

use camino::Utf8Path;
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tracing::{info, warn};
use waggoner_types::Digest;

use super::{Environments, Installed, build, lock::Lock, record, wheels};

/// Which environments may go, unless somebody holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// Those that nobody has used for so long.
    UnusedFor(Duration),
    /// Those of one wagon.
    OfWagon(Digest),
}

// === impl Unwanted ===

impl Unwanted {
    /// Decides about an environment that nobody holds.
    fn takes(&self, installed: &Installed, used_at: Timestamp, now: Timestamp) -> bool {
        match self {
            // A clock that was set back makes nothing old.
            Self::UnusedFor(most) => {
                now.duration_since(used_at).unsigned_abs() >= *most && now > used_at
            }
            Self::OfWagon(wagon) => installed.wagon == *wagon,
        }
    }
}

// === impl Environments ===

impl Environments {
    /// Removes what is unwanted and not held, and the wheels that no environment left was made of.
    /// Returns the environments that went.
    ///
    /// What builds that were killed left goes as well.
    pub async fn collect(&self, unwanted: Unwanted, now: Timestamp) -> io::Result<Vec<Installed>> {
        let environments = self.clone();
        // Tens of thousands of files go.
        let work = move || environments.remove_all(unwanted, now);
        let removed = spawn_blocking(work).await.map_err(io::Error::other)??;
        if sweep(&self.directory()).await? || !removed.is_empty() {
            self.collect_wheels().await?;
        }
        Ok(removed)
    }

    /// Removes what is unwanted.
    fn remove_all(&self, unwanted: Unwanted, now: Timestamp) -> io::Result<Vec<Installed>> {
        let directory = self.directory();
        let mut removed = Vec::new();
        for installed in self.list()? {
            let used_at = record::used_at(&directory, &installed);
            if unwanted.takes(&installed, used_at, now) && self.remove(&installed)? {
                info!(environment = installed.name, "removed an environment");
                removed.push(installed);
            }
        }
        Ok(removed)
    }

    /// Removes an environment, unless somebody holds it or is making it.
    fn remove(&self, installed: &Installed) -> io::Result<bool> {
        let directory = self.directory();
        let path = directory.join(format!("{}.lock", installed.name));
        let Some(_lock) = Lock::try_take(&path)? else { return Ok(false) };
        {
            // Whoever asks from now on finds it gone, and makes it anew once the lock is free.
            let mut makings = self.inner.makings.lock().expect("nobody panics while holding it");
            if makings.get(&installed.key).is_some_and(|making| making.is_leased()) {
                return Ok(false);
            }
            makings.remove(&installed.key);
            record::forget(&directory, &installed.name)?;
        }
        record::remove(&directory, &installed.name)?;
        Ok(true)
    }

    /// Removes the wheels that no environment was made of.
    pub(super) async fn collect_wheels(&self) -> io::Result<()> {
        // What is being built has wheels and no record yet. Then the next time will do.
        let Ok(_quiet) = self.inner.quiet.try_write() else { return Ok(()) };
        let kept: BTreeSet<Digest> =
            self.list()?.into_iter().flat_map(|installed| installed.wheels).collect();
        let wheels = self.inner.root.join("wheels");
        let collected = spawn_blocking(move || wheels::collect(&wheels, &kept)).await;
        let gone = collected.map_err(io::Error::other)??;
        if let Some(uv) = self.inner.uv.as_ref().filter(|_| !gone.is_empty())
            && let Err(error) = build::forget(&self.inner.root, uv, gone).await
        {
            warn!(%error, "uv keeps what it has unpacked of wheels that are gone");
        }
        Ok(())
    }
}

/// Removes what has no record and is not being made, when nothing runs there any more. Says whether
/// there was any.
async fn sweep(directory: &Utf8Path) -> io::Result<bool> {
    let place = directory.to_owned();
    let names =
        spawn_blocking(move || record::without(&place)).await.map_err(io::Error::other)??;
    let mut any = false;
    for name in names {
        if let Some(mut lock) = Lock::try_take(&directory.join(format!("{name}.lock")))?
            && record::read(directory, &name).is_none()
        {
            if let Err(error) = lock.bury().await {
                warn!(environment = name, %error, "what a killed build has left stays");
                continue;
            }
            record::clear(directory, &name).await?;
            any = true;
        }
    }
    Ok(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(wagon: u8) -> Installed {
        Installed {
            name: "web-1.0".to_owned(),
            key: "key".to_owned(),
            package_name: "web".to_owned(),
            package_version: "1.0".to_owned(),
            tag: "py311".to_owned(),
            python_version: "3.11.7".to_owned(),
            common_version: "7.0.5".to_owned(),
            wagon: Digest([wagon; 32]),
            wheels: Vec::new(),
            built_at: Timestamp::UNIX_EPOCH,
            reads_blueprints: None,
        }
    }

    #[test]
    fn what_goes_is_what_was_not_used_or_what_is_of_the_wagon() {
        const DAY: Duration = Duration::from_hours(24);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let ago = |seconds| now - Duration::from_secs(seconds);
        let week = Unwanted::UnusedFor(7 * DAY);
        for (unwanted, used_at, goes) in [
            (week, now, false),
            (week, ago(7 * 24 * 3600 - 1), false),
            (week, ago(7 * 24 * 3600), true),
            // The clock was set back by a month.
            (week, now + 30 * DAY, false),
            (Unwanted::UnusedFor(Duration::ZERO), ago(1), true),
            (Unwanted::OfWagon(Digest([1; 32])), now, true),
            (Unwanted::OfWagon(Digest([2; 32])), ago(1_000_000), false),
        ] {
            assert_eq!(unwanted.takes(&installed(1), used_at, now), goes, "{unwanted:?} {used_at}");
        }
    }
}

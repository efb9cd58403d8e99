//! The files of an operation's blueprint, where plugins open them that expect to be on the manager's
//! host.
//!
//! ```text
//!  /opt/manager/resources/blueprints/<tenant>/<blueprint>
//!     ─▶ work/blueprints/<tenant>/<blueprint>/<digest of all files>
//! ```
//!
//! They are asked for at each operation of such a plugin: another blueprint may have got the name.
//! Where the files are the same, the directory stays the one that other operations have open. When
//! it was last used is when it was last changed.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tracing::debug;
use uuid::Uuid;
use waggoner_python::Environment;
use waggoner_types::{Chain, Digest};

use super::{below, link, remove_if_empty, unlink};
use crate::{context::HostApi, house::House, start::Start};

/// Where a manager of Cloudify's keeps the files of blueprints.
const BLUEPRINTS: &str = "/opt/manager/resources/blueprints";

/// How long an operation may have files open to which nothing leads any more: another agent of this
/// host may have taken the place.
const UNLINKED: Duration = Duration::from_hours(24);

/// How long files are kept to which their place leads, unless an operation uses them.
const LINKED: Duration = Duration::from_hours(14 * 24);

/// Held while files are kept, and while those that are not used any more are removed.
static KEEPING: Mutex<()> = Mutex::new(());

/// The files of a blueprint, as they came for one operation.
#[derive(Debug)]
pub(in crate::operation) struct Brought {
    files: Utf8PathBuf,
    own: Utf8PathBuf,
    place: Utf8PathBuf,
}

/// Brings the files of the operation's blueprint, if its plugin opens them; what cannot be brought
/// is missing for it alone. Cancel safe: they are the operation's own until they are kept.
pub(in crate::operation) async fn bring(
    house: &House,
    api: &HostApi,
    environment: &Environment,
    start: &Start,
) -> Option<Brought> {
    if !environment.reads_blueprints {
        return None;
    }
    let field = |name: &str| start.context.get(name).and_then(Value::as_str).unwrap_or_default();
    let names = [api.tenant(), field("blueprint_id")];
    let (own, place) = (house.state.work().join("blueprints"), Utf8Path::new(BLUEPRINTS));
    let (own, place) = (below(&own, &names)?, below(place, &names)?);
    if let Err(error) = prepare(&place) {
        debug!(%error, "the blueprint's files cannot be where plugins look for them");
        return None;
    }
    let path = format!("/resources/blueprints/{}/{}", names[0], names[1]);
    match api.resource(&path, true).await {
        Ok(files) => Some(Brought { files, own, place }),
        Err(error) => {
            debug!(error = %Chain(&error), "the blueprint's files did not come");
            None
        }
    }
}

// === impl Brought ===

impl Brought {
    /// Puts the files where plugins look for them. Who calls it waits for its end: what they are
    /// known by is made of all of them, so none may go meanwhile.
    pub(in crate::operation) async fn keep(self) {
        let Self { files, own, place } = self;
        let kept = spawn_blocking(move || keep(&files, &own, &place, SystemTime::now())).await;
        if let Err(error) = kept.map_err(io::Error::other).flatten() {
            debug!(%error, "the blueprint's files are not where plugins look for them");
        }
    }
}

/// Makes the directory of a place, and refuses one where no link can be made.
fn prepare(place: &Utf8Path) -> io::Result<()> {
    if place.is_dir() && !place.is_symlink() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{place} is another's")));
    }
    place.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Keeps a blueprint's files in `own`, and links `place` to them.
fn keep(files: &Utf8Path, own: &Utf8Path, place: &Utf8Path, now: SystemTime) -> io::Result<()> {
    let _alone = KEEPING.lock().expect("nobody panics while holding it");
    let kept = own.join(digest(files)?.to_string());
    if kept.is_dir() {
        fs::remove_dir_all(files)?;
    } else {
        fs::create_dir_all(own)?;
        fs::rename(files, &kept)?;
    }
    fs::File::open(&kept)?.file().set_modified(now)?;
    link(&kept, place, true)
}

/// Removes the files that were not used for long, and the links to them. Blocks.
pub(super) fn tidy(work: &Utf8Path) -> io::Result<()> {
    tidy_below(&work.join("blueprints"), Utf8Path::new(BLUEPRINTS), SystemTime::now())
}

fn tidy_below(own: &Utf8Path, places: &Utf8Path, now: SystemTime) -> io::Result<()> {
    let _alone = KEEPING.lock().expect("nobody panics while holding it");
    for tenant in entries(own)? {
        for blueprint in entries(&tenant)? {
            let name = blueprint.strip_prefix(own).expect("it was found there");
            let place = places.join(name);
            for kept in entries(&blueprint)? {
                if !is_of_use(&kept, &place, now)? {
                    unlink(&kept, &place)?;
                    discard(&kept)?;
                }
            }
            remove_if_empty(&blueprint);
        }
        remove_if_empty(&tenant);
    }
    Ok(())
}

fn is_of_use(kept: &Utf8Path, place: &Utf8Path, now: SystemTime) -> io::Result<bool> {
    let is_whole = kept.file_name().is_some_and(|name| name.parse::<Digest>().is_ok());
    let is_linked = fs::read_link(place).is_ok_and(|target| target == kept.as_std_path());
    let used_at = fs::symlink_metadata(kept)?.modified()?;
    let unused_for = now.duration_since(used_at).unwrap_or_default();
    Ok(is_whole && unused_for < if is_linked { LINKED } else { UNLINKED })
}

/// Removes files, first of all their name: what is left of them if this is interrupted is nobody's.
fn discard(kept: &Utf8Path) -> io::Result<()> {
    let gone = kept.with_file_name(format!("gone-{}", Uuid::new_v4().simple()));
    fs::rename(kept, &gone)?;
    fs::remove_dir_all(gone)
}

fn entries(directory: &Utf8Path) -> io::Result<Vec<Utf8PathBuf>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = directory
        .read_dir_utf8()?
        .map(|entry| Ok(entry?.into_path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// Returns what tells one tree of files from another: names, kinds, contents, who may run what.
fn digest(tree: &Utf8Path) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut left = vec![tree.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(tree).unwrap_or(&path);
        let (mode, length) = (metadata.permissions().mode(), metadata.len());
        if metadata.is_dir() {
            hasher.update(format!("{name}\0{mode}\0"));
            left.extend(entries(&path)?);
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path)?;
            hasher.update(format!("{name}\0link\0{}\0", target.display()));
        } else {
            hasher.update(format!("{name}\0{mode}\0{length}\0"));
            io::copy(&mut fs::File::open(&path)?, &mut hasher)?;
        }
    }
    Ok(Digest(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;

    use super::*;

    #[test]
    fn a_blueprints_files_are_replaced_by_others_only() {
        let directory = Utf8TempDir::new().unwrap();
        let [own, places] = ["blueprints", "opt"].map(|name| directory.path().join(name));
        let [mine, place] = [&own, &places].map(|root| root.join("tenant/bp"));
        let begun = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365);
        let day = |days: u64| begun + Duration::from_hours(24 * days);
        let bring = |text: &str, now: SystemTime| {
            let files = directory.path().join("files");
            fs::create_dir_all(files.join("plays")).unwrap();
            fs::write(files.join("plays/site.yaml"), text).unwrap();
            keep(&files, &mine, &place, now).unwrap();
            assert_eq!(fs::read_to_string(place.join("plays/site.yaml")).unwrap(), text);
            place.canonicalize_utf8().unwrap()
        };
        let first = bring("one", day(0));
        assert_eq!(bring("one", day(1)), first);
        let second = bring("two", day(1));
        tidy_below(&own, &places, day(2) - Duration::from_secs(1)).unwrap();
        assert!(first.is_dir(), "an operation may read it still");
        tidy_below(&own, &places, day(2)).unwrap();
        assert!(!first.exists() && second.is_dir());
        assert_eq!(bring("one", day(3)), first);

        let stray = mine.join("gone-1");
        fs::create_dir_all(stray.join("half")).unwrap();
        tidy_below(&own, &places, day(3)).unwrap();
        assert!(!stray.exists() && !second.exists() && first.is_dir());
        tidy_below(&own, &places, day(17) - Duration::from_secs(1)).unwrap();
        assert!(first.is_dir() && place.is_dir());
        tidy_below(&own, &places, day(17)).unwrap();
        for root in [&own, &places] {
            assert_eq!(root.read_dir_utf8().unwrap().count(), 0);
        }
    }

    #[test]
    fn a_place_that_others_have_stays_theirs() {
        let directory = Utf8TempDir::new().unwrap();
        let [files, own, places] = ["files", "own", "opt"].map(|name| directory.path().join(name));
        let [mine, place] = [&own, &places].map(|root| root.join("tenant/bp"));
        let now = SystemTime::now();
        prepare(&place).unwrap();
        fs::create_dir_all(&files).unwrap();
        keep(&files, &mine, &place, now).unwrap();
        prepare(&place).unwrap();

        let theirs = directory.path().join("theirs");
        fs::create_dir_all(&theirs).unwrap();
        fs::remove_file(&place).unwrap();
        fs::os::unix::fs::symlink(&theirs, &place).unwrap();
        tidy_below(&own, &places, now + UNLINKED).unwrap();
        assert!(!mine.exists());
        assert_eq!(place.read_link_utf8().unwrap(), theirs, "another agent is on this host");

        fs::remove_file(&place).unwrap();
        fs::create_dir_all(place.join("plays")).unwrap();
        prepare(&place).unwrap_err();
        fs::create_dir_all(&files).unwrap();
        keep(&files, &mine, &place, now).unwrap();
        assert!(!place.is_symlink(), "a manager of Cloudify's is on this host");
    }
}

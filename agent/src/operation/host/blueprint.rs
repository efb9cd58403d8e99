//! The files of an operation's blueprint, where plugins open them that expect to be on the manager's
//! host.
//!
//! ```text
//!  /opt/manager/resources/blueprints/<tenant>/<blueprint>
//!     ─▶ work/blueprints/<tenant>/<blueprint>/<digest of all files>
//! ```
//!
//! They are asked for at each operation of such a plugin: another blueprint may have got the name.
//! Where the files are the same, the directory stays the one that other operations have open.

use std::{io, os::unix::fs::PermissionsExt as _, sync::Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tracing::debug;
use waggoner_python::Environment;
use waggoner_types::{Chain, Digest};

use super::{below, link};
use crate::{context::HostApi, house::House, start::Start};

/// Where a manager of Cloudify's keeps the files of blueprints.
const BLUEPRINTS: &str = "/opt/manager/resources/blueprints";

/// Held while files are kept, and while those that are not used any more are removed.
static KEEPING: Mutex<()> = Mutex::new(());

/// Brings the files of the operation's blueprint, if its plugin opens them; what cannot be brought
/// is missing for it alone.
pub(in crate::operation) async fn furnish(
    house: &House,
    api: &HostApi,
    environment: &Environment,
    start: &Start,
) {
    if !environment.reads_blueprints {
        return;
    }
    let field = |name: &str| start.context.get(name).and_then(Value::as_str).unwrap_or_default();
    let names = [api.tenant(), field("blueprint_id")];
    let (own, place) = (house.state.work().join("blueprints"), Utf8Path::new(BLUEPRINTS));
    let (Some(own), Some(place)) = (below(&own, &names), below(place, &names)) else { return };
    let path = format!("/resources/blueprints/{}/{}", names[0], names[1]);
    let files = match api.resource(&path, true).await {
        Ok(files) => files,
        Err(error) => return debug!(error = %Chain(&error), "the blueprint's files did not come"),
    };
    let kept = spawn_blocking(move || keep(&files, &own, &place)).await;
    if let Err(error) = kept.map_err(io::Error::other).flatten() {
        debug!(%error, "the blueprint's files are not where plugins look for them");
    }
}

/// Keeps a blueprint's files in `own`, and links `place` to them.
fn keep(files: &Utf8Path, own: &Utf8Path, place: &Utf8Path) -> io::Result<()> {
    let _alone = KEEPING.lock().expect("nobody panics while holding it");
    let kept = own.join(digest(files)?.to_string());
    if kept.is_dir() {
        fs::remove_dir_all(files)?;
    } else {
        fs::create_dir_all(own)?;
        fs::rename(files, &kept)?;
    }
    link(&kept, place, true)
}

/// Removes the files to which nothing leads any more: their blueprint's name means others. Blocks.
pub(super) fn tidy(work: &Utf8Path) -> io::Result<()> {
    tidy_below(&work.join("blueprints"), Utf8Path::new(BLUEPRINTS))
}

fn tidy_below(own: &Utf8Path, places: &Utf8Path) -> io::Result<()> {
    let _alone = KEEPING.lock().expect("nobody panics while holding it");
    for tenant in entries(own)? {
        for blueprint in entries(&tenant)? {
            let name = blueprint.strip_prefix(own).expect("it was found there");
            let target = fs::read_link(places.join(name)).ok();
            for kept in entries(&blueprint)? {
                if target.as_deref() != Some(kept.as_std_path()) {
                    fs::remove_dir_all(kept)?;
                }
            }
        }
    }
    Ok(())
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
        let bring = |text: &str| {
            let files = directory.path().join("files");
            fs::create_dir_all(files.join("plays")).unwrap();
            fs::write(files.join("plays/site.yaml"), text).unwrap();
            keep(&files, &mine, &place).unwrap();
            assert_eq!(fs::read_to_string(place.join("plays/site.yaml")).unwrap(), text);
            place.canonicalize_utf8().unwrap()
        };
        let first = bring("one");
        assert_eq!(bring("one"), first);
        let second = bring("two");
        assert!(first.is_dir(), "an operation may read it still");
        tidy_below(&own, &places).unwrap();
        assert!(!first.exists() && second.is_dir());
        assert_eq!(bring("one"), first);

        fs::remove_file(&place).unwrap();
        fs::create_dir_all(place.join("theirs")).unwrap();
        let files = directory.path().join("files");
        fs::create_dir_all(&files).unwrap();
        keep(&files, &mine, &place).unwrap();
        assert!(!place.is_symlink(), "a manager of Cloudify's is on this host");
    }
}

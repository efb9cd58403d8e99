//! What stock plugins expect to find on the host: where plugins are installed, and the directory of
//! their deployment.
//!
//! ```text
//!  work/plugins/<tenant>/<package>/<version>               ─▶ environment   ctx.plugin.prefix
//!  work/source_plugins/<tenant>/<deployment>/<package>/<version>  ─▶ environment   of sources
//!  /opt/manager/resources/deployments/<tenant>/<deployment> ─▶ work/deployments/<tenant>/<deployment>
//!  /opt/mgmtworker/env                                     ─▶ environment   for Ansible's modules
//! ```
//!
//! The deployment's directory is made only for plugins that bring Cloudify's SDK, which looks
//! nowhere else (`cloudify_common_sdk/utils.py`), the last only for plugins that open their
//! blueprint's directory (`blueprint`; for others the SDK downloads it), as Ansible's does; both
//! only where the agent may. What is there already stays, if it is not of this agent.

use std::{io, sync::Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::Value;
use tracing::debug;
use uuid::Uuid;
use waggoner_python::{Environment, Form};

use crate::{house::House, start::Start};

mod blueprint;

pub(super) use blueprint::bring as bring_blueprint;

/// Where a manager of Cloudify's keeps the directories of deployments.
const DEPLOYMENTS: &str = "/opt/manager/resources/deployments";

/// Where a manager of Cloudify's has Python's packages. What runs in a Python of its own, as an
/// Ansible module may, looks there for `cloudify`.
const WORKER: &str = "/opt/mgmtworker/env";

/// The version of sources of which nobody said it (`cloudify.utils.target_plugin_prefix`).
const NO_VERSION: &str = "0.0.0";

/// Held while a link is made, and while those that lead nowhere are removed.
static LINKS: Mutex<()> = Mutex::new(());

/// Makes what the operation's plugin looks for; what cannot be made is missing for it alone.
pub(super) fn furnish(house: &House, environment: &Environment, start: &Start, form: Form) {
    let field = |name: &str| start.context.get(name).unwrap_or(&Value::Null);
    let tenant = field("tenant")["name"].as_str().unwrap_or_default();
    let deployment = field("deployment_id").as_str().unwrap_or_default();
    let work = house.state.work();
    let place = plugin_place(&work, form, field("plugin"), tenant, deployment);
    let plugin = place.map(|place| link(&environment.prefix, &place, true));
    let directory = environment
        .has_sdk
        .then(|| deployment_directory(&work, Utf8Path::new(DEPLOYMENTS), tenant, deployment));
    let packages = environment
        .reads_blueprints
        .then(|| link_packages(&environment.prefix, Utf8Path::new(WORKER), &house.state.python()));
    for made in [plugin, directory, packages].into_iter().flatten() {
        if let Err(error) = made {
            debug!(%error, "something that plugins look for on the host is missing");
        }
    }
}

/// Where `ctx.plugin.prefix` looks for the plugin's environment (`cloudify.utils.plugin_prefix`),
/// where `CFY_PLUGINS_ROOT` names `root`. A plugin of Cloudify's own has no package, and no place.
fn plugin_place(
    root: &Utf8Path,
    form: Form,
    plugin: &Value,
    tenant: &str,
    deployment: &str,
) -> Option<Utf8PathBuf> {
    let text = |field: &str| plugin[field].as_str().filter(|text| !text.is_empty());
    let (package, version) = (text("package_name"), text("package_version"));
    match form {
        Form::Wagon => below(&root.join("plugins"), &[tenant, package?, version?]),
        Form::Source => {
            let name = package.or_else(|| text("name"))?;
            let version = version.unwrap_or(NO_VERSION);
            below(&root.join("source_plugins"), &[tenant, deployment, name, version])
        }
    }
}

fn deployment_directory(
    work: &Utf8Path,
    deployments: &Utf8Path,
    tenant: &str,
    deployment: &str,
) -> io::Result<()> {
    let Some(own) = below(&work.join("deployments"), &[tenant, deployment]) else { return Ok(()) };
    let Some(place) = below(deployments, &[tenant, deployment]) else { return Ok(()) };
    fs::create_dir_all(&own)?;
    link(&own, &place, false)
}

/// Links `place` to an environment, unless it leads elsewhere than to one of our own.
fn link_packages(prefix: &Utf8Path, place: &Utf8Path, environments: &Utf8Path) -> io::Result<()> {
    let is_ours = fs::read_link(place).is_ok_and(|target| target.starts_with(environments));
    link(prefix, place, is_ours)
}

/// Removes the links to environments that are gone, and the directories that are empty then.
/// Blocks.
pub(crate) fn tidy(work: &Utf8Path) -> io::Result<()> {
    {
        let _alone = LINKS.lock().expect("nobody panics while holding it");
        for root in ["plugins", "source_plugins"] {
            let root = work.join(root);
            if root.is_dir() {
                prune(&root)?;
            }
        }
    }
    // It links as well, while it holds what is its own.
    blueprint::tidy(work)
}

/// Says whether nothing is left in the directory.
fn prune(directory: &Utf8Path) -> io::Result<bool> {
    let mut is_empty = true;
    for entry in directory.read_dir_utf8()? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_symlink() && !path.exists() {
            fs::remove_file(path)?;
        } else if kind.is_dir() && prune(path)? {
            fs::remove_dir(path)?;
        } else {
            is_empty = false;
        }
    }
    Ok(is_empty)
}

/// Links a place to a target. A link that leads to nothing is replaced, one that leads elsewhere as
/// well if it is ours; a directory never is.
fn link(target: &Utf8Path, place: &Utf8Path, is_ours: bool) -> io::Result<()> {
    let _alone = LINKS.lock().expect("nobody panics while holding it");
    match fs::read_link(place) {
        Ok(found) if found == target.as_std_path() => return Ok(()),
        Ok(_) if !is_ours && place.exists() => return Ok(()),
        Ok(_) => {}
        // It is no link.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent)?;
            }
        }
        Err(error) => return Err(error),
    }
    // In one step: another operation may be about to look.
    let next = place.with_extension(Uuid::new_v4().simple().to_string());
    fs::os::unix::fs::symlink(target, &next)?;
    fs::rename(next, place)
}

/// Removes a link, if it leads to the target still, and its directory, if that is empty then.
fn unlink(target: &Utf8Path, place: &Utf8Path) -> io::Result<()> {
    let _alone = LINKS.lock().expect("nobody panics while holding it");
    if fs::read_link(place).is_ok_and(|found| found == target.as_std_path()) {
        fs::remove_file(place)?;
        if let Some(directory) = place.parent() {
            remove_if_empty(directory);
        }
    }
    Ok(())
}

/// Removes a directory, unless something is in it.
fn remove_if_empty(directory: &Utf8Path) {
    drop(fs::remove_dir(directory));
}

/// Returns a place below a directory, unless one of the names is none of a directory.
fn below(directory: &Utf8Path, names: &[&str]) -> Option<Utf8PathBuf> {
    let is_name = |name: &&str| !matches!(*name, "" | "." | "..") && !name.contains(['/', '\0']);
    names.iter().all(is_name).then(|| directory.join(names.join("/")))
}

#[cfg(test)]
mod tests {
    use camino_tempfile::Utf8TempDir;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_has_a_directory_where_the_sdk_looks_for_it() {
        let directory = Utf8TempDir::new().unwrap();
        let [work, opt] = ["work", "opt"].map(|name| directory.path().join(name));
        deployment_directory(&work, &opt, "tenant", "dep").unwrap();
        fs::write(opt.join("tenant/dep/state"), "kept").unwrap();
        deployment_directory(&work, &opt, "tenant", "dep").unwrap();
        assert_eq!(fs::read_to_string(work.join("deployments/tenant/dep/state")).unwrap(), "kept");

        fs::create_dir_all(opt.join("tenant/real")).unwrap();
        deployment_directory(&work, &opt, "tenant", "real").unwrap();
        assert!(!opt.join("tenant/real").is_symlink(), "a manager of Cloudify's is on this host");

        fs::os::unix::fs::symlink(directory.path().join("gone"), opt.join("tenant/stale")).unwrap();
        deployment_directory(&work, &opt, "tenant", "stale").unwrap();
        assert!(opt.join("tenant/stale").is_dir(), "its agent is gone");

        deployment_directory(&work, &opt, "..", "dep").unwrap();
        deployment_directory(&work, &opt, "tenant", "").unwrap();
        assert_eq!(directory.path().read_dir_utf8().unwrap().count(), 2);
    }

    #[test]
    fn packages_are_those_of_our_newest_environment_unless_others_brought_theirs() {
        let directory = Utf8TempDir::new().unwrap();
        let [ours, theirs, place] =
            ["ours", "theirs", "env"].map(|name| directory.path().join(name));
        for name in [ours.join("old"), ours.join("new"), theirs.clone()] {
            fs::create_dir_all(&name).unwrap();
        }
        for name in ["old", "new"] {
            link_packages(&ours.join(name), &place, &ours).unwrap();
            assert_eq!(place.read_link_utf8().unwrap(), ours.join(name));
        }
        fs::remove_file(&place).unwrap();
        fs::os::unix::fs::symlink(&theirs, &place).unwrap();
        link_packages(&ours.join("new"), &place, &ours).unwrap();
        assert_eq!(place.read_link_utf8().unwrap(), theirs);
    }

    #[test]
    fn a_plugin_is_found_in_its_newest_environment() {
        let directory = Utf8TempDir::new().unwrap();
        let root = directory.path().join("work");
        let plugin = json!({"name": "web", "package_name": "web-plugin", "package_version": "1.0"});
        for name in ["old", "new"] {
            let environment = directory.path().join(name);
            fs::create_dir_all(&environment).unwrap();
            let place = plugin_place(&root, Form::Wagon, &plugin, "tenant", "dep").unwrap();
            link(&environment, &place, true).unwrap();
            let found = root.join("plugins/tenant/web-plugin/1.0");
            assert_eq!(
                found.canonicalize_utf8().unwrap(),
                environment.canonicalize_utf8().unwrap()
            );
        }
    }

    #[test]
    fn links_to_environments_that_are_gone_go_too() {
        let directory = Utf8TempDir::new().unwrap();
        let [work, kept, gone] = ["work", "kept", "gone"].map(|name| directory.path().join(name));
        let plugin = json!({"name": "web", "package_version": "1.0"});
        let place = |deployment: &str| {
            plugin_place(&work, Form::Source, &plugin, "tenant", deployment).unwrap()
        };
        for (environment, deployment) in [(&kept, "one"), (&gone, "two")] {
            fs::create_dir_all(environment).unwrap();
            link(environment, &place(deployment), true).unwrap();
        }
        tidy(&work).unwrap();
        assert!(place("two").exists(), "its environment is there");
        fs::remove_dir(&gone).unwrap();
        tidy(&work).unwrap();
        assert!(place("one").exists());
        assert!(!work.join("source_plugins/tenant/two").exists());
        fs::remove_dir(&kept).unwrap();
        tidy(&work).unwrap();
        assert_eq!(work.join("source_plugins").read_dir_utf8().unwrap().count(), 0);
    }

    #[test]
    fn sources_are_found_by_what_the_blueprint_says_of_them() {
        let place = |form, plugin: Value| {
            plugin_place(Utf8Path::new("/w"), form, &plugin, "tenant", "dep").map(String::from)
        };
        let whole = json!({"name": "web", "package_name": "web-plugin", "package_version": "1.0"});
        let short = json!({"name": "web", "package_name": null, "package_version": null});
        let path = |rest: &str| Some(format!("/w/source_plugins/tenant/dep/{rest}"));
        assert_eq!(place(Form::Source, whole), path("web-plugin/1.0"));
        assert_eq!(place(Form::Source, short.clone()), path("web/0.0.0"));
        assert_eq!(place(Form::Wagon, short), None);
    }
}

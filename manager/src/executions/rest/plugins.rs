//! `/plugins` (`rest/resources_v3_1/plugins.py`).

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use waggoner_proto::v1::{PluginHeader, PluginYaml};
use waggoner_store::{Deletion, installation::Installation, plugin::Plugin};
use waggoner_types::{Chain, PluginId};
use waggoner_wagon::{Budget, unpack_tree};

use crate::{
    api::not_taken,
    catalog::{
        self,
        plugins::{LONGEST_YAMLS, MOST_YAMLS},
    },
    executions::{
        answers::Unanswered,
        rest::{
            files,
            list::{all, included, list},
            reply::{Answered, Reply, owned, time},
            request::Call,
            uploads::{Form, receive},
        },
    },
    fleet::installs,
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => list(call.query, listed(call).await?),
        ("GET", [id]) => Reply::ok(included(call.query, one(call, id).await?)?),
        ("POST", []) => upload(call).await,
        ("DELETE", [id]) => {
            call.require_tenant("delete plugins")?;
            let id = find(call, id).await?.id;
            let deletion = if call.flag("force") { Deletion::Forced } else { Deletion::IfUnused };
            let store = call.deciding(&Reply::NONE);
            installs::delete(call.home(), &store, call.tenant(), id, deletion).await?;
            Reply::none()
        }
        // How far an installation is: agents tell the manager of it in their own words.
        ("PUT" | "POST", [id]) => Reply::ok(shown(&find(call, id).await?, &[])),
        // Whose it is and who sees it means nothing here: a plugin is its tenant's.
        ("PATCH", [id] | [id, "set-visibility"]) => Reply::ok(shown(&find(call, id).await?, &[])),
        ("GET", [id, "archive"]) => {
            let plugin = find(call, id).await?;
            let path = files::plugin_file(plugin.id, &plugin.archive_name);
            Ok(Reply::File { path, name: plugin.archive_name })
        }
        ("GET", [id, "yaml"]) => {
            let plugin = find(call, id).await?;
            let wanted = call.query.get("dsl_version").map_or("", String::as_str);
            let yaml = catalog::imports::yaml_file(&plugin, wanted);
            let yaml = yaml.ok_or_else(|| Unanswered::not_found("plugin.yaml of plugin", id))?;
            let path = files::plugin_file(plugin.id, &yaml.name);
            Ok(Reply::File { path, name: yaml.name.clone() })
        }
        _ => call.unknown("plugins"),
    }
}

async fn listed(call: &Call<'_>) -> Result<Vec<Value>, Unanswered> {
    let store = &call.home().store;
    let package = call.query.get("package_name");
    let page = |page| async move { store.plugins(call.tenant(), package.cloned(), &page).await };
    let mut plugins: Vec<Plugin> = all(page).await?;
    plugins.sort_by_key(|plugin| plugin.uploaded_at);
    let standing = standing(call, &plugins.iter().collect::<Vec<_>>()).await?;
    Ok(plugins.iter().map(|plugin| shown(plugin, &standing)).collect())
}

/// How some plugins stand on agents.
async fn standing(call: &Call<'_>, plugins: &[&Plugin]) -> Result<Vec<Installation>, Unanswered> {
    let ids = plugins.iter().map(|plugin| plugin.id).collect();
    Ok(call.home().store.installations(call.tenant(), ids).await?)
}

async fn find(call: &Call<'_>, id: &str) -> Result<Plugin, Unanswered> {
    let missing = || Unanswered::not_found("Plugin", id);
    let parsed: PluginId = id.parse().map_err(|_| missing())?;
    Ok(call.home().store.plugin(call.tenant(), parsed).await?)
}

/// Takes a plugin: a zip of a wagon and its plugin.yaml files.
async fn upload(call: &Call<'_>) -> Answered {
    call.require_tenant("upload plugins")?;
    if let Some(url) = call.query.get("plugin_archive_url") {
        let why = format!(
            "this manager fetches no plugin from outside: send the archive of {url} itself"
        );
        return Err(Unanswered::invalid(&why));
    }
    let form = Form::read(call, "plugin_archive").await?;
    let Some(archive) = &form.file else {
        let why = "the plugin's archive is missing";
        return Err(Unanswered::refused("upload_missing_file", why));
    };
    let (from, into) = (archive.clone(), form.folder().join("unpacked"));
    let opened = spawn_blocking(move || open(&from, &into)).await;
    let opened = opened.map_err(|error| Unanswered::broken(&error))??;
    let (announced, received) = receive(call.home(), &opened.wagon).await?;
    let header = PluginHeader {
        tenant: call.tenant().into(),
        digest: announced.digest.to_string(),
        size: announced.size,
        archive_name: opened.wagon.file_name().unwrap_or("plugin.wgn").to_owned(),
        title: call.query.get("title").cloned().unwrap_or_default(),
        yamls: opened.yamls,
        ..PluginHeader::default()
    };
    let plugin = catalog::plugins::check(call.tenant(), header, &received).await?;
    // Held until the row refers to it, so that no sweep takes it in between.
    let _artifact = received.publish().await.map_err(not_taken)?;
    let reply = Reply::made("plugins", plugin.id.to_string());
    call.deciding(&reply).create_plugin(plugin).await?;
    Ok(reply)
}

/// A plugin as it is shown.
pub(super) async fn one(call: &Call<'_>, id: &str) -> Result<Value, Unanswered> {
    let plugin = find(call, id).await?;
    let standing = standing(call, &[&plugin]).await?;
    Ok(shown(&plugin, &standing))
}

/// What lies in an uploaded archive.
struct Opened {
    wagon: Utf8PathBuf,
    yamls: Vec<PluginYaml>,
}

fn open(archive: &Utf8Path, into: &Utf8Path) -> Result<Opened, Unanswered> {
    let invalid = |why: String| Unanswered::refused("invalid_plugin_error", why);
    unpack_tree(archive, into, &Budget::WAGON)
        .map_err(|refusal| invalid(Chain(&refusal).to_string()))?;
    let entries = into.read_dir_utf8().map_err(|error| Unanswered::broken(&error))?;
    let mut paths: Vec<Utf8PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path().to_owned()).collect();
    paths.sort();
    let with = |endings: &[&str]| {
        let has = |path: &&Utf8PathBuf| path.extension().is_some_and(|it| endings.contains(&it));
        paths.iter().filter(has).cloned().collect::<Vec<_>>()
    };
    let wagons = with(&["wgn"]);
    let [wagon] = wagons.as_slice() else {
        let why = "a plugin is sent as a zip of one wagon and its plugin.yaml files".to_owned();
        return Err(invalid(why));
    };
    Ok(Opened { wagon: wagon.clone(), yamls: yamls(&with(&["yaml", "yml"]))? })
}

/// Reads plugin.yaml files, once it is known that there are not too many of them.
fn yamls(paths: &[Utf8PathBuf]) -> Result<Vec<PluginYaml>, Unanswered> {
    let invalid = |why: String| Unanswered::refused("invalid_plugin_error", why);
    if paths.len() > MOST_YAMLS {
        return Err(invalid(format!("{MOST_YAMLS} plugin.yaml files at the most")));
    }
    let sizes = paths.iter().map(|path| fs::metadata(path).map_or(0, |found| found.len()));
    if sizes.sum::<u64>() > LONGEST_YAMLS {
        let why = format!("the plugin.yaml files are longer than {LONGEST_YAMLS} bytes together");
        return Err(invalid(why));
    }
    let read = |path: &Utf8PathBuf| {
        let name = path.file_name().unwrap_or_default().to_owned();
        let text = fs::read_to_string(path).map_err(|error| invalid(format!("{name}: {error}")))?;
        Ok(PluginYaml { name, text })
    };
    paths.iter().map(read).collect()
}

fn shown(plugin: &Plugin, standing: &[Installation]) -> Value {
    let here = standing.iter().filter(|installation| installation.plugin == plugin.id);
    let installation_state = here.map(|installation| {
        json!({
            "agent": installation.agent.as_str(),
            "manager": null,
            "state": installation.state.as_str(),
            "error": Some(&installation.error).filter(|error| !error.is_empty()),
        })
    });
    let installation_state: Vec<_> = installation_state.collect();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let yamls = plugin.yamls.iter().map(|yaml| format!("plugins/{}/{}", plugin.id, yaml.name));
    let shown = json!({
        "id": plugin.id.to_string(),
        "title": plugin.title,
        "archive_name": plugin.archive_name,
        "package_name": plugin.package_name,
        "package_version": plugin.package_version,
        "package_source": plugin.package_name,
        "distribution": given(&plugin.distribution),
        "distribution_version": given(&plugin.distribution_version),
        "distribution_release": given(&plugin.distribution_release),
        "supported_platform_p": null,
        "supported_platform": plugin.supported_platform,
        "supported_py_versions_p": null,
        "supported_py_versions": plugin.supported_python_versions,
        "excluded_wheels_p": null,
        "excluded_wheels": null,
        "wheels_p": null,
        "wheels": plugin.wheels,
        "uploaded_at": time(plugin.uploaded_at),
        "blueprint_labels": null,
        "labels": null,
        "resource_tags": null,
        "installation_state": installation_state,
        "yaml_files_paths": yamls.collect::<Vec<_>>(),
        "yaml_url_path": format!(
            "plugin:{}?version={}&distribution={}",
            plugin.package_name,
            plugin.package_version,
            given(&plugin.distribution).as_deref().unwrap_or("None"),
        ),
    });
    owned(&plugin.tenant, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugin_yamls_are_counted_before_they_are_read() {
        let folder = camino_tempfile::tempdir().unwrap();
        let path = |number: usize| folder.path().join(format!("plugin_{number}.yaml"));
        // None of them can be read.
        let paths: Vec<_> = (0..=MOST_YAMLS).map(path).collect();
        for path in &paths {
            fs::write(path, [0xff]).unwrap();
        }
        let why = |paths: &[Utf8PathBuf]| yamls(paths).unwrap_err().message;
        assert_eq!(why(&paths), "16 plugin.yaml files at the most");
        assert!(why(&paths[1..]).starts_with("plugin_1.yaml: "), "{}", why(&paths[1..]));
        let long = fs::File::options().write(true).open(path(3)).unwrap();
        long.set_len(LONGEST_YAMLS).unwrap();
        assert!(why(&paths[1..]).contains("longer than 4194304 bytes"), "{}", why(&paths[1..]));
        fs::write(path(0), "plugins: {}").unwrap();
        assert_eq!(yamls(&paths[..1]).unwrap()[0].text, "plugins: {}");
    }
}

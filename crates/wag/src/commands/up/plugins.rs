//! The plugins that a blueprint needs and that lie beside it.

use waggoner_blueprint::PluginImport;

use crate::{
    Error, Ui,
    client::Manager,
    commands::plugins::{list, upload},
    site::Site,
    source::{Library, Origin, Source, SourceError, packed},
};

/// Uploads what the blueprint imports, the manager lacks and `plugins/` holds. What is nowhere is
/// the manager's to complain about.
pub(super) async fn provide(
    ui: &mut Ui,
    manager: &Manager,
    site: Option<&Site>,
    source: &Source,
) -> Result<(), Error> {
    let scratch = camino_tempfile::tempdir().map_err(SourceError::Pack)?;
    let cache = site.map_or(scratch.path().to_owned(), |site| site.dir().join("cache"));
    let beside = source.found()?;
    for import in source.wanted(&Library::default().beside(&beside)?)? {
        if has(manager, &import).await? {
            continue;
        }
        let Some(found) = beside.iter().find(|found| found.answers(&import)) else { continue };
        let wagon = match &found.origin {
            Origin::Wagon(wagon) => wagon.clone(),
            Origin::Directory(directory) => {
                ui.step("Packing", format!("{} of {directory}", found.package_name));
                packed(directory, &cache).await?
            }
        };
        let plugin = upload(manager, &wagon, &found.yamls, None).await?;
        ui.step("Uploaded", format!("plugin {} {}", plugin.package_name, plugin.package_version));
    }
    Ok(())
}

async fn has(manager: &Manager, import: &PluginImport) -> Result<bool, Error> {
    let plugins = list(manager, &import.name).await?;
    Ok(plugins.iter().any(|plugin| {
        let distribution = import.distribution.as_ref();
        import.allows(&plugin.package_version)
            && distribution.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&plugin.distribution))
    }))
}

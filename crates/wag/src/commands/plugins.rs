//! `wag plugins`.

use camino::{Utf8Path, Utf8PathBuf};
use waggoner_blueprint::PluginImport;
use waggoner_proto::v1::{
    DeletePluginRequest, GetPluginRequest, ListPluginsRequest, Plugin, PluginHeader, PluginYaml,
    UploadPluginRequest, ValidatePluginRequest, upload_plugin_request, validate_plugin_request,
};
use waggoner_wagon::{Budget, Wagon};

use super::Context;
use crate::{
    Error,
    cli::{Plugins, WagonFiles},
    client::{ClientError, Manager, Parcel, all, ask, pieces, request_id},
    source::{SourceError, yamls_beside},
};

mod agents;
mod download;
mod test;

pub(super) async fn run(context: &mut Context<'_>, command: Plugins) -> Result<(), Error> {
    match command {
        Plugins::Upload { files, title } => {
            let wagon = files.wagon.clone();
            let yamls = yamls(files)?;
            let manager = context.manager().await?;
            let plugin = upload(&manager, &wagon, &yamls, title).await?;
            context.ui.one(&plugin)
        }
        Plugins::List { package } => {
            let manager = context.manager().await?;
            let plugins = list(&manager, &package.unwrap_or_default()).await?;
            context.ui.list(&plugins)
        }
        Plugins::Get { plugin: id } => {
            let manager = context.manager().await?;
            let plugin = get(&manager, id).await?;
            context.ui.one(&plugin)
        }
        Plugins::Delete { plugin, force } => {
            let manager = context.manager().await?;
            let request = DeletePluginRequest {
                tenant: manager.tenant(),
                id: plugin.clone(),
                force,
                request_id: request_id(),
            };
            ask(request, async |request| manager.plugins().delete_plugin(request).await).await?;
            context.ui.step("Deleted", format!("plugin {plugin}"));
            Ok(())
        }
        Plugins::Download { plugin, to } => download::run(context, plugin, to).await,
        Plugins::Install(wanted) => agents::install(context, wanted).await,
        Plugins::Uninstall(wanted) => agents::uninstall(context, wanted).await,
        Plugins::Validate { files } => {
            let wagon = files.wagon.clone();
            let yamls = yamls(files)?;
            let manager = context.manager().await?;
            let plugin = validate(&manager, &wagon, &yamls).await?;
            context.ui.step("Valid", &wagon);
            context.ui.one(&plugin)
        }
        Plugins::Pack(pack) => super::pack::run(context, &pack).await,
        Plugins::Test(test) => test::run(context, &test).await,
    }
}

/// The plugins of a package, where it is not empty.
pub(crate) async fn list(
    manager: &Manager,
    package_name: &str,
) -> Result<Vec<Plugin>, ClientError> {
    all(async |page_token| {
        let request = ListPluginsRequest {
            tenant: manager.tenant(),
            page_size: 0,
            page_token,
            package_name: package_name.to_owned(),
        };
        let page =
            ask(request, async |request| manager.plugins().list_plugins(request).await).await?;
        Ok((page.plugins, page.next_page_token))
    })
    .await
}

/// The plugin that an import means, with the texts of its plugin.yaml files.
pub(crate) async fn imported(
    manager: &Manager,
    import: &PluginImport,
) -> Result<Option<Plugin>, ClientError> {
    let mut plugins = list(manager, &import.name).await?;
    plugins.retain(|plugin| match &import.distribution {
        Some(wanted) if !plugin.distribution.is_empty() => {
            wanted.eq_ignore_ascii_case(&plugin.distribution)
        }
        _ => true,
    });
    let versions = plugins.iter().map(|plugin| plugin.package_version.as_str());
    let Some(place) = import.choose(versions) else { return Ok(None) };
    get(manager, plugins[place].id.clone()).await.map(Some)
}

async fn get(manager: &Manager, id: String) -> Result<Plugin, ClientError> {
    let request = GetPluginRequest { tenant: manager.tenant(), id };
    let call = async |request| manager.plugins().get_plugin(request).await;
    ask(request, call).await?.plugin.ok_or(ClientError::Hollow("plugin"))
}

pub(crate) async fn upload(
    manager: &Manager,
    wagon: &Utf8Path,
    yamls: &[Utf8PathBuf],
    title: Option<String>,
) -> Result<Plugin, Error> {
    use upload_plugin_request::Message;
    let parcel = open(wagon)?;
    let header = header(manager, wagon, yamls, title, &parcel)?;
    let header = UploadPluginRequest { message: Some(Message::Header(header)) };
    let answer = parcel.send(async |rest| {
        let messages = pieces(header, rest, |chunk| UploadPluginRequest {
            message: Some(Message::Chunk(chunk)),
        });
        Ok(manager.plugins().upload_plugin(messages).await?.into_inner())
    });
    Ok(answer.await?.plugin.ok_or(ClientError::Hollow("plugin"))?)
}

async fn validate(
    manager: &Manager,
    wagon: &Utf8Path,
    yamls: &[Utf8PathBuf],
) -> Result<Plugin, Error> {
    use validate_plugin_request::Message;
    let parcel = open(wagon)?;
    let header = header(manager, wagon, yamls, None, &parcel)?;
    let header = ValidatePluginRequest { message: Some(Message::Header(header)) };
    let answer = parcel.send(async |rest| {
        let messages = pieces(header, rest, |chunk| ValidatePluginRequest {
            message: Some(Message::Chunk(chunk)),
        });
        Ok(manager.plugins().validate_plugin(messages).await?.into_inner())
    });
    Ok(answer.await?.plugin.ok_or(ClientError::Hollow("plugin"))?)
}

fn open(wagon: &Utf8Path) -> Result<Parcel, SourceError> {
    Parcel::open(wagon).map_err(SourceError::Read)
}

fn header(
    manager: &Manager,
    wagon: &Utf8Path,
    yamls: &[Utf8PathBuf],
    title: Option<String>,
    parcel: &Parcel,
) -> Result<PluginHeader, SourceError> {
    let yaml = |path: &Utf8PathBuf| {
        let text = fs_err::read_to_string(path).map_err(SourceError::Read)?;
        Ok(PluginYaml { name: path.file_name().unwrap_or_default().to_owned(), text })
    };
    Ok(PluginHeader {
        tenant: manager.tenant(),
        title: title.unwrap_or_default(),
        archive_name: wagon.file_name().unwrap_or_default().to_owned(),
        size: parcel.size,
        digest: parcel.digest.to_string(),
        yamls: yamls.iter().map(yaml).collect::<Result<_, _>>()?,
        request_id: request_id(),
    })
}

/// The plugin.yaml files that were named, or those that lie beside the wagon.
fn yamls(files: WagonFiles) -> Result<Vec<Utf8PathBuf>, SourceError> {
    let WagonFiles { wagon, yamls } = files;
    if !yamls.is_empty() {
        return Ok(yamls);
    }
    // A wagon that is none is refused by the manager, in words that say more.
    let package = Wagon::open(&wagon, &Budget::WAGON).map(|wagon| wagon.metadata.package_name);
    yamls_beside(&wagon, &package.unwrap_or_default())
}

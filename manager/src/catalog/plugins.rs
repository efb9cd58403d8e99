//! Plugins: a wagon with its plugin.yaml files, taken together or not at all.

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use uuid::Uuid;
use waggoner_link::settings::MAX_MESSAGE;
use waggoner_proto::v1::PluginHeader;
use waggoner_store::{
    artifact::Received,
    plugin::{Plugin, PluginYaml},
};
use waggoner_types::{Chain, Digest, PluginId, TenantName, plan};
use waggoner_wagon::{Budget, Offer, Offered, OsProperties, PluginManifest, Wagon};
use waggoner_wire::{At as _, Reason, Refused};

/// The largest wagon that is taken, in bytes: a gibibyte.
pub(crate) const LARGEST: u64 = Budget::WAGON.archive_bytes;

/// The most plugin.yaml files of one plugin: there are five versions of the language.
pub(crate) const MOST_YAMLS: usize = 16;

/// How long those may be together, in bytes: what one message carries.
pub(crate) const LONGEST_YAMLS: u64 = MAX_MESSAGE as u64;

/// A stored plugin, as something that can be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) plugin: Plugin,
    os: OsProperties,
}

/// Checks a wagon that came in and its plugin.yaml files, and says what plugin they make.
pub(crate) async fn check(
    tenant: TenantName,
    header: PluginHeader,
    received: &Received,
) -> Result<Plugin, Refused> {
    let path = received.path().to_owned();
    let name = header.archive_name.clone();
    let opened = spawn_blocking(move || Wagon::open(&path, &Budget::WAGON)).await;
    let opened = opened.map_err(|error| Refused::new(Reason::Internal, error.to_string()))?;
    let wagon = opened.map_err(|mut refusal| {
        let of_the_host = refusal.flaw.is_of_the_host();
        // People know the file by the name it has on their side.
        refusal.file = name.into();
        let reason = if of_the_host { Reason::Internal } else { Reason::InvalidWagon };
        Refused::new(reason, Chain(&refusal).to_string())
    })?;
    if header.yamls.is_empty() {
        let why = "a plugin needs at least one plugin.yaml beside its wagon: give it with `--yaml`";
        return Err(Refused::new(Reason::InvalidPluginYaml, why));
    }
    if header.yamls.len() > MOST_YAMLS {
        let why = format!("{MOST_YAMLS} plugin.yaml files at the most");
        return Err(Refused::field("header.yamls", why));
    }
    for yaml in &header.yamls {
        let sound = PluginManifest::read(&yaml.name, &yaml.text)
            .and_then(|manifest| manifest.check(&yaml.name, &wagon.metadata));
        sound.map_err(|error| {
            let refused = Refused::new(Reason::InvalidPluginYaml, Chain(&error).to_string());
            match error.mark {
                Some(mark) => {
                    let place = format!("{}:{}:{}", error.file, mark.line, mark.column);
                    refused.violation(&place, &error.flaw)
                }
                None => refused,
            }
        })?;
    }
    let metadata = wagon.metadata;
    let os = metadata.build_server_os_properties;
    Ok(Plugin {
        id: PluginId(Uuid::now_v7()),
        tenant,
        title: if header.title.is_empty() { metadata.package_name.clone() } else { header.title },
        package_name: metadata.package_name,
        package_version: metadata.package_version,
        supported_platform: metadata.supported_platform,
        distribution: os.distribution.unwrap_or_default(),
        distribution_version: os.distribution_version.unwrap_or_default(),
        distribution_release: os.distribution_release.unwrap_or_default(),
        supported_python_versions: metadata.supported_python_versions,
        wheels: metadata.wheels,
        archive_name: header.archive_name,
        digest: header.digest.parse::<Digest>().at("header.digest")?,
        size: header.size,
        uploaded_at: Timestamp::now(),
        yamls: header
            .yamls
            .into_iter()
            .map(|yaml| PluginYaml { name: yaml.name, text: yaml.text })
            .collect(),
    })
}

/// Says why there is no wagon of a plugin of a blueprint that has no sources, and what to do.
/// `none_fits` says why none of its package will do, where it names one.
pub(crate) fn unavailable(plugin: &plan::Plugin, none_fits: Option<String>) -> String {
    none_fits.unwrap_or_else(|| {
        format!(
            "plugin `{}` names no package, and the manager does not have it built in: import it \
             with `plugin:NAME`, and upload its wagon",
            plugin.name
        )
    })
}

// === impl Candidate ===

impl Candidate {
    pub(crate) fn new(plugin: Plugin) -> Self {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let os = OsProperties {
            distribution: given(&plugin.distribution),
            distribution_version: given(&plugin.distribution_version),
            distribution_release: given(&plugin.distribution_release),
        };
        Self { plugin, os }
    }
}

impl Offered for Candidate {
    fn offer(&self) -> Offer<'_> {
        Offer {
            package_name: &self.plugin.package_name,
            package_version: &self.plugin.package_version,
            supported_platform: &self.plugin.supported_platform,
            python_tags: &self.plugin.supported_python_versions,
            os: &self.os,
        }
    }
}

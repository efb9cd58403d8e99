//! Plugins and blueprints.

use serde_json::{Value, json};
use waggoner_proto::v1::{Blueprint, Plugin, PluginInstallState, PluginInstallation, PluginYaml};

use super::{Record, free, time};
use crate::ui::Clock;

impl Record for Plugin {
    const COLUMNS: &'static [&'static str] =
        &["id", "package", "version", "platform", "python", "uploaded", "agents"];

    fn shape(&self) -> Value {
        let Self {
            id,
            tenant,
            title,
            package_name,
            package_version,
            supported_platform,
            distribution,
            distribution_version,
            distribution_release,
            supported_python_versions,
            wheels,
            archive_name,
            digest,
            size,
            uploaded_at,
            yamls,
            installations,
        } = self;
        let yamls = yamls.iter().map(|yaml| {
            let PluginYaml { name, text } = yaml;
            json!({ "name": name, "text": text })
        });
        json!({
            "id": id,
            "tenant": tenant,
            "title": title,
            "package_name": package_name,
            "package_version": package_version,
            "supported_platform": supported_platform,
            "distribution": distribution,
            "distribution_version": distribution_version,
            "distribution_release": distribution_release,
            "supported_python_versions": supported_python_versions,
            "wheels": wheels,
            "archive_name": archive_name,
            "digest": digest,
            "size": size,
            "uploaded_at": time(uploaded_at.as_ref()),
            "yamls": yamls.collect::<Vec<_>>(),
            "installations": installations.iter().map(Record::shape).collect::<Vec<_>>(),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.id.clone(),
            self.package_name.clone(),
            self.package_version.clone(),
            self.supported_platform.clone(),
            self.supported_python_versions.join(" "),
            clock.day(self.uploaded_at.as_ref()),
            standing(&self.installations),
        ]
    }
}

impl Record for PluginInstallation {
    const COLUMNS: &'static [&'static str] = &["agent", "plugin", "state", "since", "error"];

    fn shape(&self) -> Value {
        let Self { agent, plugin_id, state: _, error, updated_at } = self;
        json!({
            "agent": agent,
            "plugin": plugin_id,
            "state": state(self),
            "error": error,
            "updated_at": time(updated_at.as_ref()),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.agent.clone(),
            self.plugin_id.clone(),
            state(self),
            clock.day(self.updated_at.as_ref()),
            self.error.clone(),
        ]
    }
}

/// A state in Cloudify's words.
fn state(installation: &PluginInstallation) -> String {
    let name = installation.state().as_str_name();
    name.trim_start_matches("PLUGIN_INSTALL_STATE_").to_ascii_lowercase().replace('_', "-")
}

/// Where a plugin is, or how far: `web, db: installing`.
fn standing(installations: &[PluginInstallation]) -> String {
    let told = installations.iter().filter_map(|installation| match installation.state() {
        PluginInstallState::Installed => Some(installation.agent.clone()),
        PluginInstallState::Uninstalled => None,
        _ => Some(format!("{}: {}", installation.agent, state(installation))),
    });
    told.collect::<Vec<_>>().join(", ")
}

impl Record for Blueprint {
    const COLUMNS: &'static [&'static str] = &["id", "main file", "description", "uploaded"];

    fn shape(&self) -> Value {
        let Self { id, tenant, description, main_file, created_at, digest, plan_json } = self;
        json!({
            "id": id,
            "tenant": tenant,
            "description": description,
            "main_file": main_file,
            "created_at": time(created_at.as_ref()),
            "digest": digest,
            "plan": free(plan_json, Value::Null),
        })
    }

    fn row(&self, clock: &Clock) -> Vec<String> {
        vec![
            self.id.clone(),
            self.main_file.clone(),
            self.description.clone(),
            clock.day(self.created_at.as_ref()),
        ]
    }
}

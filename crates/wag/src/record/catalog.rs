//! Plugins and blueprints.

use serde_json::{Value, json};
use waggoner_proto::v1::{Blueprint, Plugin, PluginYaml};

use super::{Record, free, time};
use crate::ui::Clock;

impl Record for Plugin {
    const COLUMNS: &'static [&'static str] =
        &["id", "package", "version", "platform", "python", "uploaded"];

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
        ]
    }
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

//! The plugin.yaml files that go with a packed plugin.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;
use waggoner_blueprint::{Blueprint, Options, parse};
use waggoner_wagon::{Metadata, PluginManifest};

use super::{
    Library, Source, SourceError,
    plugins::manifests,
    resolver::{Local, Missing},
};

/// The version of the language in which a file is read that does not say for which it is: the newest,
/// unless another one beside it is for some version, and this for those before.
const NEWEST: &str = "1_5";
const USUAL: &str = "1_4";

/// Reads the plugin.yaml files of a plugin's directory and judges them as a blueprint's import
/// would.
pub(super) fn checked(directory: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SourceError> {
    let yamls = manifests(directory)?;
    let read = yamls.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let is_alone = read.iter().all(|manifest| manifest.dsl_version.is_none());
    for (path, manifest) in yamls.iter().zip(&read) {
        let name = path.file_name().expect("a file has a name");
        let other = if is_alone { NEWEST } else { USUAL };
        let version = manifest.dsl_version.as_deref().unwrap_or(other);
        let text = json!({
            "tosca_definitions_version": format!("cloudify_dsl_{version}"),
            "imports": ["cloudify/types/types.yaml", name],
            "node_templates": { "node": { "type": "cloudify.nodes.Root" } },
        });
        let source = Source { directory: directory.to_owned(), main_file: String::new() };
        let library = Library::default();
        let resolver = Local::new(&source, &library, Missing::IsEmpty);
        let text = text.to_string();
        let blueprint = Blueprint { text: &text, location: "a blueprint" };
        let parsed = parse(blueprint, &resolver, &Options::default());
        // What a manager alone can bring, it alone can judge.
        if let Err(found) = parsed
            && !resolver.needs_manager()
        {
            return Err(SourceError::PluginYaml(found.0));
        }
    }
    Ok(yamls)
}

/// Checks that the files belong to the wagon: that they name its package and its version.
pub(super) fn agree(yamls: &[Utf8PathBuf], wagon: &Metadata) -> Result<(), SourceError> {
    yamls
        .iter()
        .try_for_each(|path| read(path)?.check(path.as_str(), wagon).map_err(SourceError::Manifest))
}

/// Puts the files where an upload of the wagon finds them: into a directory of the wagon's name.
/// Where there are none, makes the least one.
pub(super) fn put_beside(
    wagon: &Utf8Path,
    yamls: &[Utf8PathBuf],
    metadata: &Metadata,
) -> Result<Vec<Utf8PathBuf>, SourceError> {
    let directory = wagon.with_extension("");
    fs_err::create_dir_all(&directory).map_err(SourceError::Keep)?;
    for before in manifests(&directory)? {
        fs_err::remove_file(before).map_err(SourceError::Keep)?;
    }
    for path in yamls {
        let name = path.file_name().expect("a file has a name");
        fs_err::copy(path, directory.join(name)).map_err(SourceError::Keep)?;
    }
    if yamls.is_empty() {
        fs_err::write(directory.join("plugin.yaml"), least(metadata)).map_err(SourceError::Keep)?;
    }
    manifests(&directory)
}

/// A plugin.yaml that makes the plugin known and nothing more.
fn least(metadata: &Metadata) -> String {
    let Metadata { package_name, package_version, .. } = metadata;
    format!(
        "plugins:\n  {package_name}:\n    executor: central_deployment_agent\n    package_name: \
         {package_name}\n    package_version: '{package_version}'\n"
    )
}

fn read(path: &Utf8Path) -> Result<PluginManifest, SourceError> {
    let text = fs_err::read_to_string(path).map_err(SourceError::Read)?;
    PluginManifest::read(path.as_str(), &text).map_err(SourceError::Manifest)
}

#[cfg(test)]
mod tests {
    use waggoner_wagon::OsProperties;

    use super::*;

    fn metadata(version: &str) -> Metadata {
        Metadata {
            created_by_wagon_version: String::new(),
            archive_name: String::new(),
            package_name: "note-plugin".to_owned(),
            package_version: version.to_owned(),
            package_build_tag: String::new(),
            package_source: String::new(),
            supported_platform: "any".to_owned(),
            supported_python_versions: Vec::new(),
            python_requires: String::new(),
            build_server_os_properties: OsProperties::default(),
            wheels: Vec::new(),
            files: Vec::new(),
            excluded_wheels: Vec::new(),
        }
    }

    #[test]
    fn the_least_plugin_yaml_belongs_to_its_wagon() {
        let directory = camino_tempfile::tempdir().unwrap();
        let wagon = directory.path().join("note_plugin-1.10-py311-none-any.wgn");
        let metadata = metadata("1.10");
        let made = put_beside(&wagon, &[], &metadata).unwrap();
        assert_eq!(made, [directory.path().join("note_plugin-1.10-py311-none-any/plugin.yaml")]);
        agree(&made, &metadata).unwrap();
        checked(made[0].parent().unwrap()).unwrap();
    }

    #[test]
    fn what_lies_beside_a_wagon_is_of_its_last_packing() {
        let directory = camino_tempfile::tempdir().unwrap();
        let wagon = directory.path().join("note.wgn");
        let tree = directory.path().join("tree");
        fs_err::create_dir(&tree).unwrap();
        fs_err::write(tree.join("plugin_1_4.yaml"), least(&metadata("1"))).unwrap();
        put_beside(&wagon, &[], &metadata("1")).unwrap();
        let put = put_beside(&wagon, &checked(&tree).unwrap(), &metadata("1")).unwrap();
        let names: Vec<_> = put.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["plugin_1_4.yaml"]);
    }

    #[test]
    fn the_only_plugin_yaml_may_have_what_is_new_in_the_language() {
        let directory = camino_tempfile::tempdir().unwrap();
        let text = least(&metadata("1")) + "    properties: {user: {type: string}}\n";
        fs_err::write(directory.path().join("plugin.yaml"), &text).unwrap();
        checked(directory.path()).unwrap();

        // Blueprints of older versions would get it.
        fs_err::write(directory.path().join("plugin_1_5.yaml"), &text).unwrap();
        let details = checked(directory.path()).unwrap_err().details().join("\n");
        assert!(details.contains("needs `cloudify_dsl_1_5`"), "{details}");
    }

    #[test]
    fn a_plugin_yaml_that_no_blueprint_could_import_is_refused_with_its_place() {
        let directory = camino_tempfile::tempdir().unwrap();
        let text = least(&metadata("1")) + "node_types: {a.Node: {derived_from: a.Other}}\n";
        fs_err::write(directory.path().join("plugin.yaml"), text).unwrap();
        let refusal = checked(directory.path()).unwrap_err();
        let details = refusal.details().join("\n");
        assert!(details.contains("plugin.yaml:6:") && details.contains("a.Other"), "{details}");

        let other = least(&metadata("2"));
        fs_err::write(directory.path().join("plugin.yaml"), other).unwrap();
        let yamls = checked(directory.path()).unwrap();
        let refusal = agree(&yamls, &metadata("1")).unwrap_err();
        let said = waggoner_types::Chain(&refusal).to_string();
        assert!(said.contains("has the package_version `2`, but the wagon has `1`"), "{said}");
    }
}

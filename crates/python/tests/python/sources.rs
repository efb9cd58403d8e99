//! Environments of plugins that come as sources, each with a build backend of its own, so that no
//! index is asked.

use std::error::Error as _;

use camino::{Utf8Path, Utf8PathBuf};
use camino_tempfile::Utf8TempDir;
use fs_err as fs;
use waggoner_python::{Environment, EnvironmentError, EnvironmentSpec, Environments, Form};
use waggoner_wagon::pack_tree;

use crate::support::{alive, installers, python, spec, uv, wagon, wagon_file, wheel};

/// Makes a wheel of `web_plugin.py` that asks for `helper`.
pub(crate) const BACKEND: &str = r"
import zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = 'web_plugin-1.0-py3-none-any.whl'
    info = 'web_plugin-1.0.dist-info/'
    with zipfile.ZipFile(wheel_directory + '/' + name, 'w') as wheel:
        wheel.write('web_plugin.py')
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\nName: web-plugin\nVersion: 1.0\n'
                                          'Requires-Dist: helper\n')
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\nGenerator: test\n'
                                       'Root-Is-Purelib: true\nTag: py3-none-any\n')
        wheel.writestr(info + 'RECORD', '')
    return name
";

const PROJECT: &str =
    "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n";

/// A place for plugins, and what they need.
pub(crate) struct Workshop {
    pub(crate) directory: Utf8TempDir,
    /// What is given to pip: where `helper` is, and that nothing else is anywhere.
    arguments: String,
    tag: String,
}

// === impl Workshop ===

impl Workshop {
    pub(crate) fn new(tag: &str) -> Self {
        let directory = Utf8TempDir::new().unwrap();
        let helpers = directory.path().join("helpers");
        wheel(&helpers, "helper", "3.0", &[], &[("helper.py", "")]);
        let arguments = format!("--no-index --find-links {helpers}");
        Self { directory, arguments, tag: tag.to_owned() }
    }

    /// The sources of a plugin, with a cloudify-common beside them.
    fn plugin(&self, name: &str, files: &[(&str, &str)]) -> EnvironmentSpec {
        let tree = self.directory.path().join(name);
        for (file, text) in files {
            let path = tree.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let archive = self.directory.path().join(format!("{name}.tar.gz"));
        pack_tree(&tree, "source", fs::File::create(&archive).unwrap()).unwrap();
        let common = self.directory.path().join(format!("{name}-common"));
        wheel(&common, "cloudify-common", "5.1.0", &[], &[("cloudify/__init__.py", "")]);
        EnvironmentSpec {
            form: Form::Source,
            extra_wagons: vec![wagon(&common, "cloudify-common", "5.1.0", &self.tag)],
            install_arguments: self.arguments.clone(),
            ..spec("web-plugin", "", wagon_file(archive))
        }
    }

    pub(crate) fn good(&self, name: &str, module: &str) -> EnvironmentSpec {
        let files =
            [("backend.py", BACKEND), ("pyproject.toml", PROJECT), ("web_plugin.py", module)];
        self.plugin(name, &files)
    }

    pub(crate) fn bad(&self, name: &str, backend: &str) -> EnvironmentSpec {
        self.plugin(name, &[("backend.py", backend), ("pyproject.toml", PROJECT)])
    }

    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.directory.path().join("root")
    }

    /// What is there of environments, without locks, and of wheels.
    fn left(&self) -> Vec<String> {
        let entries = |folder: &str| self.root().join(folder).read_dir_utf8();
        let names =
            ["environments", "wheels"].into_iter().filter_map(|it| entries(it).ok()).flatten();
        let names = names.map(|entry| entry.unwrap().file_name().to_owned());
        names.filter(|name| Utf8Path::new(name).extension() != Some("lock")).collect()
    }
}

fn module(environment: &Environment, file: &str) -> Option<String> {
    let library = environment.prefix.join("lib").read_dir_utf8().unwrap().next().unwrap().unwrap();
    fs::read_to_string(library.path().join("site-packages").join(file)).ok()
}

fn chain(error: &EnvironmentError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[tokio::test]
async fn sources_are_built_once_beside_what_the_agent_brings() {
    let python = python().await;
    for uv in installers() {
        let workshop = Workshop::new(&python.tag);
        let root = workshop.root();
        let environments = Environments::with_tools(&root, uv.clone(), vec![python.clone()]);
        let spec = workshop.good("one", "WORD = 1\n");
        let one = environments.ensure(&spec).await.unwrap();
        assert_eq!((one.reused, one.common_version.as_str()), (false, "5.1.0"));
        assert_eq!(module(&one, "web_plugin.py").as_deref(), Some("WORD = 1\n"));
        assert!(module(&one, "helper.py").is_some(), "what it asks for came with it");
        let id = fs::read_to_string(one.prefix.join("plugin.id")).unwrap();
        assert_eq!(id, format!("source-{}", spec.wagon.digest));
        assert!(!one.prefix.join(".build").exists());

        // An agent that starts anew finds it.
        let anew = Environments::with_tools(&root, uv.clone(), vec![python.clone()]);
        assert_eq!(anew.ensure(&spec).await.unwrap(), Environment { reused: true, ..one.clone() });
        if uv.is_none() {
            continue;
        }
        // Other sources are another environment, and so are other arguments.
        let two = anew.ensure(&workshop.good("two", "WORD = 2\n")).await.unwrap();
        assert_eq!(module(&two, "web_plugin.py").as_deref(), Some("WORD = 2\n"));
        let arguments = format!("{} --no-deps", spec.install_arguments);
        let other = EnvironmentSpec { install_arguments: arguments, ..spec };
        let other = anew.ensure(&other).await.unwrap();
        assert_eq!(module(&other, "helper.py"), None);
        assert_eq!(anew.list().unwrap().len(), 3);
        assert_eq!(module(&one, "web_plugin.py").as_deref(), Some("WORD = 1\n"));
    }
}

#[tokio::test]
async fn sources_that_cannot_be_built_say_why_and_leave_nothing() {
    let python = python().await;
    let workshop = Workshop::new(&python.tag);
    let environments = Environments::with_tools(workshop.root(), uv(), vec![python.clone()]);
    let good = workshop.good("good", "");
    let bytes = workshop.directory.path().join("bytes");
    fs::write(&bytes, "no archive").unwrap();
    let build = format!(
        "failed to build the plugin `web-plugin` from its sources for {} with pip: ",
        python.tag
    );
    let cases = [
        (
            workshop.bad("raises", "raise ValueError('the moon is full')\n"),
            format!("{build}ValueError: the moon is full"),
        ),
        (
            workshop.bad("syntax", "def build_wheel(:\n"),
            format!("{build}backend.py line 1: SyntaxError: invalid syntax"),
        ),
        (
            workshop.plugin("empty", &[("web_plugin.py", "")]),
            "failed to build the plugin `web-plugin` from its sources: they have neither a setup.py \
             nor a pyproject.toml"
                .to_owned(),
        ),
        (
            EnvironmentSpec { wagon: wagon_file(bytes), ..good.clone() },
            "failed to make an environment for the plugin `web-plugin`: the archive `web-plugin` is \
             refused: it is neither a tar.gz nor a zip"
                .to_owned(),
        ),
        (
            EnvironmentSpec { extra_wagons: Vec::new(), ..good.clone() },
            "failed to make an environment for the plugin `web-plugin`: nothing brings \
             cloudify-common: upload a wagon of it to the manager, or name it among the plugin's \
             requirements"
                .to_owned(),
        ),
        (
            EnvironmentSpec { install_arguments: "--no-index".to_owned(), ..good },
            format!(
                "{build}Could not find a version that satisfies the requirement helper (from \
                 web-plugin) (from versions: none) No matching distribution found for helper"
            ),
        ),
    ];
    for (spec, said) in cases {
        let error = environments.ensure(&spec).await.unwrap_err();
        assert_eq!(chain(&error), said);
        assert_eq!(workshop.left(), Vec::<String>::new(), "after: {said}");
    }
}

#[tokio::test]
async fn what_a_build_has_started_ends_with_it() {
    let python = python().await;
    let workshop = Workshop::new(&python.tag);
    let environments = Environments::with_tools(workshop.root(), uv(), vec![python]);
    let note = workshop.directory.path().join("started");
    let start = format!(
        "import subprocess\n\
         nothing = {{'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}}\n\
         started = subprocess.Popen(['sleep', '600'], start_new_session=True, **nothing)\n\
         open({:?}, 'w').write(str(started.pid))\n",
        note.as_str()
    );
    let spec = workshop.bad("starts", &format!("{start}{BACKEND}"));
    // It fails for want of its module.
    environments.ensure(&spec).await.unwrap_err();
    let pid: i32 = fs::read_to_string(note).unwrap().parse().unwrap();
    assert!(!alive(pid));
}

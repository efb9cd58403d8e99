//! Installations of the AWS plugin's wagon in an hour, beside the stock `wagon install` of it: from
//! nothing, from wheels that are there already, and where the environment is there as well, as an
//! agent finds it that was started anew.

use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use waggoner_python::{Environment, EnvironmentSpec, Environments, WagonFile, interpreters};
use waggoner_testkit::{python_program, run_python};
use waggoner_types::Digest;

mod measure;
#[expect(dead_code, clippy::unwrap_used, reason = "a module of the stories, which use all of it")]
#[path = "../tests/wagons.rs"]
mod wagons;

use measure::Pairs;

/// How many times each is measured; an odd number has a median of its own.
const ROUNDS: usize = 3;

fn main() {
    let wagon = wagons::wagon_of("cloudify-aws-plugin", "3.1.7");
    let spec = spec(&wagon);
    let folder = camino_tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.expect("cargo's folder is ours");
    let [mut cold, mut warm, mut again] = [(); 3].map(|()| Pairs::default());
    let runtime = Runtime::new().expect("a runtime can be started");
    for round in 0..ROUNDS {
        let directory = folder.path().join(format!("stock-{round}"));
        let stock = stock(&wagon, &directory);
        fs::remove_dir_all(&directory).expect("the folder is ours");
        let root = folder.path().join(format!("ours-{round}"));
        runtime.block_on(async {
            let (made, took) = install(&root, &spec).await;
            cold.push(took, stock);
            let environment = root.join("environments").join(&made.name);
            fs::remove_file(environment.with_file_name(format!("{}.json", made.name)))
                .expect("it has a record");
            fs::remove_dir_all(&environment).expect("it has a directory");
            warm.push(install(&root, &spec).await.1, stock);
            again.push(install(&root, &spec).await.1, stock);
        });
        fs::remove_dir_all(root).expect("the folder is ours");
    }
    cold.print("installs-cold", "installations/hour", "wagon install");
    warm.print("installs-wheels-there", "installations/hour", "wagon install");
    again.print("installs-environment-there", "installations/hour", "wagon install");
}

fn spec(wagon: &Utf8Path) -> EnvironmentSpec {
    let bytes = fs::read(wagon).expect("the wagon was made");
    EnvironmentSpec {
        package_name: "cloudify-aws-plugin".to_owned(),
        package_version: "3.1.7".to_owned(),
        wagon: WagonFile { path: wagon.to_owned(), digest: Digest(Sha256::digest(bytes).into()) },
        extra_wagons: Vec::new(),
        python_tags: Vec::new(),
        install_arguments: String::new(),
    }
}

/// Installs it as an agent that was just started; returns how often that can be done in an hour.
async fn install(root: &Utf8PathBuf, spec: &EnvironmentSpec) -> (Environment, f64) {
    let found = interpreters().await.to_vec();
    let environments = Environments::with_tools(root, Some(python_program("uv")), found);
    let start = Instant::now();
    let made = environments.ensure(spec).await.expect("it can be installed");
    (made, in_an_hour(start.elapsed().as_secs_f64()))
}

fn stock(wagon: &Utf8Path, directory: &Utf8Path) -> f64 {
    let ran = run_python("stock_wagon.py", &[wagon.as_str(), directory.as_str()]);
    in_an_hour(ran["seconds"].as_f64().expect("it says so"))
}

fn in_an_hour(seconds: f64) -> f64 {
    3600.0 / seconds
}

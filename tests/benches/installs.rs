//! Installations of the AWS plugin's wagon in an hour, and in an hour of CPU, beside the stock
//! `wagon install` of it: from nothing, from wheels that are there already, and where the
//! environment is there as well, as an agent finds it that was started anew.
//!
//! The two do not leave the same: the stock one compiles all modules to byte code, as pip does;
//! ours leaves that to the first import of each, as an operation imports a small part of them. The
//! making of the virtual environment is in our time and not in the stock one's.
//!
//! Nothing is deleted before the end: for minutes, ext4 steps over each inode that was freed when
//! it looks for a new one, and whoever comes next would pay for it.

use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike as _},
};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use waggoner_python::{EnvironmentSpec, Environments, Form, WagonFile, interpreters};
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
    let [mut cold, mut cold_cpu, mut warm, mut warm_cpu, mut again] =
        [(); 5].map(|()| Pairs::default());
    let runtime = Runtime::new().expect("a runtime can be started");
    for round in 0..ROUNDS {
        let directory = folder.path().join(format!("stock-{round}"));
        let stock = stock(&wagon, &directory);
        let root = folder.path().join(format!("ours-{round}"));
        runtime.block_on(async {
            let ours = install(&root, &spec).await;
            cold.push(ours.wall, stock.wall);
            cold_cpu.push(ours.cpu, stock.cpu);
            let environments = root.join("environments");
            fs::rename(&environments, root.join("before")).expect("it was just made");
            let ours = install(&root, &spec).await;
            warm.push(ours.wall, stock.wall);
            warm_cpu.push(ours.cpu, stock.cpu);
            again.push(install(&root, &spec).await.wall, stock.wall);
        });
    }
    let (unit, of_cpu, against) = ("installations/hour", "installations/hour of CPU", AGAINST);
    cold.print("installs-cold", unit, against);
    cold_cpu.print("installs-cold-cpu", of_cpu, against);
    warm.print("installs-wheels-there", unit, against);
    warm_cpu.print("installs-wheels-there-cpu", of_cpu, against);
    again.print("installs-environment-there", unit, against);
}

const AGAINST: &str = "wagon install";

/// How often something can be done in an hour, and in an hour of CPU.
struct Rates {
    wall: f64,
    cpu: f64,
}

fn spec(wagon: &Utf8Path) -> EnvironmentSpec {
    let bytes = fs::read(wagon).expect("the wagon was made");
    EnvironmentSpec {
        package_name: "cloudify-aws-plugin".to_owned(),
        package_version: "3.1.7".to_owned(),
        wagon: WagonFile { path: wagon.to_owned(), digest: Digest(Sha256::digest(bytes).into()) },
        form: Form::Wagon,
        extra_wagons: Vec::new(),
        python_tags: Vec::new(),
        install_arguments: String::new(),
    }
}

/// Installs it as an agent that was just started.
async fn install(root: &Utf8PathBuf, spec: &EnvironmentSpec) -> Rates {
    let found = interpreters().await.to_vec();
    let environments = Environments::with_tools(root, Some(python_program("uv")), found);
    let (before, start) = (cpu(), Instant::now());
    environments.ensure(spec).await.expect("it can be installed");
    let wall = in_an_hour(start.elapsed().as_secs_f64());
    Rates { wall, cpu: in_an_hour(cpu() - before) }
}

fn stock(wagon: &Utf8Path, directory: &Utf8Path) -> Rates {
    let ran = run_python("stock_wagon.py", &[wagon.as_str(), directory.as_str()]);
    let rate = |key: &str| in_an_hour(ran[key].as_f64().expect("it says so"));
    Rates { wall: rate("seconds"), cpu: rate("cpu") }
}

/// The seconds of CPU of this process and of those that it has waited for.
fn cpu() -> f64 {
    let of = |who| {
        let usage = getrusage(who).expect("who is one of those there are");
        [usage.user_time(), usage.system_time()]
    };
    let times = [of(UsageWho::RUSAGE_SELF), of(UsageWho::RUSAGE_CHILDREN)];
    let seconds = |time: &TimeVal| {
        Duration::from_micros(time.num_microseconds().unsigned_abs()).as_secs_f64()
    };
    times.iter().flatten().map(seconds).sum()
}

fn in_an_hour(seconds: f64) -> f64 {
    3600.0 / seconds
}

//! Compiles `proto/` with protox, so that a checkout and cargo are all it takes to build.

use std::{env, error::Error, path::PathBuf};

use fs_err as fs;
use prost::Message as _;

/// The generated code and descriptors of the whole wire, one package a line.
const PROTOS: &[&str] = &[
    "waggoner/v1/blueprint.proto",
    "waggoner/v1/deployment.proto",
    "waggoner/v1/execution.proto",
    "waggoner/v1/fleet.proto",
    "waggoner/v1/manager.proto",
    "waggoner/v1/plugin.proto",
    "waggoner/v1/secret.proto",
    "waggoner/v1/tenant.proto",
    "waggoner/agent/v1/agent.proto",
    "waggoner/plugin/v1/plugin.proto",
    "waggoner/supervisor/v1/supervisor.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let descriptors = protox::compile(PROTOS, ["../../proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // The bulk of what agents say is output: it is taken out of a message without a copy.
    tonic_prost_build::configure()
        .bytes(".waggoner.agent.v1.Output.data")
        .compile_fds(descriptors)?;
    Ok(())
}

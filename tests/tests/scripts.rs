//! Scripts in Python, and those that need none.

use fs_err as fs;
use waggoner_testkit::Site;

use crate::{
    fixtures::{assert_clear, script_blueprint},
    wagons::wagon_of,
};

#[test]
fn a_script_in_python_runs_once_there_is_a_wagon_of_cloudify_common() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    site.agent("host", "host");
    let wag = site.wag();
    let blueprint = script_blueprint(&site, "scripted", "true\n");
    let text = fs::read_to_string(&blueprint).unwrap();
    fs::write(&blueprint, text.replace("scripts/create.sh", "scripts/create.py")).unwrap();
    let script = "\
from cloudify import ctx
from cloudify.state import ctx_parameters as inputs

ctx.logger.info('given %s', inputs['given'])
ctx.instance.runtime_properties['said'] = inputs['given'].upper()
";
    site.file("scripted/scripts/create.py", script);
    site.deploy("scripted", &blueprint, &["given=a word"]);
    let install = ["executions", "start", "install", "--deployment-id", "scripted"];
    assert_clear(&wag.refused(1, &install), &["Python", "upload a wagon of `cloudify-common`"]);

    let wagon = wagon_of("cloudify-common", "7.0.5");
    let yaml = "plugins:\n  common:\n    executor: host_agent\n    package_name: cloudify-common\n    \
                package_version: 7.0.5\n";
    let yaml = site.file("common/plugin.yaml", yaml);
    wag.ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    wag.ok(&install);
    let outputs = wag.json(&["deployments", "outputs", "scripted"]);
    assert_eq!(outputs["outputs"]["said"], "A WORD", "{outputs}");
    assert!(wag.messages("scripted").iter().any(|message| message == "given a word"));
}

#[test]
fn a_shell_script_needs_nothing_in_the_agents_own_path() {
    let mut site = Site::start_with(&["--task-retries", "0"]);
    let programs = site.folder().join("programs");
    fs::create_dir_all(&programs).unwrap();
    let bare = [("PATH", programs.as_str()), ("HOME", programs.as_str())];
    site.agent_with("host", "host", &[], &bare);
    let wag = site.wag();
    let script = "#!/bin/sh\nset -eu\nctx instance runtime-properties said \"$given\"\n";
    let blueprint = script_blueprint(&site, "bare", script);
    site.install("bare", &blueprint, &["given=shell"]);
    let outputs = wag.json(&["deployments", "outputs", "bare"]);
    assert_eq!(outputs["outputs"]["said"], "shell", "{outputs}");
}

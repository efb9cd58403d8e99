//! An execution that is killed takes its operations with it, without asking them.

use fs_err as fs;
use waggoner_testkit::eventually;

use crate::fixtures::{script_blueprint, site_with_agent};

#[test]
fn an_operation_of_a_killed_execution_is_killed_and_not_asked_first() {
    let site = site_with_agent();
    let wag = site.wag();
    let (up, asked) = (site.folder().join("up"), site.folder().join("asked"));
    let script = format!(
        "#!/bin/sh\ntrap 'echo asked > {asked}; exit 0' TERM\necho $$ > {up}\n\
         while :; do sleep 0.1; done\n"
    );
    let blueprint = script_blueprint(&site, "killed", &script);
    site.deploy("killed", &blueprint, &[]);
    let execution = wag.start_execution("install", "killed");
    eventually("the operation to run", || match fs::read_to_string(&up) {
        Ok(pid) if pid.ends_with('\n') => Ok(()),
        other => Err(other),
    });
    wag.ok(&["executions", "cancel", &execution, "--kill"]);
    assert_eq!(wag.await_end(&execution)["status"], "cancelled");
    let pid = fs::read_to_string(&up).unwrap();
    eventually("the operation to be gone", || match fs::exists(format!("/proc/{}", pid.trim())) {
        Ok(false) => Ok(()),
        there => Err(there),
    });
    assert!(!fs::exists(&asked).unwrap(), "it was asked to leave");
}

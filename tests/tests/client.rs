//! A client in another language, with nothing but what the manager says of itself.

use waggoner_testkit::{Site, run_python};

use crate::fixtures::{script_blueprint, site_with_agent, tiny_wagon};

#[test]
fn a_python_program_finds_its_way_by_reflection() {
    let site = site_with_agent();
    let wag = site.wag();
    let (wagon, yaml) = tiny_wagon(&site.folder().join("wagons"), "any");
    wag.ok(&["plugins", "upload", wagon.as_str(), "--yaml", yaml.as_str()]);
    let script = "#!/bin/sh\nctx logger info \"given $given\"\n";
    let blueprint = script_blueprint(&site, "followed", script);
    site.deploy("followed", &blueprint, &["given=by Python"]);

    let profile = site.data_dir().join("profile.json");
    let said = run_python("client.py", &[profile.as_str(), "followed"]);
    let services = said["services"].as_array().unwrap();
    for service in ["waggoner.v1.PluginService", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|name| name == service), "{service}: {said}");
    }
    assert_eq!(said["health"], "SERVING", "{said}");
    assert_eq!(said["plugins"], serde_json::json!(["tiny-plugin 1.0"]), "{said}");
    let messages = said["messages"].as_array().unwrap();
    assert!(messages.iter().any(|message| message == "given by Python"), "{said}");
    assert_eq!(said["status"], "EXECUTION_STATUS_TERMINATED", "{said}");
}

#[test]
fn no_call_without_a_token_is_answered() {
    let site = Site::start();
    let profile = site.data_dir().join("profile.json");
    let said = run_python("unauthenticated.py", &[profile.as_str()]);
    let answers = said.as_object().unwrap();
    assert!(answers.len() > 30, "{said}");
    let open = ["waggoner.v1.EnrolmentService/"];
    for (method, code) in answers {
        if open.iter().any(|service| method.starts_with(service)) {
            assert_ne!(code, "OK", "{method}");
        } else {
            assert_eq!(code, "UNAUTHENTICATED", "{method}");
        }
    }
    site.wag().ok(&["status"]);
}

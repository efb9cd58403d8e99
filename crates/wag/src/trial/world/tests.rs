use super::*;

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn subject(properties: &Value, runtime_properties: &Value) -> Subject {
    Subject {
        node: Map::new(),
        properties: map(properties),
        runtime_properties: map(runtime_properties),
    }
}

fn update(version: i64, properties: &Value) -> Ask {
    Ask::UpdateNodeInstance(UpdateNodeInstance {
        node_instance_id: "node_1".to_owned(),
        version,
        runtime_properties_json: Some(properties.to_string()),
        state: Some("creating".to_owned()),
    })
}

#[test]
fn an_update_of_what_was_read_before_another_change_is_refused() {
    let mut world = World::new(&subject(&json!({}), &json!({"a": 1})), None, Map::new(), None);
    let first = world.answer(Some(update(1, &json!({"a": 2})))).unwrap();
    assert_eq!((&first["version"], &first["runtime_properties"]["a"]), (&json!(2), &json!(2)));
    let same = world.answer(Some(update(2, &json!({"a": 2})))).unwrap();
    assert_eq!(same["version"], 2, "nothing has changed");
    let stale = world.answer(Some(update(1, &json!({"a": 3})))).unwrap_err();
    assert_eq!((stale.status, stale.reason.as_str()), (409, "VERSION_CONFLICT"));
    assert_eq!(world.runtime_properties(), (json!({"a": 2}), None));
}

#[test]
fn functions_are_evaluated_against_the_node_the_target_and_the_secrets() {
    let own = subject(&json!({"password": {"get_secret": "key"}}), &json!({"ip": "10.0.0.1"}));
    let target = subject(&json!({"port": 80}), &json!({}));
    let secrets = map(&json!({"key": "s3cret"}));
    let world = World::new(&own, Some(&target), secrets, None);
    assert_eq!(world.shown_nodes().unwrap()[0]["properties"]["password"], "s3cret");
    let value = json!({"concat": [
        {"get_attribute": ["SOURCE", "ip"]}, ":", {"get_property": ["TARGET", "port"]},
    ]});
    assert_eq!(world.evaluate(value).unwrap(), "10.0.0.1:80");
    let refusal = world.evaluate(json!({"get_secret": "other"})).unwrap_err();
    assert!(refusal.message.contains("--secret other=…"), "{refusal:?}");
}

#[test]
fn a_relationship_has_two_sides_and_a_node_alone_has_none() {
    let alone = World::new(&Subject::default(), None, Map::new(), None);
    assert!(!alone.context().contains_key("related"));
    let two = World::new(&Subject::default(), Some(&Subject::default()), Map::new(), None);
    assert_eq!(two.context()["related"]["node_id"], "target_1");
    assert_eq!(two.instances()[0]["relationships"][0]["target_id"], "target_1");
}

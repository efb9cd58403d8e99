use proptest::prelude::*;
use serde_json::{Map, Value, json};
use waggoner_types::plan::InstanceState;

use super::{InstanceChange, InstanceUpdate, NodeInstance, changed, is_stale, updated};

/// An update by somebody who read the instance some versions ago.
#[derive(Clone, Debug)]
struct Asked {
    behind: usize,
    force: bool,
    properties: Option<u8>,
    state: Option<InstanceState>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let state = prop_oneof![Just(InstanceState::Creating), Just(InstanceState::Started)];
    let state = prop::option::of(state);
    (0_usize..4, prop::bool::weighted(0.1), prop::option::of(0_u8..3), state)
        .prop_map(|(behind, force, properties, state)| Asked { behind, force, properties, state })
}

fn properties(seed: u8) -> Map<String, Value> {
    match seed {
        0 => Map::new(),
        seed => Map::from_iter([("seed".to_owned(), json!(seed))]),
    }
}

fn instance() -> NodeInstance {
    NodeInstance {
        tenant: "t".parse().unwrap(),
        deployment_id: "d".parse().unwrap(),
        id: "vm_1".to_owned(),
        node_id: "vm".to_owned(),
        host_id: None,
        index: 1,
        state: InstanceState::Uninitialized,
        version: 1,
        runtime_properties: Map::new(),
        system_properties: Map::new(),
        relationships: Vec::new(),
        scaling_groups: Vec::new(),
    }
}

fn update(asked: &Asked, read: &NodeInstance) -> InstanceUpdate {
    InstanceUpdate {
        tenant: read.tenant.clone(),
        id: read.id.clone(),
        version: read.version,
        force: asked.force,
        runtime_properties: asked.properties.map(properties),
        state: asked.state,
        system_properties: None,
    }
}

proptest! {
    /// Who has not seen the newest properties does not overwrite them, unless forced; the version
    /// counts the real changes of properties and nothing else.
    #[test]
    fn no_update_is_lost_and_versions_count_changes(
        history in prop::collection::vec(asked(), 1..40),
    ) {
        let mut states = vec![instance()];
        for asked in history {
            let stored = states.last().unwrap().clone();
            let read = states[states.len().saturating_sub(1 + asked.behind)].clone();
            let update = update(&asked, &read);
            let missed = stored.runtime_properties != read.runtime_properties;

            if is_stale(&stored, &update) {
                prop_assert!(!asked.force && stored.version > read.version);
                continue;
            }
            prop_assert!(asked.force || !missed, "{read:?} overwrote {stored:?}");
            let wanted = update.runtime_properties.clone();
            let after = updated(stored.clone(), update);
            let moved = after.runtime_properties != stored.runtime_properties;
            prop_assert_eq!(after.version, stored.version + i64::from(moved));
            prop_assert_eq!(&after.runtime_properties, &wanted.unwrap_or(stored.runtime_properties));
            prop_assert_eq!(after.state, asked.state.unwrap_or(stored.state));
            states.push(after);
        }
    }
}

#[test]
fn the_order_of_keys_is_no_change() {
    let stored = NodeInstance {
        runtime_properties: serde_json::from_value(json!({"a": 1, "b": 2})).unwrap(),
        ..instance()
    };
    let same = InstanceChange {
        runtime_properties: Some(serde_json::from_value(json!({"b": 2, "a": 1})).unwrap()),
        ..InstanceChange::default()
    };
    assert_eq!(changed(stored, same).version, 1);
}

#[test]
fn a_version_from_the_future_is_no_conflict() {
    let ahead = NodeInstance { version: 9, ..instance() };
    let asked = Asked { behind: 0, force: false, properties: Some(1), state: None };
    assert!(!is_stale(&instance(), &update(&asked, &ahead)));
}

#[test]
fn a_workflow_changes_the_system_properties_that_it_names() {
    let map = |value: Value| value.as_object().cloned();
    let stored = NodeInstance {
        system_properties: map(json!({"kept": 1, "moved": 1, "gone": 1})).unwrap(),
        ..instance()
    };
    let change = InstanceChange {
        system_properties: map(json!({"moved": 2, "gone": null, "never": null, "new": 3})),
        ..InstanceChange::default()
    };
    let after = changed(stored.clone(), change);
    assert_eq!(Some(after.system_properties), map(json!({"kept": 1, "moved": 2, "new": 3})));
    assert_eq!(after.version, 1);

    let whole = update(&Asked { behind: 0, force: false, properties: None, state: None }, &stored);
    let whole = InstanceUpdate { system_properties: map(json!({"new": 3})), ..whole };
    assert_eq!(Some(updated(stored, whole).system_properties), map(json!({"new": 3})));
}

//! What plugins note beside deployments: labels, sites, dependencies, groups.

use serde_json::json;
use waggoner_store::{
    Deletion, Error,
    dependency::Dependency,
    deployment::Noted,
    group::{Group, GroupChange},
    label::{Label, Labelled},
    site::{DeploymentNote, Site},
};
use waggoner_types::DeploymentId;

use crate::scene::{Scene, at, blueprint, deployment, id, tenant};

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn noted() -> Noted {
    let display_name = Some("One".to_owned());
    Noted { note: DeploymentNote { display_name, site: None }, ..Noted::default() }
}

fn shown(labels: &[Label]) -> Vec<(&str, &str, i64)> {
    labels
        .iter()
        .map(|label| (label.key.as_str(), label.value.as_str(), label.created_at.as_second()))
        .collect()
}

#[tokio::test]
async fn labels_come_from_the_plan_and_are_replaced_as_a_whole() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let plan = json!({"blueprint_labels": {"Team": {"values": ["net"]}}});
    store.create_blueprint(blueprint("b", &[]), plan).await.unwrap();
    let mut new = deployment("d", &[]);
    new.plan = json!({"labels": {"env": {"values": ["test", {"get_input": "env"}]}}});
    let created = new.created_at.as_second();
    store.create_deployment(new).await.unwrap();

    let of_blueprint = Labelled::Blueprint("b".parse().unwrap());
    let labels = store.labels(tenant(), of_blueprint).await.unwrap();
    assert_eq!(shown(&labels), [("team", "net", 2)], "keys are in lower case");

    let of = Labelled::Deployment("d".parse().unwrap());
    let wanted = vec![pair("ENV", "test"), pair("tier", "1"), pair("tier", "2")];
    let labels = store.set_labels(tenant(), of.clone(), wanted, at(50)).await.unwrap();
    assert_eq!(shown(&labels), [("env", "test", created), ("tier", "1", 50), ("tier", "2", 50)]);
    let labels = store.set_labels(tenant(), of.clone(), vec![pair("tier", "2")], at(60)).await;
    assert_eq!(shown(&labels.unwrap()), [("tier", "2", 50)]);

    let nobody = Labelled::Deployment("none".parse().unwrap());
    let refused = store.set_labels(tenant(), nobody, Vec::new(), at(1)).await;
    assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
    store.delete_deployment(tenant(), "d".parse().unwrap(), Deletion::IfUnused).await.unwrap();
    assert_eq!(store.labels(tenant(), of).await.unwrap(), []);
}

#[tokio::test]
async fn a_site_is_in_use_while_deployments_are_there() {
    let scene = Scene::new().await.with_deployment().await;
    let store = &scene.store;
    let name = "oslo".to_owned();
    let site = Site { tenant: tenant(), name, location: None, created_at: at(9) };
    store.create_site(site.clone()).await.unwrap();
    let again = store.create_site(site).await;
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");

    let d: DeploymentId = "d".parse().unwrap();
    let at_site = |site: &str| DeploymentNote {
        display_name: Some("The D".to_owned()),
        site: Some(site.to_owned()),
    };
    let amend = |labels, note| {
        let amend = move |noted: &mut DeploymentNote| *noted = note;
        store.amend_deployment(tenant(), d.clone(), labels, amend, at(5))
    };
    let labels = || Some(vec![("Env".to_owned(), "test".to_owned())]);
    let nowhere = amend(labels(), at_site("nowhere")).await;
    assert!(matches!(nowhere, Err(Error::Missing(_))), "{nowhere:?}");
    let of = || store.labels(tenant(), Labelled::Deployment(d.clone()));
    assert_eq!(of().await.unwrap(), [], "all of it or nothing");
    amend(labels(), at_site("oslo")).await.unwrap();
    assert_eq!(of().await.unwrap().len(), 1);
    amend(None, at_site("oslo")).await.unwrap();
    assert_eq!(of().await.unwrap().len(), 1);
    let renamed = store.update_site(
        tenant(),
        "oslo".to_owned(),
        Some("bergen".to_owned()),
        Some("60,5".to_owned()),
    );
    assert_eq!(renamed.await.unwrap().location.as_deref(), Some("60,5"));
    assert_eq!(store.deployment_note(tenant(), d.clone()).await.unwrap(), at_site("bergen"));

    let delete = |deletion| store.delete_site(tenant(), "bergen".to_owned(), deletion);
    let refused = delete(Deletion::IfUnused).await.unwrap_err().to_string();
    assert!(refused.contains("in use by the deployment `d`"), "{refused}");
    delete(Deletion::Forced).await.unwrap();
    assert_eq!(store.deployment_note(tenant(), d).await.unwrap().site, None);
    assert_eq!(store.sites(tenant()).await.unwrap(), []);
}

#[tokio::test]
async fn a_deployment_that_others_depend_on_is_deleted_by_force_only() {
    let scene = Scene::new().await.with_deployment().await;
    let store = &scene.store;
    store.create_deployment(deployment("app", &[])).await.unwrap();
    let dependency = |number, creator: &str| Dependency {
        id: id(number),
        tenant: tenant(),
        creator: creator.to_owned(),
        source: "app".parse().unwrap(),
        target: Some("d".parse().unwrap()),
        target_function: Some(json!({"get_input": "db"})),
        external_source: None,
        external_target: None,
        created_at: at(3),
    };
    let put = |replaces: Option<DeploymentId>, given: &[(u128, &str)]| {
        let given = given.iter().map(|(number, creator)| dependency(*number, creator)).collect();
        let tell = |stored: &[Dependency]| stored.iter().map(|one| one.id.to_string()).collect();
        store.put_dependencies(None, tenant(), replaces, given, tell)
    };
    let first = put(None, &[(1, "component.db")]).await.unwrap();
    let second = put(None, &[(2, "component.db"), (3, "component.web")]).await.unwrap();
    assert_eq!(first[0], second[0], "a creator notes one of a deployment");
    let replaced = put(Some("app".parse().unwrap()), &[(4, "component.db")]).await.unwrap();
    assert_eq!(replaced, json!([id(4).to_string()]));
    assert_eq!(store.dependencies(tenant()).await.unwrap().len(), 1);

    let d: DeploymentId = "d".parse().unwrap();
    let refused = store.delete_deployment(tenant(), d.clone(), Deletion::IfUnused).await;
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("in use by the deployment `app`"), "{why}");
    store.delete_deployment(tenant(), d, Deletion::Forced).await.unwrap();
    assert_eq!(store.dependencies(tenant()).await.unwrap()[0].target, None);

    let app: DeploymentId = "app".parse().unwrap();
    let delete = || store.delete_dependency(tenant(), app.clone(), "component.db".to_owned());
    delete().await.unwrap();
    assert!(matches!(delete().await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_group_outlives_its_deployments_and_they_outlive_it() {
    let scene = Scene::new().await.with_deployment().await;
    let store = &scene.store;
    store.create_deployment(deployment("e", &[])).await.unwrap();
    let [d, e]: [DeploymentId; 2] = ["d", "e"].map(|id| id.parse().unwrap());
    let group = Group {
        tenant: tenant(),
        id: "g".to_owned(),
        description: None,
        blueprint: Some("b".parse().unwrap()),
        inputs: json!({"size": 1}),
        labels: json!([]),
        created_at: at(4),
        deployments: Vec::new(),
    };
    let nothing = GroupChange::default;
    let change = |change| store.change_group(tenant(), "g".to_owned(), change);
    assert!(matches!(change(nothing()).await, Err(Error::Missing(_))), "it is not there yet");
    let add = vec![d.clone(), e.clone(), d.clone()];
    let put = GroupChange { group: Some(group.clone()), add, ..nothing() };
    assert_eq!(change(put).await.unwrap().deployments, [d.clone(), e.clone()]);
    let group = Group { created_at: at(9), ..group };
    let put = change(GroupChange { group: Some(group), ..nothing() }).await.unwrap();
    assert_eq!((put.deployments.len(), put.created_at), (2, at(4)));
    let removed = change(GroupChange { remove: vec![d.clone()], ..nothing() }).await.unwrap();
    assert_eq!(removed.deployments, std::slice::from_ref(&e));
    let set = change(GroupChange { set: Some(vec![d.clone()]), ..nothing() }).await.unwrap();
    assert_eq!(set.deployments, std::slice::from_ref(&d));
    assert_eq!(store.groups_of(tenant(), d.clone()).await.unwrap(), ["g"]);

    // All of a change is stored, or nothing.
    let half = GroupChange {
        create: vec![(deployment("f", &[]), Noted::default())],
        set: Some(vec![e.clone()]),
        add: vec!["none".parse().unwrap()],
        ..nothing()
    };
    let refused = change(half).await;
    assert!(matches!(refused, Err(Error::Missing(_))), "{refused:?}");
    let create = vec![(deployment("f", &[]), Noted { labels: vec![pair("A", "b")], ..noted() })];
    let made = change(GroupChange { create, ..nothing() }).await.unwrap();
    let f: DeploymentId = "f".parse().unwrap();
    assert_eq!(made.deployments, [d.clone(), f.clone()]);
    let labels = store.labels(tenant(), Labelled::Deployment(f.clone())).await.unwrap();
    assert_eq!(shown(&labels), [("a", "b", 3)]);
    assert_eq!(store.deployment_note(tenant(), f.clone()).await.unwrap(), noted().note);

    store.delete_deployment(tenant(), d, Deletion::IfUnused).await.unwrap();
    assert_eq!(store.groups(tenant()).await.unwrap()[0].deployments, std::slice::from_ref(&f));
    store.delete_group(tenant(), "g".to_owned(), None).await.unwrap();
    let put = Group { id: "g".to_owned(), ..made };
    change(GroupChange { group: Some(put), add: vec![f.clone()], ..nothing() }).await.unwrap();
    store.delete_group(tenant(), "g".to_owned(), Some(Deletion::IfUnused)).await.unwrap();
    assert!(store.deployment(tenant(), f).await.is_err(), "it went with the group");
    assert!(store.deployment(tenant(), e).await.is_ok());
}

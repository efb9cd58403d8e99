use serde_json::json;
use waggoner_store::{Deletion, Error, Kind, PageRequest, plugin::Plugin};
use waggoner_types::PluginId;

use crate::scene::{Scene, blueprint, deployment, id, plugin, tenant};

#[tokio::test]
async fn a_plugin_is_stored_whole_and_once() {
    let Scene { store, directory: _directory } = Scene::new().await;
    store.create_plugin(plugin(1, "1.0")).await.unwrap();
    assert_eq!(store.plugin(tenant(), PluginId(id(1))).await.unwrap(), plugin(1, "1.0"));

    let refused = store.create_plugin(plugin(2, "1.0")).await.unwrap_err();
    assert_eq!(refused.to_string(), "the plugin `p 1.0` in the tenant `t` exists already");
    let elsewhere = Plugin { distribution: "debian".to_owned(), ..plugin(2, "1.0") };
    store.create_plugin(elsewhere).await.unwrap();
    store.create_plugin(plugin(3, "0.9")).await.unwrap();

    let of = |name: &str| store.plugin_candidates(tenant(), name.to_owned());
    let candidates = of("p").await.unwrap();
    assert_eq!(candidates.len(), 3);
    assert!(candidates.iter().all(|plugin| plugin.yamls[0].text == "plugins: {}"));
    assert_eq!(of("q").await.unwrap(), []);

    let page = PageRequest::new(2, "");
    let page = store.plugins(tenant(), Some("p".to_owned()), &page).await.unwrap();
    assert_eq!(page.items[0].package_version, "0.9");
    assert_eq!(
        (page.items[0].yamls[0].name.as_str(), page.items[0].yamls[0].text.as_str()),
        ("plugin.yaml", "")
    );
    let rest = PageRequest::new(2, page.next.unwrap());
    let rest = store.plugins(tenant(), Some("p".to_owned()), &rest).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
}

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_the_refusal_names_who_uses_it() {
    let Scene { store, directory: _directory } = Scene::new().await;
    let used = PluginId(id(1));
    store.create_plugin(plugin(1, "1.0")).await.unwrap();
    let plan = json!({"nodes": [{"id": "vm"}]});
    store.create_blueprint(blueprint("b", &[used]), plan.clone()).await.unwrap();
    store.create_deployment(deployment("d", &[])).await.unwrap();
    let b = || "b".parse().unwrap();

    let refused = store.delete_plugin(tenant(), used, Deletion::IfUnused).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the plugin `p 1.0` in the tenant `t` is in use by the blueprint `b`: delete what uses it \
         first"
    );
    let refused = store.delete_blueprint(tenant(), b()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the blueprint `b` in the tenant `t` is in use by the deployment `d`: delete what uses it \
         first"
    );
    assert_eq!(store.blueprint(tenant(), b()).await.unwrap(), blueprint("b", &[used]));
    assert_eq!(store.blueprint_plan(tenant(), b()).await.unwrap(), plan);

    store.delete_plugin(tenant(), used, Deletion::Forced).await.unwrap();
    store.delete_deployment(tenant(), "d".parse().unwrap(), Deletion::IfUnused).await.unwrap();
    store.delete_blueprint(tenant(), b()).await.unwrap();
    assert!(matches!(store.blueprint(tenant(), b()).await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_blueprint_whose_plugin_is_gone_is_not_stored() {
    let Scene { store, directory: _directory } = Scene::new().await;
    let absent = blueprint("b", &[PluginId(id(9))]);
    let refused = store.create_blueprint(absent, json!({})).await.unwrap_err();
    assert!(matches!(&refused, Error::Missing(thing) if thing.kind == Kind::Plugin), "{refused}");
    let page = store.blueprints(tenant(), &PageRequest::default()).await.unwrap();
    assert_eq!(page.items, []);
}

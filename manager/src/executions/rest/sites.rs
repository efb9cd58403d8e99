//! `/sites` (`rest/resources_v3_1/sites.py`).

use jiff::Timestamp;
use serde_json::{Value, json};
use waggoner_store::{Deletion, site::Site};

use crate::executions::{
    answers::Unanswered,
    rest::{
        list::list,
        reply::{Answered, Reply, owned, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let store = &call.home().store;
    match (call.method, call.path) {
        ("GET", []) => {
            let sites = store.sites(call.tenant()).await?;
            list(call.query, sites.iter().map(shown).collect())
        }
        ("GET", [name]) => Reply::ok(shown(&store.site(call.tenant(), (*name).to_owned()).await?)),
        ("PUT", [name]) => {
            call.require_tenant("make sites")?;
            let site = Site {
                tenant: call.tenant(),
                name: (*name).to_owned(),
                location: call.text("location"),
                created_at: Timestamp::now(),
            };
            let reply = Reply::changed("sites", *name);
            call.deciding(&reply).create_site(site).await?;
            Ok(reply)
        }
        ("POST", [name]) => {
            call.require_tenant("change sites")?;
            let (new_name, location) = (call.text("new_name"), call.text("location"));
            let reply = Reply::changed("sites", new_name.as_deref().unwrap_or(name));
            let name = (*name).to_owned();
            call.deciding(&reply).update_site(call.tenant(), name, new_name, location).await?;
            Ok(reply)
        }
        ("DELETE", [name]) => {
            call.require_tenant("delete sites")?;
            let (store, name) = (call.deciding(&Reply::NONE), (*name).to_owned());
            store.delete_site(call.tenant(), name, Deletion::Forced).await?;
            Reply::none()
        }
        _ => call.unknown("sites"),
    }
}

/// A site as it is shown.
pub(super) async fn one(call: &Call<'_>, name: &str) -> Result<Value, Unanswered> {
    Ok(shown(&call.home().store.site(call.tenant(), name.to_owned()).await?))
}

fn shown(site: &Site) -> Value {
    let shown = json!({
        "name": site.name,
        "location": site.location,
        "created_at": time(site.created_at),
    });
    owned(&site.tenant, shown)
}

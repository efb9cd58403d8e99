//! `/sites` (`rest/resources_v3_1/sites.py`).

use jiff::Timestamp;
use serde_json::{Value, json};
use waggoner_store::{Deletion, site::Site};

use crate::executions::rest::{
    list::list,
    reply::{Answered, Reply, owned, time},
    request::Call,
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
            store.create_site(site.clone()).await?;
            Reply::ok(shown(&site))
        }
        ("POST", [name]) => {
            call.require_tenant("change sites")?;
            let (new_name, location) = (call.text("new_name"), call.text("location"));
            let updated = store.update_site(call.tenant(), (*name).to_owned(), new_name, location);
            Reply::ok(shown(&updated.await?))
        }
        ("DELETE", [name]) => {
            call.require_tenant("delete sites")?;
            store.delete_site(call.tenant(), (*name).to_owned(), Deletion::Forced).await?;
            Reply::none()
        }
        _ => call.unknown("sites"),
    }
}

fn shown(site: &Site) -> Value {
    let shown = json!({
        "name": site.name,
        "location": site.location,
        "created_at": time(site.created_at),
    });
    owned(&site.tenant, shown)
}

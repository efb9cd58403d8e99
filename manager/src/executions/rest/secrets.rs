//! `/secrets` (`rest/resources_v3/secrets.py`).
//!
//! A secret is read by its name, wherever the operation runs: its functions could do that as well.
//! To list them, and to change them, takes an operation of a central agent.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use waggoner_store::secret::{Overwrite, Secret};

use crate::executions::{
    answers::Unanswered,
    rest::{
        list::{Chosen, Rows},
        reply::{Answered, Reply, owned, time},
        request::Call,
    },
};

pub(super) async fn answer(call: &Call<'_>) -> Answered {
    match (call.method, call.path) {
        ("GET", []) => {
            let mut chosen = Chosen::new(call.query);
            gather(call, &mut chosen).await?;
            chosen.answer()
        }
        ("GET", [key]) => {
            let found = call.home().store.secret(call.tenant(), (*key).to_owned()).await;
            let (secret, value) = found?;
            Reply::ok(shown(&secret, Some(&value)))
        }
        ("PUT", [key]) => {
            let overwrite =
                if call.flag("update_if_exists") { Overwrite::Yes } else { Overwrite::No };
            put(call, key, overwrite).await
        }
        ("PATCH", [key]) => {
            call.require_tenant("change secrets")?;
            let (secret, _) = call.home().store.secret(call.tenant(), (*key).to_owned()).await?;
            if call.field("value").is_null() {
                return Reply::ok(shown(&secret, None));
            }
            put(call, key, Overwrite::Yes).await
        }
        // Visibility means nothing here: a secret is its tenant's.
        ("PATCH", [key, "set-visibility"]) => {
            call.require_tenant("change secrets")?;
            let (secret, _) = call.home().store.secret(call.tenant(), (*key).to_owned()).await?;
            Reply::ok(shown(&secret, None))
        }
        ("DELETE", [key]) => {
            call.require_tenant("delete secrets")?;
            call.deciding(&Reply::NONE).delete_secret(call.tenant(), (*key).to_owned()).await?;
            Reply::none()
        }
        _ => call.unknown("secrets"),
    }
}

/// Gathers the tenant's secrets, without their values.
pub(super) async fn gather(call: &Call<'_>, chosen: &mut Chosen<'_>) -> Result<(), Unanswered> {
    call.require_tenant("list secrets")?;
    let store = &call.home().store;
    let page = |page| async move { store.secrets(call.tenant(), &page).await };
    let mut secrets = Rows::new(page);
    while let Some(secret) = secrets.next().await? {
        chosen.take(shown(&secret, None))?;
    }
    Ok(())
}

async fn put(call: &Call<'_>, key: &str, overwrite: Overwrite) -> Answered {
    call.require_tenant("change secrets")?;
    let value = call.field("value");
    let value = value.as_str().ok_or_else(|| Unanswered::invalid("`value` has to be a string"))?;
    let reply = Reply::changed("secrets", key);
    let (key, value, now) = (key.to_owned(), SecretString::from(value), Timestamp::now());
    call.deciding(&reply).put_secret(call.tenant(), key, &value, overwrite, now).await?;
    Ok(reply)
}

/// A secret as it is shown, without its value.
pub(super) async fn one(call: &Call<'_>, key: &str) -> Result<Value, Unanswered> {
    let (secret, _) = call.home().store.secret(call.tenant(), key.to_owned()).await?;
    Ok(shown(&secret, None))
}

fn shown(secret: &Secret, value: Option<&SecretString>) -> Value {
    let value = value.map(|value| value.expose_secret().to_owned());
    let shown = json!({
        "key": secret.key,
        "value": value,
        "created_at": time(secret.created_at),
        "updated_at": time(secret.updated_at),
        "is_hidden_value": false,
        "schema": null,
        "provider_name": null,
        "provider_options": null,
    });
    owned(&secret.tenant, shown)
}

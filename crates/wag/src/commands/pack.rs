//! `wag plugins pack`.

use serde_json::json;

use super::Context;
use crate::{
    Error,
    cli::Pack,
    source::{Packed, pack},
};

pub(super) async fn run(context: &mut Context<'_>, command: &Pack) -> Result<(), Error> {
    let to = command.to.clone().unwrap_or_else(|| ".".into());
    let packed = pack(&command.source, &command.with, &to).await?;
    let Packed { wagon, yamls, made_yaml, missing } = packed;
    for call in &missing {
        context.ui.step("Missing", call);
    }
    if made_yaml {
        context.ui.step("Made", format!("{}, as the plugin came without one", yamls[0]));
    }
    context.ui.step("Packed", &wagon);
    if context.ui.is_json() {
        return context.ui.json(&json!({ "wagon": wagon, "yamls": yamls, "missing": missing }));
    }
    context.ui.data(&format!("{wagon}\n"))
}

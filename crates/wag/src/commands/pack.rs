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
    let Packed { wagon, yamls, made_yaml } = pack(&command.source, &command.with, &to).await?;
    if made_yaml {
        context.ui.step("Made", format!("{}, as the plugin came without one", yamls[0]));
    }
    context.ui.step("Packed", &wagon);
    if context.ui.is_json() {
        return context.ui.json(&json!({ "wagon": wagon, "yamls": yamls }));
    }
    context.ui.data(&format!("{wagon}\n"))
}

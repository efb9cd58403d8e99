//! `wag plugins pack`.

use super::Context;
use crate::{Error, cli::Pack, source::pack};

pub(super) async fn run(context: &mut Context<'_>, command: &Pack) -> Result<(), Error> {
    let to = command.to.clone().unwrap_or_else(|| ".".into());
    let wagon = pack(&command.source, &command.with, &to).await?;
    context.ui.step("Packed", &wagon);
    if context.ui.is_json() {
        return context.ui.json(&serde_json::json!({ "wagon": wagon }));
    }
    context.ui.data(&format!("{wagon}\n"))
}

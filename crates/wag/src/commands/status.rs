//! `wag status`.

use waggoner_proto::v1::GetStatusRequest;

use super::Context;
use crate::{Error, client::ask, record};

pub(super) async fn run(context: &mut Context<'_>) -> Result<(), Error> {
    let manager = context.manager().await?;
    let answer =
        ask(GetStatusRequest {}, async |request| manager.status().get_status(request).await)
            .await?;
    context.ui.shape(&record::status(&answer, manager.address()))
}

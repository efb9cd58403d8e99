//! `wag tokens`.

use waggoner_proto::v1::{CreateTokenRequest, DeleteTokenRequest, ListTokensRequest};

use super::Context;
use crate::{
    Error,
    cli::Tokens,
    client::{all, ask, ask_once},
    record,
};

pub(super) async fn run(context: &mut Context<'_>, command: Tokens) -> Result<(), Error> {
    let manager = context.manager().await?;
    let tenant = manager.tenant();
    match command {
        Tokens::List => {
            let tokens = all(async |page_token| {
                let request =
                    ListTokensRequest { tenant: tenant.clone(), page_size: 0, page_token };
                let call = async |request| manager.tokens().list_tokens(request).await;
                let page = ask(request, call).await?;
                Ok((page.tokens, page.next_page_token))
            })
            .await?;
            context.ui.list(&tokens)
        }
        Tokens::Create { description } => {
            let request = CreateTokenRequest { tenant, description };
            let call = async |request| manager.tokens().create_token(request).await;
            let answer = ask_once(request, call).await?;
            if context.ui.is_json() {
                return context.ui.json(&record::token_made(&answer));
            }
            context.ui.say("The token, shown this once:");
            context.ui.data(&format!("{}\n", answer.value))
        }
        Tokens::Delete { token } => {
            let request = DeleteTokenRequest { id: token.clone() };
            let call = async |request| manager.tokens().delete_token(request).await;
            ask_once(request, call).await?;
            context.ui.step("Deleted", format!("token {token}"));
            Ok(())
        }
    }
}

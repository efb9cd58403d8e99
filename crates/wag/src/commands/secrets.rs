//! `wag secrets`.

use std::io::{self, Read as _};

use camino::Utf8Path;
use waggoner_proto::v1::{
    DeleteSecretRequest, GetSecretRequest, ListSecretsRequest, PutSecretRequest,
};

use super::Context;
use crate::{
    Error,
    cli::Secrets,
    client::{ClientError, all, ask, request_id},
};

pub(super) async fn run(context: &mut Context<'_>, command: Secrets) -> Result<(), Error> {
    let manager = context.manager().await?;
    let tenant = manager.tenant();
    match command {
        Secrets::List => {
            let secrets = all(async |page_token| {
                let request =
                    ListSecretsRequest { tenant: tenant.clone(), page_size: 0, page_token };
                let call = async |request| manager.secrets().list_secrets(request).await;
                let page = ask(request, call).await?;
                Ok((page.secrets, page.next_page_token))
            })
            .await?;
            context.ui.list(&secrets)
        }
        Secrets::Get { key } => {
            let request = GetSecretRequest { tenant, key };
            let call = async |request| manager.secrets().get_secret(request).await;
            let secret = ask(request, call).await?.secret.ok_or(ClientError::Hollow("secret"))?;
            context.ui.one(&secret)
        }
        Secrets::Put { key, file, update } => {
            let value = value(file.as_deref())?;
            let request = PutSecretRequest {
                tenant,
                key,
                value,
                update_if_exists: update,
                request_id: request_id(),
            };
            let call = async |request| manager.secrets().put_secret(request).await;
            let secret = ask(request, call).await?.secret.ok_or(ClientError::Hollow("secret"))?;
            context.ui.one(&secret)
        }
        Secrets::Delete { key } => {
            let request =
                DeleteSecretRequest { tenant, key: key.clone(), request_id: request_id() };
            ask(request, async |request| manager.secrets().delete_secret(request).await).await?;
            context.ui.step("Deleted", format!("secret {key}"));
            Ok(())
        }
    }
}

/// Reads the value: never from the command line, which others on the host can see.
fn value(file: Option<&Utf8Path>) -> Result<String, Error> {
    if let Some(file) = file {
        let bytes = fs_err::read(file).map_err(Error::SecretFile)?;
        return String::from_utf8(bytes).map_err(|_| Error::SecretText);
    }
    let mut value = String::new();
    io::stdin().read_to_string(&mut value).map_err(Error::Stdin)?;
    if value.ends_with('\n') {
        value.pop();
    }
    Ok(value)
}

//! Lists, page by page to their end.

use super::ClientError;

/// Gathers a list. `page` asks for the page of a token and returns its items and the next token.
pub(crate) async fn all<T>(
    page: impl AsyncFn(String) -> Result<(Vec<T>, String), ClientError>,
) -> Result<Vec<T>, ClientError> {
    let (mut items, mut token) = page(String::new()).await?;
    while !token.is_empty() {
        let (more, next) = page(token.clone()).await?;
        if next == token {
            return Err(ClientError::Endless);
        }
        items.extend(more);
        token = next;
    }
    Ok(items)
}

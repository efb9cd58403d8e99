//! Verdicts as they are kept with their attempts: the answers to questions that have an effect.

use serde_json::{Value, json};
use waggoner_store::{Store, verdict::Asked};

use crate::executions::answers::{ERROR_CODES, REASONS, Unanswered};

/// Lets an effect be done that may be repeated where its verdict was not stored any more: one that
/// leaves the same each time. What has a verdict is not done again.
pub(crate) async fn once(
    store: &Store,
    asked: Option<Asked>,
    effect: impl Future<Output = Result<Value, Unanswered>>,
) -> Result<Value, Unanswered> {
    let Some(asked) = asked else { return effect.await };
    let failed = |error| Unanswered::failed(&error);
    if let Some(verdict) = store.verdict(asked.clone()).await.map_err(failed)? {
        return heard(&verdict);
    }
    let result = effect.await;
    if result.as_ref().is_err_and(|unanswered| unanswered.reason == "UNAVAILABLE") {
        return result;
    }
    heard(&store.add_verdict(asked, told(&result)).await.map_err(failed)?)
}

/// A verdict as it is kept.
pub(crate) fn told(result: &Result<Value, Unanswered>) -> Value {
    match result {
        Ok(value) => json!({ "value": value }),
        Err(Unanswered { reason, status, error_code, message }) => json!({
            "refused": {
                "reason": reason,
                "status": status,
                "error_code": error_code,
                "message": message,
            },
        }),
    }
}

/// Reads a verdict back that [`told`] wrote.
pub(crate) fn heard(kept: &Value) -> Result<Value, Unanswered> {
    if let Some(value) = kept.get("value") {
        return Ok(value.clone());
    }
    let refused = &kept["refused"];
    let word = |known: &[&'static str], field: &str, otherwise: &'static str| {
        let said = refused[field].as_str();
        known.iter().copied().find(|known| said == Some(known)).unwrap_or(otherwise)
    };
    let status = refused["status"].as_u64().and_then(|status| status.try_into().ok());
    Err(Unanswered {
        reason: word(&REASONS, "reason", "UNAVAILABLE"),
        status: status.unwrap_or(500),
        error_code: word(&ERROR_CODES, "error_code", ERROR_CODES[0]),
        message: refused["message"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_heard() {
        let not_found = Unanswered::not_found("Secret", "s");
        let invalid = Unanswered::invalid("no");
        for result in [Ok(json!({ "a": null })), Ok(Value::Null), Err(not_found), Err(invalid)] {
            let kept = told(&result);
            assert_eq!(told(&heard(&kept)), kept);
            assert_eq!(heard(&kept).is_ok(), result.is_ok());
        }
    }
}

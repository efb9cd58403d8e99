//! Verdicts as they are kept with their attempts: the answers to questions that have an effect.

use serde_json::{Value, json};
use waggoner_store::{Store, verdict::Asked};

use crate::executions::answers::{ERROR_CODES, REASONS, Unanswered};

/// Lets an effect be had once: what has a verdict is not tried again. `effect` is told whether it
/// was tried before, and stores the verdict with what it writes ([`Store::deciding`]); what it
/// does elsewhere leaves the same each time.
pub(crate) async fn once<F>(
    store: &Store,
    asked: Option<Asked>,
    effect: impl FnOnce(bool) -> F,
) -> Result<Value, Unanswered>
where
    F: Future<Output = Result<Value, Unanswered>>,
{
    let Some(asked) = asked else { return effect(false).await };
    let known = store.verdict(asked.clone()).await?;
    let was_tried = known.is_some();
    if let Some(verdict) = known.filter(|verdict| !verdict.is_null()) {
        return heard(&verdict);
    }
    let result = effect(was_tried).await;
    // What was decided by now counts, whatever came of this try: there may have been another one.
    let known = store.verdict(asked.clone()).await?;
    if let Some(verdict) = known.filter(|verdict| !verdict.is_null()) {
        return heard(&verdict);
    }
    if result.as_ref().is_err_and(|unanswered| unanswered.reason == "UNAVAILABLE") {
        return result;
    }
    heard(&store.add_verdict(asked, told(&result)).await?)
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

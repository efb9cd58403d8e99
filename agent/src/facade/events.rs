//! Log lines and events of stock clients (`POST /events`): they are the attempt's own records.

use serde_json::Value;
use waggoner_types::LogLevel;

use crate::context::{HostApi, Key};

/// Takes what `cloudify/logs.py` sends: lists of logs and of events, either of which may be null.
pub(super) async fn take(api: &HostApi, body: &Value, key: Key) {
    let list = |name: &str| body[name].as_array().into_iter().flatten();
    for (at, log) in list("logs").enumerate() {
        let key = key.part(format!("log {at}"));
        let level = log["level"].as_str().unwrap_or_default();
        let level = match level {
            "warn" => LogLevel::Warning,
            "exception" => LogLevel::Error,
            level => level.parse().unwrap_or(LogLevel::Info),
        };
        let logger = log["logger"].as_str().map(str::to_owned);
        api.log(level, logger, message(log), key).await;
    }
    for (at, event) in list("events").enumerate() {
        let key = key.part(format!("event {at}"));
        let event_type = event["event_type"].as_str().unwrap_or("plugin_event").to_owned();
        api.event(event_type, message(event), key).await;
    }
}

fn message(entry: &Value) -> String {
    match &entry["message"]["text"] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

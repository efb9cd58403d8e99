//! Deployment settings, with the schedules of workflows.
//!
//! Source: `dsl_parser/elements/deployment_schedules.py`, and the times of `cloudify/utils.py`.

use serde_json::{Map as Object, Value as Json};

use super::Builder;
use crate::{Kind, Refusal, Resolver, tree::Tree};

const WEEKDAYS: [&str; 7] = ["su", "mo", "tu", "we", "th", "fr", "sa"];

/// Units of time, each with the short forms that are understood.
const UNITS: [&[&str]; 6] = [
    &["min", "minute"],
    &["h", "hour"],
    &["d", "day"],
    &["w", "week"],
    &["mo", "month"],
    &["y", "year"],
];

// === impl Builder ===

impl Builder<'_> {
    pub(super) fn settings(&mut self, tree: Option<&Tree>) -> Json {
        let Some(tree) = tree else { return Json::Object(Object::new()) };
        let mut settings = tree.to_object();
        settings.entry("default_schedules").or_insert_with(|| Json::Object(Object::new()));
        if let Some(schedules) = tree.get("default_schedules") {
            let mut made = Object::new();
            for (name, field) in schedules.entries() {
                let path = format!("deployment_settings.default_schedules.{name}");
                match schedule(&field.value, self.resolver) {
                    Ok(schedule) => {
                        made.insert(name.to_owned(), schedule);
                    }
                    Err(refusal) => self.report(field.key_place, &path, refusal),
                }
            }
            settings.insert("default_schedules".to_owned(), Json::Object(made));
        }
        Json::Object(settings)
    }
}

fn fault(message: String) -> Refusal {
    Refusal::new(Kind::Parsing, message).coded(1)
}

/// A schedule with its times in UTC.
fn schedule(tree: &Tree, resolver: &dyn Resolver) -> Result<Json, Refusal> {
    let mut schedule = tree.to_object();
    let parameters = tree.get("workflow_parameters");
    let is_runtime =
        |tree: &Tree| tree.as_map().is_some_and(|fields| fields.contains_key("get_attribute"));
    if let Some(parameters) = parameters
        && (is_runtime(parameters)
            || parameters.entries().any(|(_, field)| is_runtime(&field.value)))
    {
        let message = "`workflow_parameters` of a schedule cannot be runtime properties: they are \
                       not known when the deployment is made";
        return Err(fault(message.to_owned()));
    }
    for day in tree.get("weekdays").map(Tree::items).unwrap_or_default() {
        let given = day.as_str().unwrap_or_default().to_lowercase();
        if !WEEKDAYS.iter().any(|known| given.ends_with(known)) {
            let message = format!("`{given}` is not a weekday: expected {}", WEEKDAYS.join(", "));
            return Err(fault(message));
        }
    }
    if let Some(recurrence) = tree.get("recurrence").and_then(Tree::as_str) {
        duration(recurrence)?;
    }
    for key in ["since", "until"] {
        if let Some(given) = tree.get(key).and_then(Tree::as_str) {
            if given.starts_with('+') {
                lengths(given)?;
                continue;
            }
            let timezone = tree.get("timezone").and_then(Tree::as_str);
            let Some(time) = resolver.to_utc(given, timezone) else {
                let message = format!(
                    "`{given}` in the time zone `{}` is not a time that is known here: expected one \
                     like `2030-01-31 12:00`",
                    timezone.unwrap_or("UTC")
                );
                return Err(Refusal::new(Kind::Runtime, message));
            };
            schedule.insert(key.to_owned(), Json::String(time));
        }
    }
    schedule.shift_remove("timezone");
    Ok(Json::Object(schedule))
}

/// A length of time: `2 weeks`, `10min`.
fn duration(text: &str) -> Result<(), Refusal> {
    let wrong = || {
        let message = format!("`{text}` is not a length of time: expected one like `2 weeks`");
        Refusal::new(Kind::Runtime, message)
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = text[digits..].strip_prefix(' ').unwrap_or(&text[digits..]);
    let is_unit = |unit: &str| UNITS.iter().any(|forms| forms.contains(&unit));
    let fits = is_unit(unit) || unit.strip_suffix('s').is_some_and(is_unit);
    if digits > 0 && fits { Ok(()) } else { Err(wrong()) }
}

/// Lengths from the moment of deployment: `+1 day +2h`.
fn lengths(text: &str) -> Result<(), Refusal> {
    text.split('+').map(str::trim).filter(|length| !length.is_empty()).try_for_each(duration)
}

//! `wag events`.

use serde_json::json;
use waggoner_proto::v1::{Event, EventFilter, ListEventsRequest};

use super::Context;
use crate::{
    Error, Ui,
    cli::{Events, Level},
    client::{Follow, all, ask},
    record,
    ui::event_line,
};

pub(super) async fn run(context: &mut Context<'_>, command: Events) -> Result<(), Error> {
    let Events { execution, follow, deployment_id, node_instance, no_logs, min_level } = command;
    let filter = EventFilter {
        execution_id: execution.unwrap_or_default(),
        deployment_id: deployment_id.unwrap_or_default(),
        node_instance_id: node_instance.unwrap_or_default(),
        no_logs,
        min_level: min_level.map_or(String::new(), |level| level.word().to_owned()),
    };
    let manager = context.manager().await?;
    if follow {
        let mut follow = Follow::new(&manager, filter);
        while let Some(events) = follow.next().await? {
            lines(context.ui, &events)?;
        }
        return Ok(());
    }
    let events = all(async |page_token| {
        let request = ListEventsRequest {
            tenant: manager.tenant(),
            page_size: 0,
            page_token,
            filter: Some(filter.clone()),
        };
        let page =
            ask(request, async |request| manager.events().list_events(request).await).await?;
        Ok((page.events, page.next_page_token))
    })
    .await?;
    if context.ui.is_json() {
        let items: Vec<_> = events.iter().map(record::event).collect();
        return context.ui.json(&json!({ "items": items }));
    }
    lines(context.ui, &events)
}

/// A line for each event: for people, or a JSON object.
fn lines(ui: &mut Ui, events: &[Event]) -> Result<(), Error> {
    for event in events {
        if ui.is_json() {
            ui.json_line(&record::event(event))?;
        } else {
            let line = event_line(event, ui.clock());
            ui.data(&format!("{line}\n"))?;
        }
    }
    Ok(())
}

// === impl Level ===

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

//! How long events and log lines are kept.

use jiff::Timestamp;
use rusqlite::params;

use crate::{
    Error, Store,
    column::{micros, run},
    writer::Tx,
};

/// What is kept of events and log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What was stored before is let go.
    pub since: Option<Timestamp>,
    /// How many bytes the whole database may have before the oldest is let go.
    pub most_bytes: Option<u64>,
}

/// How many rows are let go in one transaction: others want to write as well.
const STEP: i64 = 2_000;

// === impl Store ===

impl Store {
    /// Lets go of a piece of what is too old or too much, oldest first. Returns how many rows that
    /// were: 0 means that nothing is left to let go.
    pub async fn forget_events(&self, retention: Retention) -> Result<u64, Error> {
        self.write("let old events go", move |tx| {
            let mut forgotten = 0;
            if let Some(since) = retention.since {
                let statement = "DELETE FROM events WHERE id IN
                    (SELECT id FROM events WHERE reported_at < ?1 ORDER BY id LIMIT ?2)";
                forgotten += run(tx, statement, params![micros(since), STEP])?;
            }
            if let Some(most) = retention.most_bytes
                && used(tx)? > most
            {
                let statement = "DELETE FROM events WHERE id IN
                    (SELECT id FROM events ORDER BY id LIMIT ?1)";
                forgotten += run(tx, statement, params![STEP])?;
            }
            Ok(forgotten as u64)
        })
        .await
    }
}

/// Counts the bytes of the database's pages that hold something.
fn used(tx: &Tx<'_>) -> rusqlite::Result<u64> {
    let count = |pragma| tx.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let pages = count("page_count")? - count("freelist_count")?;
    Ok(u64::try_from(pages * count("page_size")?).unwrap_or(0))
}

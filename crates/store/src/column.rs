//! How our types stand in columns.

use std::{error, str::FromStr};

use jiff::Timestamp;
use rusqlite::{
    Connection, OptionalExtension as _, Params, Row,
    types::{FromSql, Type, ValueRef},
};
use serde::{Deserialize, Serialize, de::IntoDeserializer as _};
use waggoner_types::Digest;

use crate::error::{Error, Stop, Thing};

/// Reads our types from a row. A value that is not one of the type is a damaged database.
pub(crate) trait Columns {
    fn text<T: FromStr<Err: error::Error + Send + Sync + 'static>>(
        &self,
        column: &str,
    ) -> rusqlite::Result<T>;
    fn maybe_text<T: FromStr<Err: error::Error + Send + Sync + 'static>>(
        &self,
        column: &str,
    ) -> rusqlite::Result<Option<T>>;
    /// A word of a closed set, as serde names it.
    fn word<T: for<'de> Deserialize<'de>>(&self, column: &str) -> rusqlite::Result<T>;
    fn json<T: for<'de> Deserialize<'de>>(&self, column: &str) -> rusqlite::Result<T>;
    fn maybe_json<T: for<'de> Deserialize<'de>>(&self, column: &str)
    -> rusqlite::Result<Option<T>>;
    fn time(&self, column: &str) -> rusqlite::Result<Timestamp>;
    fn maybe_time(&self, column: &str) -> rusqlite::Result<Option<Timestamp>>;
    fn digest(&self, column: &str) -> rusqlite::Result<Digest>;
    fn unsigned(&self, column: &str) -> rusqlite::Result<u64>;
}

/// Turns what an insert met into a refusal.
pub(crate) trait OrExists<T> {
    /// A row with the same key is there: `thing` exists.
    fn or_exists(self, thing: impl FnOnce() -> Thing) -> Result<T, Stop>;
}

// === impl Read ===

impl<T> From<Vec<T>> for Read<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, is_cut: false }
    }
}

// === impl Columns ===

impl Columns for Row<'_> {
    fn text<T: FromStr<Err: error::Error + Send + Sync + 'static>>(
        &self,
        column: &str,
    ) -> rusqlite::Result<T> {
        self.get_ref(column)?.as_str()?.parse().map_err(damaged)
    }

    fn maybe_text<T: FromStr<Err: error::Error + Send + Sync + 'static>>(
        &self,
        column: &str,
    ) -> rusqlite::Result<Option<T>> {
        let text = self.get_ref(column)?;
        text.as_str_or_null()?.map(|text| text.parse().map_err(damaged)).transpose()
    }

    fn word<T: for<'de> Deserialize<'de>>(&self, column: &str) -> rusqlite::Result<T> {
        let word = self.get_ref(column)?.as_str()?;
        T::deserialize(word.into_deserializer())
            .map_err(|error: serde::de::value::Error| damaged(error))
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, column: &str) -> rusqlite::Result<T> {
        serde_json::from_str(self.get_ref(column)?.as_str()?).map_err(damaged)
    }

    fn maybe_json<T: for<'de> Deserialize<'de>>(
        &self,
        column: &str,
    ) -> rusqlite::Result<Option<T>> {
        let text = self.get_ref(column)?;
        text.as_str_or_null()?.map(|text| serde_json::from_str(text).map_err(damaged)).transpose()
    }

    fn time(&self, column: &str) -> rusqlite::Result<Timestamp> {
        Timestamp::from_microsecond(self.get(column)?).map_err(damaged)
    }

    fn maybe_time(&self, column: &str) -> rusqlite::Result<Option<Timestamp>> {
        let micros: Option<i64> = self.get(column)?;
        micros.map(|micros| Timestamp::from_microsecond(micros).map_err(damaged)).transpose()
    }

    fn digest(&self, column: &str) -> rusqlite::Result<Digest> {
        self.get(column).map(Digest)
    }

    fn unsigned(&self, column: &str) -> rusqlite::Result<u64> {
        let number: i64 = self.get(column)?;
        u64::try_from(number).map_err(damaged)
    }
}

// === impl OrExists ===

impl<T> OrExists<T> for rusqlite::Result<T> {
    fn or_exists(self, thing: impl FnOnce() -> Thing) -> Result<T, Stop> {
        use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};

        self.map_err(|error| match error.sqlite_error().map(|error| error.extended_code) {
            Some(SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE) => {
                Error::Exists(thing()).into()
            }
            _ => error.into(),
        })
    }
}

/// Says whether a row was refused because another one, which it names, is not there.
pub(crate) fn is_orphan(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// A time as it is stored.
pub(crate) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time that may be absent, as it is stored.
pub(crate) fn maybe_micros(time: Option<Timestamp>) -> Option<i64> {
    time.map(micros)
}

/// A free value as it is stored.
pub(crate) fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our values have text keys and no failing serializers")
}

/// A count as it is stored. What does not fit is larger than anything we can hold.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Runs a query and reads every row.
pub(crate) fn all<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare_cached(query)?.query_map(params, read)?.collect()
}

/// Rows that were read until they were enough.
pub(crate) struct Read<T> {
    pub(crate) rows: Vec<T>,
    /// Whether there are more of them than were read.
    pub(crate) is_cut: bool,
}

/// How many bytes of text are read at once: a message of them stays well below gRPC's 4 MiB.
const ENOUGH: usize = 1 << 20;

/// Runs a query and reads rows, at least one, until the `heavy` columns are enough: the
/// bytes of those that are texts, and of those that count bytes.
pub(crate) fn enough<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    heavy: &[&str],
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Read<T>> {
    let mut statement = connection.prepare_cached(query)?;
    let mut found = statement.query(params)?;
    let mut rows = Vec::new();
    let mut weight = 0;
    while let Some(row) = found.next()? {
        for column in heavy {
            weight += match row.get_ref(*column)? {
                ValueRef::Integer(bytes) => usize::try_from(bytes).unwrap_or(0),
                text => text.as_str_or_null()?.map_or(0, str::len),
            };
        }
        if weight > ENOUGH && !rows.is_empty() {
            return Ok(Read { rows, is_cut: true });
        }
        rows.push(read(row)?);
    }
    Ok(Read { rows, is_cut: false })
}

/// Runs a query that finds one row or none.
pub(crate) fn one<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached(query)?.query_row(params, read).optional()
}

/// Runs a statement and says how many rows it changed.
pub(crate) fn run(
    connection: &Connection,
    statement: &str,
    params: impl Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(statement)?.execute(params)
}

/// Reads the first column as it is.
pub(crate) fn first<T: FromSql>(row: &Row<'_>) -> rusqlite::Result<T> {
    row.get(0)
}

fn damaged(error: impl error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, Box::new(error))
}

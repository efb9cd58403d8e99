//! What a process wrote, packed into one row for each record, and its log lines again.

use std::borrow::Cow;

use rusqlite::Row;
use waggoner_types::{LogLevel, OutputStream, output_lines};

use crate::event::EntryKind;

/// A row's columns for what a process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) packing: i64,
    pub(super) stream: i64,
    pub(super) weight: i64,
}

/// Below so many bytes packing saves nothing worth its time.
const SMALL: usize = 256;

/// What a log line costs who reads it, beside its text: the names of what it is about.
const LINE: usize = 384;

const PLAIN: i64 = 0;
const LZ4: i64 = 1;

// === impl Packed ===

impl<'a> Packed<'a> {
    /// Packs what was written; with `lines` each line of it is a log line.
    pub(super) fn new(stream: OutputStream, lines: bool, data: &'a [u8]) -> Self {
        let count = if lines { data.split_inclusive(|byte| *byte == b'\n').count() } else { 1 };
        let weight = i64::try_from(data.len() + count * LINE).unwrap_or(i64::MAX);
        let stream = match stream {
            _ if !lines => 0,
            OutputStream::Stdout => 1,
            OutputStream::Stderr => 2,
        };
        if data.len() >= SMALL {
            let bytes = lz4_flex::compress_prepend_size(data);
            if bytes.len() < data.len() {
                return Self { bytes: bytes.into(), packing: LZ4, stream, weight };
            }
        }
        Self { bytes: data.into(), packing: PLAIN, stream, weight }
    }
}

/// Reads the texts of a row's log lines; `None` where it holds no output.
pub(super) fn texts(row: &Row<'_>) -> rusqlite::Result<Option<Vec<String>>> {
    let Some(bytes) = row.get_ref("output")?.as_blob_or_null()? else { return Ok(None) };
    let data: Cow<'_, [u8]> = match row.get::<_, i64>("packing")? {
        PLAIN => bytes.into(),
        _ => match lz4_flex::decompress_size_prepended(bytes) {
            Ok(data) => data.into(),
            Err(_) => return Ok(Some(vec!["[output that cannot be unpacked]".to_owned()])),
        },
    };
    let stream = match row.get::<_, i64>("stream")? {
        1 => OutputStream::Stdout,
        2 => OutputStream::Stderr,
        _ => {
            let text = String::from_utf8_lossy(&data);
            return Ok(Some(vec![text.strip_suffix('\n').unwrap_or(&text).to_owned()]));
        }
    };
    Ok(Some(output_lines(stream, &data).collect()))
}

// === impl EntryKind ===

impl EntryKind {
    /// Output of a process whose lines are the operation's log.
    pub fn lines(logger: String, stream: OutputStream, data: Vec<u8>) -> Self {
        Self::Output { level: LogLevel::Info, logger, stream, lines: true, data }
    }

    /// Output of a process as it came.
    pub fn raw(stream: OutputStream, data: Vec<u8>) -> Self {
        let logger = match stream {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        };
        let logger = logger.to_owned();
        Self::Output { level: LogLevel::Debug, logger, stream, lines: false, data }
    }
}

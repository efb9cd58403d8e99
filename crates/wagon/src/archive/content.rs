//! What an entry holds, read once.

use std::io::{self, Read, Write};

use super::budget::OverBudget;
use crate::Flaw;

/// The bytes of one entry.
pub(crate) struct Content<'a> {
    entry: &'a str,
    data: &'a mut dyn Read,
    /// What the archive says; absent where it only says so behind the data.
    size: Option<u64>,
    read: u64,
    limit: u64,
}

const BUFFER: usize = 64 << 10;

// === impl Content ===

impl<'a> Content<'a> {
    pub(super) fn new(
        entry: &'a str,
        data: &'a mut dyn Read,
        size: Option<u64>,
        limit: u64,
    ) -> Self {
        Self { entry, data, size, read: 0, limit }
    }

    pub(super) fn check_size(&self) -> Result<(), Flaw> {
        let size = self.size.unwrap_or(0).max(self.read);
        if size > self.limit {
            let reason = format!("has more than {} bytes", self.limit);
            return Err(Flaw::entry(self.entry, reason));
        }
        Ok(())
    }

    /// Reads some bytes; none means the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Flaw> {
        let count = loop {
            match self.data.read(buffer) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(Some(self.entry), error)),
            }
        };
        self.read += count as u64;
        self.check_size()?;
        Ok(count)
    }

    /// Shows each piece to `take`, to the end.
    pub(crate) fn each(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(()),
                count => take(&buffer[..count])?,
            }
        }
    }

    /// Copies all to `writer`.
    pub(crate) fn copy_to(
        &mut self,
        path: &camino::Utf8Path,
        writer: &mut dyn Write,
    ) -> Result<(), Flaw> {
        self.each(|piece| writer.write_all(piece).map_err(|error| Flaw::unwritable(path, error)))
    }

    /// Reads all, at most `limit` bytes.
    pub(crate) fn read_all(&mut self, limit: u64) -> Result<Vec<u8>, Flaw> {
        let mut bytes = Vec::new();
        let entry = self.entry;
        self.each(|piece| {
            bytes.extend_from_slice(piece);
            if bytes.len() as u64 > limit {
                return Err(Flaw::entry(entry, format!("has more than {limit} bytes")));
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    pub(super) fn finish(mut self) -> Result<(), Flaw> {
        self.each(|_| Ok(()))?;
        match self.size {
            Some(size) if size != self.read => Err(Flaw::entry(self.entry, "is cut off")),
            _ => Ok(()),
        }
    }
}

/// Says of an error while reading whether the archive or the host is at fault.
pub(super) fn unreadable(entry: Option<&str>, error: io::Error) -> Flaw {
    if let Some(over) = error.get_ref().and_then(|inner| inner.downcast_ref::<OverBudget>()) {
        return Flaw::archive(over.to_string());
    }
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "is cut off".to_owned(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            format!("is damaged: {error}")
        }
        _ => return Flaw::Unreadable(error),
    };
    match entry {
        Some(entry) => Flaw::entry(entry, reason),
        None => Flaw::archive(reason),
    }
}

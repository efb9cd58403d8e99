//! Goes through the frames of a segment, over what is spoilt.

use std::io;

use crate::{
    disk::File,
    frame::{self, HEADER, Header, PREFIX},
};

/// A way through a segment.
#[derive(Debug)]
pub(crate) struct Walk {
    file: Box<dyn File>,
    nonce: u64,
    offset: u64,
    end: u64,
    look: Look,
    window: Window,
}

/// How closely a walk looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At every byte.
    Whole,
    /// At the headers only: payloads are stepped over, unread.
    Headers,
}

#[derive(Debug)]
pub(crate) enum Step<'a> {
    Frame {
        header: Header,
        offset: u64,
        /// Empty if the walk only looks at headers.
        payload: &'a [u8],
    },
    /// Bytes that are not what was written. The header is known if only the payload is spoilt.
    Spoilt { header: Option<Header>, from: u64, to: u64 },
}

/// A part of the file in memory.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

// === impl Walk ===

impl Walk {
    /// Begins behind the prefix; `None` if that cannot be read. Goes no further than `end`.
    pub(crate) fn begin(
        file: Box<dyn File>,
        segment: u64,
        end: u64,
        look: Look,
    ) -> io::Result<Option<Self>> {
        let mut prefix = [0; PREFIX];
        file.read(&mut prefix, 0)?;
        let Some(nonce) = frame::nonce(&prefix, segment) else { return Ok(None) };
        let mut walk =
            Self { file, nonce, offset: PREFIX as u64, end: 0, look, window: Window::default() };
        walk.extend(end)?;
        Ok(Some(walk))
    }

    /// Goes on from this frame.
    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset.max(PREFIX as u64);
    }

    /// Goes as far as this from now on, or to the end of the file.
    pub(crate) fn extend(&mut self, end: u64) -> io::Result<()> {
        self.end = self.file.size()?.min(end);
        Ok(())
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Step<'_>>> {
        let from = self.offset;
        let Some(header) = self.header(from)? else {
            let blank = self.resync()?;
            let to = self.offset;
            return Ok((!blank).then_some(Step::Spoilt { header: None, from, to }));
        };
        let end = header.end(from);
        self.offset = end.min(self.end);
        if end > self.end {
            return Ok(Some(Step::Spoilt { header: Some(header), from, to: self.end }));
        }
        if self.look == Look::Headers {
            return Ok(Some(Step::Frame { header, offset: from, payload: &[] }));
        }
        Ok(Some(match self.payload(&header, from)? {
            Some(payload) => Step::Frame { header, offset: from, payload },
            None => Step::Spoilt { header: Some(header), from, to: end },
        }))
    }

    /// The payload of the frame at `offset`; `None` if it is spoilt.
    pub(crate) fn payload(&mut self, header: &Header, offset: u64) -> io::Result<Option<&[u8]>> {
        let payload = self.window.get(
            &*self.file,
            self.end,
            offset + HEADER as u64,
            header.length as usize,
            self.look.ahead(),
        )?;
        Ok(payload.filter(|payload| header.fits(payload)))
    }

    fn header(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let ahead = self.look.ahead();
        let bytes = self.window.get(&*self.file, self.end, offset, HEADER, ahead)?;
        let bytes = bytes.and_then(|bytes| <&[u8; HEADER]>::try_from(bytes).ok());
        Ok(bytes.and_then(|bytes| Header::decode(bytes, frame::seed(self.nonce, offset))))
    }

    /// Moves to the next header, or to the end. Says whether it saw nothing but zeros.
    fn resync(&mut self) -> io::Result<bool> {
        let mut blank = true;
        let mut offset = self.offset;
        while offset < self.end {
            let rest = usize::try_from(self.end - offset).unwrap_or(usize::MAX).min(Window::LONG);
            let Some(bytes) = self.window.get(&*self.file, self.end, offset, rest, Window::LONG)?
            else {
                break;
            };
            // The check of a header is as good as never zero, so that zeros can be skipped.
            let Some(zeros) = bytes.iter().position(|byte| *byte != 0) else {
                offset += rest as u64;
                continue;
            };
            offset += (zeros & !7) as u64;
            if offset > self.offset && self.header(offset)?.is_some() {
                self.offset = offset;
                return Ok(false);
            }
            blank = false;
            offset += 8;
        }
        self.offset = self.end;
        Ok(blank)
    }
}

// === impl Look ===

impl Look {
    fn ahead(self) -> usize {
        match self {
            Self::Whole => Window::LONG,
            Self::Headers => Window::SHORT,
        }
    }
}

// === impl Window ===

impl Window {
    const LONG: usize = 256 << 10;
    /// Enough for many small frames; little enough to be thrown away after one long frame.
    const SHORT: usize = 8 << 10;

    /// Bytes of the file before `end`, read `ahead` at the least; `None` if there are fewer.
    fn get(
        &mut self,
        file: &dyn File,
        end: u64,
        offset: u64,
        length: usize,
        ahead: usize,
    ) -> io::Result<Option<&[u8]>> {
        if offset + length as u64 > end {
            return Ok(None);
        }
        let here = offset
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| at + length <= self.bytes.len());
        let at = if let Some(at) = here {
            at
        } else {
            let rest = usize::try_from(end - offset).unwrap_or(usize::MAX);
            self.bytes.resize(length.max(ahead).min(rest), 0);
            self.start = offset;
            let count = file.read(&mut self.bytes, offset)?;
            self.bytes.truncate(count);
            0
        };
        Ok(self.bytes.get(at..at + length))
    }
}

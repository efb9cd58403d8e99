//! The newest segment: the only one that is written.
//!
//! ```text
//!  prefix │ on the disk │ in the file │ gathered │ reserve, and a step more
//!         └──────── synced ─┘         └─ buffer ─┘                       └ allocated
//! ```
//!
//! The blocks of what may be written are taken ahead: `fdatasync` then has no size to write (which
//! makes it a third faster), and what is worth the reserve fits when the disk is full.

use std::{io, sync::Arc, time::Duration};

use crate::{
    Place, Settings,
    disk::{Disk, File, is_full},
    frame::{self, Header, PREFIX},
    state::Spot,
};

#[derive(Debug)]
pub(crate) struct Front {
    disk: Arc<dyn Disk>,
    segment: u64,
    reserve: u64,
    current: Option<Current>,
    /// The number of the next segment.
    next: u64,
    /// When a full disk was last asked for room.
    asked: Option<Duration>,
}

#[derive(Debug)]
struct Current {
    number: u64,
    nonce: u64,
    file: Box<dyn File>,
    written: u64,
    synced: u64,
    allocated: u64,
    buffer: Vec<u8>,
}

/// A segment that has room and no prefix yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    number: u64,
    file: Box<dyn File>,
    allocated: u64,
}

/// What was the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) number: u64,
    pub(crate) size: u64,
}

/// Why there is no room.
#[derive(Debug)]
pub(crate) enum Stuck {
    Full,
    Io(io::Error),
}

/// How much is allocated beyond the reserve at a time: some ten calls for each segment.
const STEPS: u64 = 8;

/// The memory kept for what is gathered; a group takes little more, unless a frame of it is huge.
const KEPT: usize = 1 << 20;

/// How often a full disk is asked for room: each time, it may commit its own journal first.
const PAUSE: Duration = Duration::from_millis(100);

/// Offsets fit into the 32 bits of a header's `synced`, with the longest frame and the reserve.
const LONGEST: u64 = 1 << 30;

// === impl Front ===

impl Front {
    pub(crate) fn new(disk: Arc<dyn Disk>, settings: &Settings, next: u64) -> Self {
        let segment = settings.segment.min(LONGEST);
        let reserve = settings.reserve.min(LONGEST);
        Self { disk, segment, reserve, current: None, next, asked: None }
    }

    pub(crate) fn place(&self) -> Option<Place> {
        let current = self.current.as_ref()?;
        Some(Place { segment: current.number, offset: current.written })
    }

    pub(crate) fn reserve(&self) -> u64 {
        self.reserve
    }

    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// The bytes that are gathered.
    pub(crate) fn gathered(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.buffer.len() as u64)
    }

    /// Says whether the next segment should begin with a frame of this size.
    pub(crate) fn is_over(&self, size: u64) -> bool {
        self.current.as_ref().is_none_or(|current| {
            current.end() > PREFIX as u64 && current.end() + size > self.segment
        })
    }

    /// Lets a full disk be asked again at once.
    pub(crate) fn retry(&mut self) {
        self.asked = None;
    }

    /// Makes sure of room for a frame of `size`, so that `left` bytes stay free behind it.
    pub(crate) fn room(&mut self, size: u64, left: u64) -> Result<(), Stuck> {
        let Some(current) = &self.current else { return Err(Stuck::Full) };
        let end = current.end() + size;
        if end + self.reserve > current.allocated {
            self.grow(end + self.reserve)?;
        }
        let allocated = self.current.as_ref().map_or(0, |current| current.allocated);
        if end + left <= allocated { Ok(()) } else { Err(Stuck::Full) }
    }

    /// Gathers a frame, for which there is room.
    pub(crate) fn push(&mut self, header: &mut Header, payload: &[u8]) -> Spot {
        let current = self.current.as_mut().expect("`room` has seen it");
        let spot = Spot {
            segment: current.number,
            offset: current.end(),
            size: frame::size(payload.len()),
        };
        header.synced = u32::try_from(current.synced).unwrap_or(u32::MAX);
        let seed = frame::seed(current.nonce, spot.offset);
        header.encode(seed, &mut current.buffer);
        current.buffer.extend_from_slice(payload);
        let aligned = current.buffer.len().next_multiple_of(8);
        current.buffer.resize(aligned, 0);
        spot
    }

    /// Writes what is gathered. After a failure nothing of it is there, unless that fails too.
    pub(crate) fn flush(&mut self) -> Result<(), FlushError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.buffer.is_empty() {
            return Ok(());
        }
        let written = current.file.write(&current.buffer, current.written);
        let end = current.end();
        current.buffer.clear();
        current.buffer.shrink_to(KEPT);
        match written {
            Ok(()) => current.written = end,
            Err(error) => {
                // A frame of it that is whole would be found after a crash.
                current.allocated = current.written;
                current.file.truncate(current.written).map_err(FlushError::Broken)?;
                return Err(FlushError::Undone(error));
            }
        }
        Ok(())
    }

    /// Makes what was flushed durable.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.synced < current.written {
            current.file.sync()?;
            current.synced = current.written;
        }
        Ok(())
    }

    /// Takes the room of the next segment, for a frame of `size` and the reserve.
    pub(crate) fn prepare(&mut self, size: u64) -> Result<Prepared, Stuck> {
        if self.is_pausing() {
            return Err(Stuck::Full);
        }
        let number = self.next;
        self.next += 1;
        let least = PREFIX as u64 + size + self.reserve;
        let created = self.disk.create(number).and_then(|file| {
            let allocated = allocate(&*file, [least + self.step(), least])?;
            Ok(Prepared { number, file, allocated })
        });
        created.map_err(|error| {
            // Without a prefix it holds nothing, and the next start removes it.
            self.disk.remove(number).ok();
            self.stuck(error)
        })
    }

    /// Closes the front: it is whole on the disk, and gives back what it did not use.
    pub(crate) fn close(&mut self) -> io::Result<Option<Closed>> {
        let Some(current) = self.current.take() else { return Ok(None) };
        current.file.truncate(current.written)?;
        Ok(Some(Closed { number: current.number, size: current.written }))
    }

    /// Begins the next segment, once the one before is closed.
    pub(crate) fn install(&mut self, prepared: Prepared) -> io::Result<()> {
        let Prepared { number, file, allocated } = prepared;
        let nonce = uuid::Uuid::new_v4().as_u64_pair().0;
        file.write(&frame::prefix(number, nonce), 0)?;
        file.sync()?;
        self.disk.sync()?;
        let (written, synced) = (PREFIX as u64, PREFIX as u64);
        let buffer = Vec::new();
        self.current = Some(Current { number, nonce, file, written, synced, allocated, buffer });
        Ok(())
    }

    fn grow(&mut self, least: u64) -> Result<(), Stuck> {
        let step = self.step();
        if self.is_pausing() {
            return Ok(());
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        match allocate(&*current.file, [least + step, least]) {
            Ok(allocated) => {
                current.allocated = allocated;
                self.asked = None;
                Ok(())
            }
            Err(error) => match self.stuck(error) {
                // What was allocated before may be enough.
                Stuck::Full => Ok(()),
                stuck @ Stuck::Io(_) => Err(stuck),
            },
        }
    }

    fn step(&self) -> u64 {
        self.segment / STEPS
    }

    fn stuck(&mut self, error: io::Error) -> Stuck {
        let stuck = Stuck::from(error);
        if matches!(stuck, Stuck::Full) {
            self.asked = Some(self.disk.now());
        }
        stuck
    }

    fn is_pausing(&self) -> bool {
        let now = self.disk.now();
        self.asked.is_some_and(|asked| asked <= now && now < asked + PAUSE)
    }
}

/// What became of the frames that were gathered.
#[derive(Debug)]
pub(crate) enum FlushError {
    /// Nothing of them is in the file.
    Undone(io::Error),
    /// Any part of them may be.
    Broken(io::Error),
}

// === impl Current ===

impl Current {
    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }
}

/// The first of the sizes that there is room for.
fn allocate(file: &dyn File, sizes: [u64; 2]) -> io::Result<u64> {
    let [more, least] = sizes;
    match file.allocate(more) {
        Ok(()) => Ok(more),
        Err(error) if is_full(&error) => file.allocate(least).map(|()| least),
        Err(error) => Err(error),
    }
}

// === impl Stuck ===

impl From<io::Error> for Stuck {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full } else { Self::Io(error) }
    }
}

//! Messages to a fork server and back: a kind, a length, so many bytes, and descriptors beside them.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    process::Pid,
};
use tokio::{
    io::{AsyncReadExt as _, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Mutex,
};

/// The socket of a fork server.
#[derive(Debug)]
pub(crate) struct Channel {
    answers: Mutex<Answers>,
    orders: OwnedWriteHalf,
}

#[derive(Debug)]
struct Answers {
    read: OwnedReadHalf,
    /// Nobody left without the answer to what he asked.
    is_sound: bool,
}

/// What is told: its kind and its text.
pub(crate) type Told = (u8, String);

/// The longest text of an answer: a sentence.
const LONGEST: u32 = 64 * 1024;

// === impl Channel ===

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        let (read, orders) = UnixStream::from_std(stream)?.into_split();
        Ok(Self { answers: Mutex::new(Answers { read, is_sound: true }), orders })
    }

    /// Hears what is said by itself.
    pub(crate) async fn hear(&self) -> io::Result<Told> {
        self.answers.lock().await.hear().await
    }

    /// Asks, and returns the answer. Who leaves before leaves the channel unusable.
    pub(crate) async fn ask(
        &self,
        kind: u8,
        text: &str,
        beside: &[BorrowedFd<'_>],
    ) -> io::Result<Told> {
        let mut answers = self.answers.lock().await;
        loop {
            self.orders.writable().await?;
            match self.send(kind, text, beside) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => break sent?,
            }
        }
        answers.hear().await
    }

    /// Asks for a fork to be reaped; says whether there was somebody to ask.
    pub(crate) fn reap(&self, pid: Pid) -> bool {
        self.send(b'r', &pid.as_raw_pid().to_string(), &[]).is_ok()
    }

    fn send(&self, kind: u8, text: &str, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let message = [&[kind][..], &length.to_be_bytes(), text.as_bytes()].concat();
        let stream = self.orders.as_ref();
        let sent = stream.try_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
            let mut rights = SendAncillaryBuffer::new(&mut space);
            if !beside.is_empty() {
                rights.push(SendAncillaryMessage::ScmRights(beside));
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            Ok(sendmsg(stream.as_fd(), &[IoSlice::new(&message)], &mut rights, flags)?)
        })?;
        // So short a message goes as a whole or not at all.
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

// === impl Answers ===

impl Answers {
    async fn hear(&mut self) -> io::Result<Told> {
        if !std::mem::replace(&mut self.is_sound, false) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let kind = self.read.read_u8().await?;
        let length = self.read.read_u32().await?;
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; length as usize];
        self.read.read_exact(&mut text).await?;
        self.is_sound = true;
        Ok((kind, String::from_utf8_lossy(&text).into_owned()))
    }
}

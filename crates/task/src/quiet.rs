//! The two halves of a connected socket, for messages between processes of one host.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd};

/// What is read of a socket.
#[derive(Debug)]
pub struct Reading(AsyncFd<UnixStream>);

/// What is written to a socket. Dropping it ends what the other side reads.
///
/// A unix socket tells its writer whenever the other side has read, and most that write small
/// messages have nothing more to say then: each message would wake them twice. This one hears
/// nothing but that there is room again when there was none.
#[derive(Debug)]
pub struct Writing {
    socket: UnixStream,
    /// Told when there is room again, while there is none.
    room: Option<AsyncFd<UnixStream>>,
}

/// Takes a socket apart.
///
/// # Panics
///
/// Outside of a runtime.
pub fn quiet(socket: tokio::net::UnixStream) -> io::Result<(Reading, Writing)> {
    let socket = socket.into_std()?;
    let reading = hear(socket.try_clone()?, Interest::READABLE)?;
    Ok((Reading(reading), Writing { socket, room: None }))
}

// === impl Reading ===

impl AsyncRead for Reading {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            let asked = room.len();
            match ready.try_io(|socket| socket.get_ref().read(room)) {
                Ok(Ok(length)) => {
                    // Less than was asked for is all that there is: to ask again costs a call.
                    if 0 < length && length < asked {
                        ready.clear_ready();
                    }
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

// === impl Writing ===

impl AsyncWrite for Writing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(room) = &self.room {
                ready!(room.poll_write_ready(cx))?.clear_ready();
            }
            match (&self.socket).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.room.is_none() {
                        let socket = self.socket.try_clone()?;
                        self.room = Some(hear(socket, Interest::WRITABLE)?);
                    }
                }
                written => {
                    self.room = None;
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // The other side may be gone.
        drop(self.socket.shutdown(Shutdown::Write));
    }
}

/// Hears of a socket what is of interest.
#[expect(
    deprecated,
    reason = "it is unsound for what may close itself, which this socket does not"
)]
fn hear(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
    };

    use super::*;

    #[tokio::test]
    async fn all_that_is_written_is_read_however_little_room_there_is() {
        let (near, far) = UnixStream::pair().unwrap();
        let ((near_reading, mut near), (mut far, far_writing)) =
            (quiet(near).unwrap(), quiet(far).unwrap());
        let sent: Vec<u8> = (0..=250).cycle().take(8 * 1024 * 1024).collect();
        let mut got = Vec::new();
        let writing = async {
            for piece in sent.chunks(100_000) {
                near.write_all(piece).await.unwrap();
            }
            assert!(near.room.is_none(), "nothing is heard any more");
            drop(near);
        };
        let ((), read) = tokio::join!(writing, far.read_to_end(&mut got));
        assert_eq!(read.unwrap(), sent.len());
        assert!(got == sent);
        drop((near_reading, far_writing));
    }

    #[tokio::test]
    async fn answers_come_while_questions_wait() {
        let (near, far) = UnixStream::pair().unwrap();
        let ((mut answers, mut questions), (mut asked, mut said)) =
            (quiet(near).unwrap(), quiet(far).unwrap());
        for round in 0..100_u8 {
            questions.write_all(&[round]).await.unwrap();
            assert_eq!(asked.read_u8().await.unwrap(), round);
            said.write_all(&[round, round]).await.unwrap();
            assert_eq!(answers.read_u16().await.unwrap(), u16::from(round) * 257);
        }
        drop((asked, said));
        assert_eq!(answers.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(questions.write(&[0]).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

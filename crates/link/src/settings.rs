//! The figures that both ends of a link go by.

use std::time::Duration;

/// How often an idle end asks whether the other is still there. Both ends ask.
///
/// Ten thousand agents asked every 10 s cost a manager 3 % of a core.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How long the answer may take before the connection counts as lost.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of one stream may be on their way unread.
pub const STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// How many bytes of all streams of a connection may be on their way unread.
///
/// Much more than streams fill: whoever reads one stream slowly would stop all others once this is
/// full. That attempts hold back far below [`STREAM_WINDOW`] unless acknowledged, the further the
/// more of them there are, keeps it from ever coming to that.
pub const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;

/// How many calls may be open on a connection. Further ones wait for one to end.
pub const STREAMS: u32 = 1024;

/// The longest message. gRPC clients of every language take this much without being told.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// The longest chunk of bytes in a message, so that a message stays well below [`MAX_MESSAGE`].
pub const MAX_CHUNK: usize = 256 * 1024;

/// How long a TLS handshake may take, with all that comes before.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many handshakes a port makes at a time; further connections wait in the kernel's backlog.
///
/// One costs half a millisecond of CPU, so 256 are done in well under a second.
pub const HANDSHAKES: usize = 256;

/// How long a link has to live for the next try to come quickly again.
///
/// Little, so that agents whose manager falls again and again come back within seconds each time;
/// enough that one that ends each link at once is not dialled all the time.
pub const STEADY: Duration = Duration::from_secs(5);

/// The first wait between two tries to dial, at most.
pub const REDIAL_BASE: Duration = Duration::from_millis(500);

/// The longest wait between two tries to dial.
pub const REDIAL_CAP: Duration = Duration::from_secs(30);

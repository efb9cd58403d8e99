//! A TLS connection, whoever dialled it, as a gRPC client or a gRPC server.
//!
//! ```text
//!                  manager                                          agent
//!  dialled by      Listener ─ Accepted::Agent ─ Io ─┐     ┌─ Io ─ Dialler
//!  the agent                                        ▼     ▼
//!                                         client_over     serve_over
//!  dialled by                                       ▲     ▲
//!  the manager     Dialler ─ Io ────────────────────┘     └─ Io ─ AgentListener
//! ```
//!
//! The manager is the gRPC client and the agent the server, always. On the manager's one public port
//! the ALPN chooses what a connection is for: see [`Accepted`].
//!
//! With TLS 1.3 the side that dialled has its connection before the other has judged its
//! certificate; a refusal shows at the first read, as a bare transport error of the first call. So:
//! make a first exchange part of being connected, and when it fails ask [`Life::ended`] for the
//! reason.

mod dial;
mod grpc;
mod io;
mod life;
mod listen;
mod port;
mod redial;
pub mod settings;

pub use self::{
    dial::{DialError, Dialler},
    grpc::{LinkError, client_over, serve_over, server},
    io::{Caller, Io},
    life::{CloseOnDrop, Life, Watched},
    listen::{Accepted, AgentListener, Listener},
    redial::redial,
};

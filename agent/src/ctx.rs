//! The `ctx` command of scripts: this program, called by that name.
//!
//! It runs for every line of a script that says `ctx`, so it starts no runtime, makes one request on
//! one blocking connection, and is gone after a millisecond or two.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    process::ExitCode,
    thread::sleep,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use serde_json::{Value, json};
use uuid::Uuid;
use waggoner_ctx::{Printed, Reply, Request};

use crate::context::CALL;

/// Why the operation did not answer.
#[derive(Debug, thiserror::Error)]
enum CtxError {
    #[error(
        "failed to reach the operation at `{url}`: {source}; `ctx` works inside operations only"
    )]
    Connect {
        url: String,
        #[source]
        source: io::Error,
    },

    #[error(
        "`{0}` is not where an operation listens: CTX_SOCKET_URL is http://host:port or unix:PATH"
    )]
    Url(String),

    #[error("failed to talk to the operation: {0}")]
    Talk(#[source] io::Error),

    #[error("the answer of the operation cannot be read: {0}")]
    Answer(String),
}

/// How long an agent may be away, as while it is replaced by a newer one.
const PATIENCE: Duration = Duration::from_mins(1);

/// The first and the longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// A connection to the operation.
trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// Runs the `ctx` command, if this program was called as `ctx` or `waggoner-agent ctx`.
pub fn called() -> Option<ExitCode> {
    let mut args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let name = args.next().unwrap_or_default();
    let mut args: Vec<_> = args.collect();
    if Utf8Path::new(&name).file_name() != Some("ctx") {
        if args.first().is_none_or(|first| first != "ctx") {
            return None;
        }
        args.remove(0);
    }
    let printed = run(&args).unwrap_or_else(|printed| printed);
    Some(print(&printed))
}

fn run(args: &[String]) -> Result<Printed, Printed> {
    // A script runner of Cloudify's own, inside an operation, has a `ctx` of its own. The agent's
    // has a path in its URL, and a socket that is nearer.
    let socket = std::env::var("WAGGONER_SOCKET").ok().filter(|path| !path.is_empty());
    let socket = socket.map(|path| format!("unix:{path}"));
    let proxy = std::env::var("CTX_SOCKET_URL")
        .ok()
        .filter(|url| !url.is_empty() && (socket.is_none() || !has_path(url)));
    let patience = if proxy.is_none() && socket.is_some() { PATIENCE } else { Duration::ZERO };
    let request = Request::parse(args, proxy.or(socket).as_deref())?;
    let reply = insist(&request, patience).map_err(|error| Printed {
        stderr: format!("{error}\n"),
        exit_code: 1,
        ..Printed::default()
    })?;
    Ok(reply.print(request.format))
}

/// Asks until there is an answer: the agent may be started anew meanwhile, and the operation goes
/// on. All tries are one call, so what the first one did is not done again.
fn insist(request: &Request, patience: Duration) -> Result<Reply, CtxError> {
    let key = Uuid::new_v4();
    let deadline = Instant::now() + patience;
    let mut pause = PAUSES.0;
    loop {
        match ask(request, key) {
            Err(error) if error.is_absence() && Instant::now() < deadline => {
                sleep(pause);
                pause = (pause * 2).min(PAUSES.1);
            }
            answered => return answered,
        }
    }
}

fn has_path(url: &str) -> bool {
    url.strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, path)| !path.is_empty())
}

fn ask(request: &Request, key: Uuid) -> Result<Reply, CtxError> {
    let timeout = u64::try_from(request.timeout).ok().filter(|seconds| *seconds > 0);
    let mut wire = connect(&request.socket_url, timeout.map(Duration::from_secs))?;
    let body = json!({ "args": request.args }).to_string();
    let path = request.socket_url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let path = path.map_or("", |(_, path)| path);
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{CALL}: {}\r\nConnection: close\r\n\r\n",
        body.len(),
        key.simple(),
    );
    wire.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice())
        .map_err(CtxError::Talk)?;
    let mut answer = Vec::new();
    wire.read_to_end(&mut answer).map_err(CtxError::Talk)?;
    if answer.is_empty() {
        return Err(CtxError::Talk(io::ErrorKind::ConnectionReset.into()));
    }
    read(&answer)
}

// === impl CtxError ===

impl CtxError {
    /// Whether the one who listens is away, or went away in between.
    fn is_absence(&self) -> bool {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound,
        };
        let (Self::Connect { source, .. } | Self::Talk(source)) = self else { return false };
        let kinds = [NotFound, ConnectionRefused, ConnectionReset, ConnectionAborted, BrokenPipe];
        kinds.contains(&source.kind())
    }
}

fn connect(url: &str, timeout: Option<Duration>) -> Result<Box<dyn Wire>, CtxError> {
    let failed = |source| CtxError::Connect { url: url.to_owned(), source };
    if let Some(path) = url.strip_prefix("unix:") {
        let stream = UnixStream::connect(path).map_err(failed)?;
        stream.set_read_timeout(timeout).map_err(failed)?;
        return Ok(Box::new(stream));
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Err(CtxError::Url(url.to_owned()));
    };
    let address = rest.split('/').next().unwrap_or(rest);
    let stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(timeout).map_err(failed)?;
    Ok(Box::new(stream))
}

/// Reads an answer of HTTP/1 whose end is the end of the connection.
fn read(answer: &[u8]) -> Result<Reply, CtxError> {
    let wrong = |why: &str| CtxError::Answer(why.to_owned());
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or_else(|| wrong("it is not HTTP"))?);
    let body = &body[4..];
    let status = head.split(|byte| *byte == b' ').nth(1);
    if status != Some(b"200") {
        return Err(wrong(&String::from_utf8_lossy(body)));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
    Reply::from_json(value).map_err(|error| wrong(&error.to_string()))
}

fn print(printed: &Printed) -> ExitCode {
    // Whoever reads it may be gone; the exit code still stands.
    drop(io::stdout().write_all(printed.stdout.as_bytes()));
    drop(io::stdout().flush());
    drop(io::stderr().write_all(printed.stderr.as_bytes()));
    ExitCode::from(printed.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_follows_the_head() {
        let answer =
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"type\":\"result\",\"payload\":[1]}";
        assert_eq!(read(answer).unwrap(), Reply::Result(json!([1])));
        assert!(read(b"SSH-2.0\r\n").unwrap_err().to_string().contains("it is not HTTP"));
        let failed = b"HTTP/1.0 500 No\r\n\r\nbecause";
        assert!(read(failed).unwrap_err().to_string().ends_with("because"));
    }

    #[test]
    fn where_nobody_listens_is_said_in_one_sentence() {
        let nobody = connect("unix:/no/such/socket", None).err().unwrap().to_string();
        assert!(nobody.starts_with("failed to reach the operation at `unix:/no/such/socket`"));
        assert!(
            connect("ftp://x", None).err().unwrap().to_string().starts_with("`ftp://x` is not")
        );
    }
}

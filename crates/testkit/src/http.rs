//! The least of HTTP.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gets a page and returns its head and body, as they came.
///
/// # Panics
///
/// If the URL is not of the form `http://host:port/path`.
pub fn http_get(url: &str) -> io::Result<String> {
    let rest = url.strip_prefix("http://").expect("the URL begins with http://");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

//! `multipart/form-data` (RFC 7578), as `requests_toolbelt` writes it, read as a stream: a form may
//! hold a gibibyte.

use std::io::{self, Read, Write};

/// A form, read part by part.
#[derive(Debug)]
pub(super) struct Form<R> {
    bytes: R,
    /// What was read and not given out.
    held: Vec<u8>,
    /// What stands between two parts.
    delimiter: Vec<u8>,
    has_begun: bool,
}

/// How much is read at once, in bytes.
const CHUNK: usize = if cfg!(test) { 7 } else { 64 << 10 };

/// The longest head of a part, in bytes: a few lines.
const LONGEST_HEAD: usize = 16 << 10;

/// Reads the boundary out of a content type; nothing where it is of no form.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut parameters = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, boundary) =
        parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    Some(boundary.trim().trim_matches('"'))
}

// === impl Form ===

impl<R: Read> Form<R> {
    /// Begins with the first delimiter, before which there is nothing.
    pub(super) fn new(bytes: R, boundary: &str) -> Self {
        // The first one lacks the line's end that belongs to the others.
        let delimiter = format!("\r\n--{boundary}").into();
        Self { bytes, held: b"\r\n".to_vec(), delimiter, has_begun: false }
    }

    /// Returns the name of the next part, nothing after the last. What is no whole form is an
    /// error of the kind [`io::ErrorKind::InvalidData`].
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
        if !std::mem::replace(&mut self.has_begun, true) {
            let delimiter = self.delimiter.clone();
            self.fill(delimiter.len())?;
            if !self.held.starts_with(&delimiter) {
                return Err(broken());
            }
            self.held.drain(..delimiter.len());
        }
        self.fill(2)?;
        match self.held.get(..2) {
            Some(b"--") => return Ok(None),
            Some(b"\r\n") => drop(self.held.drain(..2)),
            _ => return Err(broken()),
        }
        let mut head = Head(Vec::new());
        self.copy_until(b"\r\n\r\n", &mut head)?;
        let head = String::from_utf8(head.0).map_err(|_| broken())?;
        let disposition = head.lines().find(|line| {
            line.split_once(':')
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        });
        let named = disposition.and_then(|line| line.split_once(" name=\""));
        let name = named.and_then(|(_, named)| named.split_once('"'));
        name.map(|(name, _)| Some(name.to_owned())).ok_or_else(broken)
    }

    /// Copies the data of the part that was named last.
    pub(super) fn data(&mut self, to: &mut impl Write) -> io::Result<()> {
        let delimiter = self.delimiter.clone();
        self.copy_until(&delimiter, to)
    }

    /// Copies what comes before some bytes, and passes over these.
    fn copy_until(&mut self, end: &[u8], to: &mut impl Write) -> io::Result<()> {
        loop {
            if let Some(at) = find(&self.held, end) {
                to.write_all(&self.held[..at])?;
                self.held.drain(..at + end.len());
                return Ok(());
            }
            // The end may have begun in what is held.
            let certain = (self.held.len() + 1).saturating_sub(end.len());
            to.write_all(&self.held[..certain])?;
            self.held.drain(..certain);
            let before = self.held.len();
            self.fill(before + 1)?;
            if self.held.len() == before {
                return Err(broken());
            }
        }
    }

    /// Reads until so many bytes are held, or there are no more.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.held.len() < wanted {
            let before = self.held.len();
            let read = (&mut self.bytes).take(CHUNK as u64).read_to_end(&mut self.held)?;
            if read == 0 || self.held.len() == before {
                break;
            }
        }
        Ok(())
    }
}

/// The head of a part, which is short.
struct Head(Vec<u8>);

// === impl Head ===

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_HEAD {
            return Err(broken());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the body is no whole multipart/form-data")
}

/// Finds where some bytes begin.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives its bytes in pieces of this size.
    struct Slowly<'b>(&'b [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(to.len()).min(self.0.len());
            to[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    fn parts(body: &[u8], boundary: &str, piece: usize) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut form = Form::new(Slowly(body, piece), boundary);
        let mut parts = Vec::new();
        while let Some(name) = form.next()? {
            let mut data = Vec::new();
            form.data(&mut data)?;
            parts.push((name, data));
        }
        Ok(parts)
    }

    #[test]
    fn a_form_is_split_into_its_fields() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n{}\r\n--x\r\n\
            content-disposition: form-data; name=\"archive\"; filename=\"f\"\r\n\
            Content-Type: text/plain\r\n\r\n\x1f\r\n--\x00\r\n--x--\r\n";
        let form = boundary("multipart/form-data; boundary=\"x\"").unwrap();
        for piece in [1, 2, 3, 7, 1000] {
            let parts = parts(body, form, piece).unwrap();
            assert_eq!(parts[0], ("params".to_owned(), b"{}".to_vec()));
            assert_eq!(parts[1], ("archive".to_owned(), b"\x1f\r\n--\x00".to_vec()));
            assert_eq!(parts.len(), 2);
        }
    }

    #[test]
    fn what_is_no_whole_form_is_none() {
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("text/plain; boundary=x"), None);
        let head = format!("--x\r\n{}", "a".repeat(LONGEST_HEAD + 1));
        let bodies =
            [&b""[..], b"--x", b"--x\r\n", b"--x\r\nname\r\n\r\n1\r\n--x", head.as_bytes()];
        for body in bodies {
            let error = parts(body, "x", 3).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{body:?}");
        }
        assert_eq!(parts(b"--x--\r\n", "x", 1).unwrap(), []);
    }

    proptest! {
        /// Whatever a part holds that is no delimiter comes out of it.
        #[test]
        fn data_of_any_kind_comes_out_whole(
            data in prop::collection::vec(prop::sample::select(b"\r\n-xa".to_vec()), 0..200),
            piece in 1_usize..50,
        ) {
            let text = String::from_utf8(data.clone()).unwrap();
            prop_assume!(!text.contains("\r\n--xx"));
            let head = "--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
            let body = [head.as_bytes(), &data, b"\r\n--xx--"].concat();
            prop_assume!(!format!("{text}\r\n--xx--")[..text.len() + 4].contains("\r\n--xx"));
            prop_assert_eq!(parts(&body, "xx", piece).unwrap(), vec![("a".to_owned(), data)]);
        }
    }
}

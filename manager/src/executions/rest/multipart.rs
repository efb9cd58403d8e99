//! `multipart/form-data` (RFC 7578), as `requests_toolbelt` writes it.

/// A field of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'b> {
    pub(super) name: &'b str,
    pub(super) data: &'b [u8],
}

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

/// Splits a form into its parts; nothing where it is none.
pub(super) fn parts<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<Part<'b>>> {
    let delimiter = format!("--{boundary}");
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, delimiter.as_bytes())?;
        parts.push(read(&part[..end])?);
        rest = &part[end + delimiter.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

fn read(part: &[u8]) -> Option<Part<'_>> {
    let end = find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..end]).ok()?;
    let disposition = head.lines().find(|line| {
        line.split_once(':')
            .is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
    })?;
    let (_, named) = disposition.split_once(" name=\"")?;
    let (name, _) = named.split_once('"')?;
    Some(Part { name, data: &part[end + 4..] })
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
    use super::*;

    #[test]
    fn a_form_is_split_into_its_fields() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"params\"\r\n\r\n{}\r\n--x\r\n\
            content-disposition: form-data; name=\"archive\"; filename=\"f\"\r\n\
            Content-Type: text/plain\r\n\r\n\x1f\r\n--\x00\r\n--x--\r\n";
        let form = boundary("multipart/form-data; boundary=\"x\"").unwrap();
        let parts = parts(body, form).unwrap();
        assert_eq!(parts[0], Part { name: "params", data: b"{}" });
        assert_eq!(parts[1], Part { name: "archive", data: b"\x1f\r\n--\x00" });
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn what_is_no_whole_form_is_none() {
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("text/plain; boundary=x"), None);
        for body in [&b""[..], b"--x", b"--x\r\n", b"--x\r\nname\r\n\r\n1\r\n--x"] {
            assert_eq!(parts(body, "x"), None, "{body:?}");
        }
    }
}

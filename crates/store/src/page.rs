//! Lists in pages, by key.
//!
//! A token names the last row of its page, so the next page begins after that row whatever was
//! added or deleted meanwhile.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{Error, column::Read};

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    size: u32,
    token: String,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The token of the next page; absent at the end.
    pub next: Option<String>,
}

/// What a query needs to cut its page: the key to begin after and how many rows to fetch.
pub(crate) struct Cut<const N: usize> {
    list: &'static str,
    pub(crate) after: [String; N],
    size: u32,
}

/// The size of a page where the caller leaves it to us.
const DEFAULT_SIZE: u32 = 100;

/// The largest page. Lists of what may be long end a page earlier where it is.
const LARGEST: u32 = 500;

// === impl PageRequest ===

impl PageRequest {
    /// Asks for at most `size` items, 0 for the store's own choice, after the page that gave
    /// `token`, empty for the first page.
    pub fn new(size: u32, token: impl Into<String>) -> Self {
        Self { size, token: token.into() }
    }

    /// Reads the token of `list`. `first` is a key before all others.
    pub(crate) fn cut<const N: usize>(
        &self,
        list: &'static str,
        first: [&str; N],
    ) -> Result<Cut<N>, Error> {
        let size = if self.size == 0 { DEFAULT_SIZE } else { self.size.min(LARGEST) };
        let after = match self.token.as_str() {
            "" => first.map(str::to_owned),
            token => read(list, token).ok_or(Error::InvalidPageToken)?,
        };
        Ok(Cut { list, after, size })
    }
}

// === impl Cut ===

impl<const N: usize> Cut<N> {
    /// How many rows to fetch: one more than the page holds, to see whether it is the last.
    pub(crate) fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// Makes the page of the rows that were fetched.
    pub(crate) fn page<T>(
        &self,
        read: impl Into<Read<T>>,
        key: impl Fn(&T) -> [String; N],
    ) -> Page<T> {
        let Read { mut rows, is_cut } = read.into();
        let size = self.size as usize;
        let is_full = is_cut || rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| is_full).map(|last| write(self.list, &key(last)));
        Page { items: rows, next }
    }
}

fn write<const N: usize>(list: &str, key: &[String; N]) -> String {
    let parts: Vec<&str> = std::iter::once(list).chain(key.iter().map(String::as_str)).collect();
    URL_SAFE_NO_PAD.encode(serde_json::json!(parts).to_string())
}

fn read<const N: usize>(list: &str, token: &str) -> Option<[String; N]> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let mut parts: Vec<String> = serde_json::from_slice(&bytes).ok()?;
    if parts.first()? != list {
        return None;
    }
    parts.remove(0);
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_list_only() {
        let cut = PageRequest::new(2, "").cut("letters", [""]).unwrap();
        let page = cut.page(vec!["a", "b", "c"], |letter| [(*letter).to_owned()]);
        assert_eq!(page.items, ["a", "b"]);

        let next = PageRequest::new(2, page.next.unwrap());
        assert_eq!(next.cut("letters", [""]).unwrap().after, ["b"]);
        assert!(matches!(next.cut("digits", [""]), Err(Error::InvalidPageToken)));
        assert!(matches!(next.cut("letters", ["", ""]), Err(Error::InvalidPageToken)));
        for junk in ["!", "e30", "bm8"] {
            let junk = PageRequest::new(0, junk);
            assert!(matches!(junk.cut("letters", [""]), Err(Error::InvalidPageToken)));
        }
    }

    #[test]
    fn the_last_page_has_no_successor() {
        let cut = PageRequest::new(2, "").cut("letters", [""]).unwrap();
        assert_eq!(cut.page(vec!["a", "b"], |letter| [(*letter).to_owned()]).next, None);
    }
}

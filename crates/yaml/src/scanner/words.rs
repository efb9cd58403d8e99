//! Anchors, aliases and tags.

use super::{Scanner, is_space_or_end};
use crate::{
    Error,
    token::{Kind, Tag},
};

// === impl Scanner ===

impl Scanner<'_> {
    pub(super) fn anchor(&mut self) -> Result<(), Error> {
        self.remember_key()?;
        self.allows_key = false;
        let mark = self.mark();
        let is_alias = self.at(0) == '*';
        self.forward(1);
        let name =
            self.take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
        let next = self.at(0);
        if name.is_empty() || !(is_space_or_end(next) || "?:,]}%@`".contains(next)) {
            let what = if is_alias { "an alias" } else { "an anchor" };
            let message = format!("{what} is letters, digits, `-` and `_`, found `{next}`");
            return Err(self.here(message));
        }
        self.push(if is_alias { Kind::Alias(name) } else { Kind::Anchor(name) }, mark);
        Ok(())
    }

    pub(super) fn tag(&mut self) -> Result<(), Error> {
        self.remember_key()?;
        self.allows_key = false;
        let mark = self.mark();
        let is_verbatim = self.at(1) == '<';
        let text = self.take_while(|letter| {
            letter.is_ascii_alphanumeric() || "-;/?:@&=+$,_.!~*'()[]%<>".contains(letter)
        });
        if !is_space_or_end(self.at(0)) {
            return Err(self.here(format!("a tag ends with a space, found `{}`", self.at(0))));
        }
        let core = |name: &str| Tag::Core(name.to_owned());
        let tag = if text == "!" {
            Tag::NonSpecific
        } else if is_verbatim {
            let uri = text.trim_start_matches("!<").trim_end_matches('>');
            uri.strip_prefix("tag:yaml.org,2002:").map_or(Tag::Other(text.clone()), core)
        } else {
            text.strip_prefix("!!").map_or(Tag::Other(text.clone()), core)
        };
        self.push(Kind::Tag(tag), mark);
        Ok(())
    }

    fn take_while(&mut self, takes: impl Fn(char) -> bool) -> String {
        let start = self.index;
        while self.at(0) != '\0' && takes(self.at(0)) {
            self.forward(1);
        }
        self.characters[start..self.index].iter().collect()
    }
}

//! Single values: aliases, scalars and their tags.

use super::Composer;
use crate::{
    Error, Mark, Node, Value, scalar,
    token::{Kind, Tag},
};

// === impl Composer ===

impl Composer<'_> {
    pub(super) fn alias(&mut self) -> Result<Node, Error> {
        let token = self.tokens.take_token()?;
        let Kind::Alias(name) = &token.kind else { return Err(self.unexpected("an alias")) };
        let cost = match self.anchors.get(name) {
            Some(Some((_, cost))) => *cost,
            Some(None) => {
                let message = format!("the alias `{name}` stands inside of what it stands for");
                return Err(self.tokens.error(token.mark, message));
            }
            None => {
                let message = format!("there is no anchor `{name}` before this alias");
                return Err(self.tokens.error(token.mark, message));
            }
        };
        self.spend(token.mark, cost)?;
        self.repeated += cost.bytes;
        if self.repeated > self.budget.repeated_bytes {
            let most = self.budget.repeated_bytes;
            return Err(self
                .tokens
                .error(token.mark, format!("aliases repeat more than {most} bytes")));
        }
        let (node, _) = self.anchors[name].as_ref().expect("its cost was just read");
        Ok(node.clone())
    }

    pub(super) fn scalar(
        &self,
        text: &str,
        is_plain: bool,
        tag: Option<&Tag>,
        mark: Mark,
    ) -> Result<Value, Error> {
        let value = match tag {
            None if is_plain => scalar::resolve(text),
            None => Ok(Value::Str(text.to_owned())),
            Some(Tag::NonSpecific) => scalar::resolve(text),
            Some(Tag::Core(name)) => scalar::tagged(name, text),
            Some(Tag::Other(name)) => Err(format!("the tag `{name}` is not known")),
        };
        value.map_err(|message| self.tokens.error(mark, message))
    }

    pub(super) fn collection(
        &self,
        tag: Option<&Tag>,
        expected: &str,
        mark: Mark,
    ) -> Result<(), Error> {
        match tag {
            None | Some(Tag::NonSpecific) => Ok(()),
            Some(Tag::Core(name)) if name == expected => Ok(()),
            Some(Tag::Core(name)) => {
                Err(self.tokens.error(mark, format!("the tag `!!{name}` has no place here")))
            }
            Some(Tag::Other(name)) => {
                Err(self.tokens.error(mark, format!("the tag `{name}` is not known")))
            }
        }
    }
}

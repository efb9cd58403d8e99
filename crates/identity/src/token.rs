//! Tokens: what an agent joins with, and what people's tools prove themselves with.
//!
//! ```text
//!  wgj1.<secret, 32 bytes>.<SHA-256 of the CA's certificate>   a join token
//!  wgt_<secret, 32 bytes>                                      an API token
//! ```
//!
//! Bytes are in base64url without padding (RFC 4648, section 5). A token is shown once and stored as
//! a hash.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use crate::{CaPin, TokenHash, tls};

/// What an agent joins a manager with, once. It also says which CA the agent may believe.
#[derive(Debug)]
pub struct JoinToken {
    secret: SecretBox<[u8; 32]>,
    ca: CaPin,
}

/// What people's tools prove themselves with.
#[derive(Debug)]
pub struct ApiToken {
    secret: SecretBox<[u8; 32]>,
}

/// Why a text is not a token. It never says what the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("this is not a join token: one looks like `wgj1.` and two times 43 characters")]
    Join,
    #[error("this is not an API token: one looks like `wgt_` and 43 characters")]
    Api,
}

// === impl JoinToken ===

impl JoinToken {
    /// Makes a new token for agents that shall believe the CA.
    pub fn mint(ca: CaPin) -> Self {
        Self { secret: secret(), ca }
    }

    /// Returns the hash that is stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of_bytes(self.secret.expose_secret())
    }

    /// Returns which CA the token says to believe.
    pub fn ca(&self) -> CaPin {
        self.ca
    }

    /// Returns the text to hand on.
    pub fn reveal(&self) -> SecretString {
        let secret = encode(self.secret.expose_secret());
        format!("{JOIN}{secret}.{}", encode(self.ca.as_bytes())).into()
    }
}

impl FromStr for JoinToken {
    type Err = InvalidToken;

    fn from_str(given: &str) -> Result<Self, InvalidToken> {
        let parts = given.trim().strip_prefix(JOIN).and_then(|rest| rest.split_once('.'));
        let (secret, ca) = parts.ok_or(InvalidToken::Join)?;
        let secret = decode(secret).ok_or(InvalidToken::Join)?;
        let ca = decode(ca).ok_or(InvalidToken::Join)?;
        Ok(Self { secret: SecretBox::new(Box::new(secret)), ca: CaPin::from(ca) })
    }
}

// === impl ApiToken ===

impl ApiToken {
    /// Makes a new token.
    pub fn mint() -> Self {
        Self { secret: secret() }
    }

    /// Returns the hash that is stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of_bytes(self.secret.expose_secret())
    }

    /// Returns the text to hand on.
    pub fn reveal(&self) -> SecretString {
        format!("{API}{}", encode(self.secret.expose_secret())).into()
    }
}

impl FromStr for ApiToken {
    type Err = InvalidToken;

    fn from_str(given: &str) -> Result<Self, InvalidToken> {
        let secret = given.trim().strip_prefix(API).and_then(decode).ok_or(InvalidToken::Api)?;
        Ok(Self { secret: SecretBox::new(Box::new(secret)) })
    }
}

const JOIN: &str = "wgj1.";
const API: &str = "wgt_";

fn secret() -> SecretBox<[u8; 32]> {
    SecretBox::init_with_mut(|secret: &mut [u8; 32]| *secret = tls::random())
}

fn encode(bytes: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_token_is_read_as_it_is_revealed() {
        let token = JoinToken::mint(CaPin::from([7; 32]));
        let text = token.reveal();
        let read: JoinToken = text.expose_secret().parse().unwrap();
        assert_eq!(text.expose_secret().len(), "wgj1.".len() + 43 + 1 + 43);
        assert_eq!((read.hash(), read.ca()), (token.hash(), CaPin::from([7; 32])));
        assert_ne!(token.hash(), JoinToken::mint(CaPin::from([7; 32])).hash());
    }

    #[test]
    fn an_api_token_is_read_as_it_is_revealed() {
        let token = ApiToken::mint();
        let text = token.reveal();
        let read: ApiToken = format!(" {}\n", text.expose_secret()).parse().unwrap();
        assert_eq!(text.expose_secret().len(), "wgt_".len() + 43);
        assert_eq!(read.hash(), token.hash());
        assert_ne!(token.hash(), ApiToken::mint().hash());
    }

    #[test]
    fn neither_debug_output_nor_a_refusal_shows_a_secret() {
        let token = JoinToken::mint(CaPin::from([7; 32]));
        let text = token.reveal();
        let secret = text.expose_secret().split('.').nth(1).unwrap();
        assert!(!format!("{token:?} {text:?}").contains(secret));

        let broken = format!("wgj2.{secret}");
        assert!(!broken.parse::<JoinToken>().unwrap_err().to_string().contains(secret));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = JoinToken::mint(CaPin::from([7; 32])).reveal();
        let whole = token.expose_secret();
        let cut = &whole[..whole.len() - 1];
        for text in ["", "wgj1", "wgj1.", "wgj1..", "wgj1.a.b", cut, &format!("{whole}x")] {
            assert_eq!(text.parse::<JoinToken>().unwrap_err(), InvalidToken::Join, "{text}");
        }
        for text in ["", "wgt_", "wgt_a", whole] {
            assert_eq!(text.parse::<ApiToken>().unwrap_err(), InvalidToken::Api, "{text}");
        }
    }
}

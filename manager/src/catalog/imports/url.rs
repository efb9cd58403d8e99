//! Imports from the network: from where the manager's settings allow, small, soon, and kept. And
//! the archives of plugins, which are not kept here.

use std::{
    collections::HashMap,
    fmt,
    io::{self, Write},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{StatusCode, Uri, header::LOCATION, uri::Scheme};
use ureq::{
    Agent, Body,
    tls::{RootCerts, TlsConfig},
};
use waggoner_blueprint::{FetchError, Fetched};
use waggoner_identity::tls;

use super::LARGEST;

/// Where imports may come from: `https://example.org/specs/`, and all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    scheme: Scheme,
    authority: String,
    /// Ends with a slash.
    folder: String,
}

/// Why a text is no [`Site`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `https://HOST/` or `https://HOST/FOLDER/` (or `http:`), without user and query")]
pub(crate) struct InvalidSite;

/// Brings texts from the allowed sites. Blocks: for threads that may.
#[derive(Debug)]
pub(crate) struct Urls {
    sites: Vec<Site>,
    agent: Agent,
    kept: Mutex<HashMap<Uri, Kept>>,
}

/// Why something did not come from the network: a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfetched {
    /// It is not allowed, or not to be had: another try would not help.
    Refused(String),
    /// The site is away, or has trouble.
    Away(String),
}

/// What a site answered.
#[derive(Clone, Debug)]
struct Kept {
    /// `None` when nothing was there.
    text: Option<String>,
    since: Instant,
}

/// How long one text may take, redirects and all.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a text is good for: a blueprint's many imports are one look at the site, and who
/// mends a file and uploads again sees it.
const FRESH: Duration = Duration::from_mins(1);

/// How many texts are kept for the time that a site is away.
const MOST: usize = 256;

/// How many bytes they may have before they are let go.
const MOST_BYTES: usize = 64 << 20;

/// How often a site may send us on.
const REDIRECTS: usize = 5;

// === impl Site ===

impl Site {
    /// Says whether the address lies here. One whose path has steps in it, however they are
    /// written, lies nowhere.
    fn holds(&self, address: &Uri) -> bool {
        let path = address.path().to_ascii_lowercase().replace("%2e", ".");
        let has_steps = path.split('/').any(|part| matches!(part, "." | ".."))
            || ["%2f", "%5c", "\\"].iter().any(|slash| path.contains(slash));
        address.scheme() == Some(&self.scheme)
            && address.authority().is_some_and(|it| it.as_str() == self.authority)
            && address.path().starts_with(&self.folder)
            && !has_steps
    }
}

impl FromStr for Site {
    type Err = InvalidSite;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: Uri = text.parse().map_err(|_| InvalidSite)?;
        let scheme = address.scheme().filter(|it| **it == Scheme::HTTP || **it == Scheme::HTTPS);
        let authority = address.authority().filter(|it| !it.as_str().contains('@'));
        let (Some(scheme), Some(authority), None) = (scheme, authority, address.query()) else {
            return Err(InvalidSite);
        };
        let folder = format!("{}/", address.path().trim_end_matches('/'));
        Ok(Self { scheme: scheme.clone(), authority: authority.to_string(), folder })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.folder)
    }
}

// === impl Urls ===

impl Urls {
    pub(crate) fn new(sites: Vec<Site>) -> Self {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::clone(tls::provider()))
            .root_certs(RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_global(Some(PATIENCE))
            // Each step of the way has to be allowed.
            .max_redirects(0)
            .http_status_as_error(false);
        Self { sites, agent: config.build().into(), kept: Mutex::default() }
    }

    /// Brings a text; `None` when nothing is there.
    ///
    /// While a site is away, what it last said is still good.
    pub(super) fn fetch(&self, address: &str) -> Result<Option<Fetched>, FetchError> {
        let address: Uri =
            address.parse().map_err(|_| FetchError("it is no address".to_owned()))?;
        self.admit(&address)?;
        let before = self.kept().get(&address).cloned();
        if let Some(kept) = before.as_ref().filter(|kept| kept.since.elapsed() < FRESH) {
            return Ok(kept.fetched());
        }
        let kept = match (self.look(address.clone()), before) {
            (Ok(text), _) => Kept { text, since: Instant::now() },
            // It is not asked again by each of a blueprint's imports.
            (Err(_), Some(before)) => Kept { since: Instant::now(), ..before },
            (Err(error), None) => return Err(error),
        };
        let mut all = self.kept();
        let bytes: usize =
            all.values().filter_map(|kept| kept.text.as_ref()).map(String::len).sum();
        if all.len() >= MOST || bytes > MOST_BYTES {
            all.clear();
        }
        let fetched = kept.fetched();
        all.insert(address, kept);
        Ok(fetched)
    }

    fn look(&self, address: Uri) -> Result<Option<String>, FetchError> {
        let Some(mut body) = self.get(address)? else { return Ok(None) };
        let text = body.with_config().limit(LARGEST).read_to_vec().map_err(told)?;
        let text = String::from_utf8(text);
        text.map(Some).map_err(|_| FetchError("it is not text in UTF-8".to_owned()))
    }

    /// Writes what is at an address, of so many bytes at the most; says whether anything is there.
    pub(crate) fn download(
        &self,
        address: &str,
        most: u64,
        to: &mut impl Write,
    ) -> Result<bool, Unfetched> {
        let address: Uri =
            address.parse().map_err(|_| Unfetched::Refused("it is no address".to_owned()))?;
        self.admit(&address)?;
        let Some(mut body) = self.get(address)? else { return Ok(false) };
        let mut reader = body.with_config().limit(most).reader();
        io::copy(&mut reader, to).map_err(|error| told(error.into()))?;
        Ok(true)
    }

    fn get(&self, mut address: Uri) -> Result<Option<Body>, Unfetched> {
        for _ in 0..=REDIRECTS {
            let answer = self.agent.get(&address).call().map_err(told)?;
            let status = answer.status();
            if status.is_redirection() {
                let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                address = follow(&address, to.unwrap_or_default())?;
                self.admit(&address)?;
                continue;
            }
            if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
                return Ok(None);
            }
            let why = format!("the site answered {status}");
            return match status {
                status if status.is_success() => Ok(Some(answer.into_body())),
                status if status.is_client_error() => Err(Unfetched::Refused(why)),
                _ => Err(Unfetched::Away(why)),
            };
        }
        Err(Unfetched::Refused(format!("the site sent us on more than {REDIRECTS} times")))
    }

    fn admit(&self, address: &Uri) -> Result<(), Unfetched> {
        if self.sites.iter().any(|site| site.holds(address)) {
            return Ok(());
        }
        let allowed = match self.sites.as_slice() {
            [] => "from nowhere".to_owned(),
            sites => {
                let sites: Vec<_> = sites.iter().map(ToString::to_string).collect();
                format!("from {} only", sites.join(", "))
            }
        };
        Err(Unfetched::Refused(format!(
            "this manager reads imports {allowed}, and `{address}` is not there: put the file \
             beside the blueprint, or start the manager with `--import-site`"
        )))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<Uri, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    fn fetched(&self) -> Option<Fetched> {
        let text = self.text.clone()?;
        Some(Fetched { text, ..Fetched::default() })
    }
}

/// Where a redirect leads: to another address, or to another path of the same site.
fn follow(from: &Uri, to: &str) -> Result<Uri, Unfetched> {
    let nowhere = || Unfetched::Refused("the site sent us nowhere".to_owned());
    let to: Uri = to.parse().map_err(|_| nowhere())?;
    if to.authority().is_some() {
        return Ok(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).map_err(|_| nowhere())
}

fn told(error: ureq::Error) -> Unfetched {
    match error {
        ureq::Error::BodyExceedsLimit(most) => {
            Unfetched::Refused(format!("it has more than {most} bytes"))
        }
        ureq::Error::Timeout(_) => {
            Unfetched::Away(format!("the site took more than {} s", PATIENCE.as_secs()))
        }
        error => Unfetched::Away(error.to_string()),
    }
}

impl From<Unfetched> for FetchError {
    fn from(unfetched: Unfetched) -> Self {
        let (Unfetched::Refused(why) | Unfetched::Away(why)) = unfetched;
        Self(why)
    }
}

#[cfg(test)]
mod tests;

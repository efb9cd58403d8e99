//! A request of the REST API, as the resources' modules take it.

use camino::Utf8PathBuf;
use serde_json::{Map, Value};
use waggoner_store::{Store, verdict::Asked};
use waggoner_types::{DeploymentId, TenantName};

use crate::{
    executions::{
        answers::{Answers, Unanswered},
        rest::reply::Reply,
        verdict::told,
    },
    home::Home,
};

/// A request, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'c> {
    pub(super) answers: &'c Answers,
    pub(super) method: &'c str,
    /// What follows the resource's name in the path.
    pub(super) path: &'c [&'c str],
    pub(super) query: &'c Query,
    pub(super) body: &'c Body,
    /// What tells the same request again from another one.
    pub(super) asked: Option<&'c Asked>,
    /// Whether its effect was tried before, as [`Call::begin`] noted.
    pub(super) was_tried: bool,
}

/// The query of a request, decoded. Python's `True` and `False` stay words.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// What a request brings.
#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    /// A file that was put before, of this content type.
    File {
        path: Utf8PathBuf,
        content_type: String,
    },
    /// Text that is no JSON, of this content type.
    Text {
        text: String,
        content_type: String,
    },
}

/// The longest JSON that is read from a file, in bytes.
const LONGEST_JSON: u64 = 16 << 20;

// === impl Call ===

impl<'c> Call<'c> {
    pub(super) fn home(&self) -> &'c std::sync::Arc<Home> {
        &self.answers.home
    }

    /// The store for the one write that is the request's effect: the answer is stored with it, so
    /// that whoever asks again has that answer and no second effect.
    pub(super) fn deciding(&self, reply: &Reply) -> Store {
        let store = &self.home().store;
        match self.asked {
            Some(asked) => store.deciding(asked.clone(), told(&Ok(reply.to_json()))),
            None => store.clone(),
        }
    }

    /// Notes that an effect is tried that is none on the store.
    pub(super) async fn begin(&self) -> Result<(), Unanswered> {
        match self.asked {
            Some(asked) => Ok(self.home().store.begin_effect(asked.clone()).await?),
            None => Ok(()),
        }
    }

    pub(super) fn tenant(&self) -> TenantName {
        self.answers.stage.scene.tenant.clone()
    }

    /// The operation's own deployment.
    pub(super) fn own(&self) -> &'c DeploymentId {
        &self.answers.stage.scene.deployment
    }

    /// The id of a deployment that is in reach; one that is not is as good as not there.
    pub(super) fn deployment(&self, id: &str) -> Result<DeploymentId, Unanswered> {
        let parsed = id.parse::<DeploymentId>().ok();
        let found = parsed.filter(|id| self.answers.reach.reaches(self.own(), id));
        found.ok_or_else(|| Unanswered::not_found("Deployment", id))
    }

    /// Refuses what only operations of central agents may do: `what` completes "may not".
    pub(super) fn require_tenant(&self, what: &str) -> Result<(), Unanswered> {
        self.answers.reach.require_tenant(what)
    }

    /// The body's object; an absent one is empty.
    pub(super) fn object(&self) -> Result<&'c Map<String, Value>, Unanswered> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        match self.body {
            Body::Json(Value::Object(object)) => Ok(object),
            Body::Json(Value::Null) => Ok(&NONE),
            _ => Err(Unanswered::invalid("the body has to be a JSON object")),
        }
    }

    /// A field of the body, null where it is absent.
    pub(super) fn field(&self, name: &str) -> &'c Value {
        match self.body {
            Body::Json(value) => value.get(name).unwrap_or(&Value::Null),
            Body::File { .. } | Body::Text { .. } => &Value::Null,
        }
    }

    /// A text of the body or, where that has none, of the query.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.field(name).as_str().map(str::to_owned).or_else(|| self.query.get(name).cloned())
    }

    /// A text of the body that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<String, Unanswered> {
        let found = self.text(name).filter(|text| !text.is_empty());
        found.ok_or_else(|| Unanswered::invalid(&format!("`{name}` is missing")))
    }

    /// A flag of the body or the query: a boolean, or a word for one.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.field(name) {
            Value::Bool(flag) => *flag,
            Value::String(word) => is_true(word),
            _ => self.query.get(name).is_some_and(|word| is_true(word)),
        }
    }

    /// The answer to what the resource does not know.
    pub(super) fn unknown<T>(&self, resource: &str) -> Result<T, Unanswered> {
        let path = [&[resource], self.path].concat().join("/");
        Err(Unanswered {
            reason: "NOT_FOUND",
            status: 404,
            error_code: "not_found_error",
            message: format!(
                "this manager does not answer {} /{path} to an operation: it was not found",
                self.method
            ),
        })
    }
}

// === impl Query ===

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(split.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// Returns the first value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&String> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns all values of a key: any of them is meant.
    pub(super) fn all<'q>(&'q self, key: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, key: &str) -> bool {
        self.get(key).is_some_and(|word| is_true(word))
    }

    /// Returns a number, if it is one.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.get(key)?.parse().ok()
    }

    /// Returns the keys that name a field, which begin with no underscore.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with('_'))
    }
}

// === impl Body ===

impl Body {
    /// Takes a body that came with the request.
    pub(super) fn inline(text: String, content_type: String) -> Result<Self, Unanswered> {
        if text.is_empty() {
            return Ok(Self::Json(Value::Null));
        }
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Self::Json(value)),
            Err(_) if !matches!(content_type.as_str(), "" | "application/json") => {
                Ok(Self::Text { text, content_type })
            }
            Err(error) => Err(Unanswered::invalid(&format!("the body is no JSON: {error}"))),
        }
    }

    /// Takes a body that was put before: JSON where it is that, since stock clients call every
    /// body so.
    pub(super) async fn put(path: Utf8PathBuf, content_type: String) -> Self {
        let size = fs_err::tokio::metadata(&path).await.map(|found| found.len());
        if size.is_ok_and(|size| size <= LONGEST_JSON)
            && let Ok(bytes) = fs_err::tokio::read(&path).await
            && let Ok(value @ Value::Object(_)) = serde_json::from_slice(&bytes)
        {
            return Self::Json(value);
        }
        Self::File { path, content_type }
    }
}

fn is_true(word: &str) -> bool {
    matches!(word, "true" | "True" | "1" | "yes")
}

/// Decodes a part of a query (`application/x-www-form-urlencoded`).
fn decoded(text: &str) -> String {
    percent_decoded(&text.replace('+', " "))
}

/// Undoes percent-encoding; what is none stays.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte =
            code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_a_key_may_come_again() {
        let query = Query::parse("id=a%20b+c&id=d&x=%zz&y&_size=7&_all=True");
        assert_eq!(query.all("id").collect::<Vec<_>>(), ["a b c", "d"]);
        assert_eq!(query.get("x").map(String::as_str), Some("%zz"));
        assert_eq!(
            (query.number("_size"), query.is("_all"), query.is("y")),
            (Some(7), true, false)
        );
        assert_eq!(query.fields().collect::<Vec<_>>(), ["id", "id", "x", "y"]);
    }

    #[test]
    fn a_body_that_is_called_json_has_to_be_that() {
        let inline = |text: &str, kind: &str| Body::inline(text.to_owned(), kind.to_owned());
        assert!(matches!(inline("", ""), Ok(Body::Json(Value::Null))));
        assert!(matches!(inline("{}", "text/plain"), Ok(Body::Json(_))));
        assert!(matches!(inline("--x", "multipart/form-data; boundary=x"), Ok(Body::Text { .. })));
        assert_eq!(inline("{", "application/json").unwrap_err().error_code, "bad_parameters_error");
    }
}

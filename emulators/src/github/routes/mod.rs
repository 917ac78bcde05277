//! The REST routes: who may call, what the body says, and the answer in GitHub's shapes.
//!
//! Each file answers one family and gives `None` for what it does not know. What nobody knows is
//! a 404 that names the route, and is remembered.

mod app;
mod checks;
mod comments;
mod contents;
mod deployments;
mod issues;
mod labels;
mod pulls;
mod refs;
mod repository;
mod reviews;

use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{Answer, Handled, Refusal};
use super::auth::{Caller, Level};
use super::graphql;
use super::model::Time;
use super::state::State;

/// A list shows so many when nobody asks for more.
const PAGE: usize = 30;
/// And never more than this.
const PAGE_LIMIT: usize = 100;

/// One API request, read.
pub(crate) struct Call<'state> {
    pub state: &'state mut State,
    pub caller: Caller,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Value,
}

/// Answers a request.
pub(crate) fn answer(
    state: &mut State,
    parts: &Parts,
    query: Vec<(String, String)>,
    body: Value,
) -> Answer {
    handle(state, parts, query, body).unwrap_or_else(Refusal::answer)
}

fn handle(state: &mut State, parts: &Parts, query: Vec<(String, String)>, body: Value) -> Handled {
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if header("user-agent").is_none_or(str::is_empty) {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Err(Refusal::new(403, message));
    }
    let caller = state.caller(header("authorization"))?;
    if let Some(mut refusal) = state.faults.limit(parts.method.as_str()) {
        let reset = (state.now().timestamp() + 60).to_string();
        refusal.headers.push(("x-ratelimit-reset".to_owned(), reset));
        return Err(refusal);
    }
    let path = parts.uri.path().to_owned();
    state.note_use(&caller, &path);
    let mut call = Call { state, caller, path: path.clone(), query, body };
    let decoded: Vec<String> =
        path.trim_matches('/').split('/').map(|segment| decode(segment, false)).collect();
    let segments: Vec<&str> = decoded.iter().map(String::as_str).collect();
    dispatch(&mut call, parts.method.as_str(), &segments)
}

type Family = fn(&mut Call<'_>, &str, &[&str]) -> Option<Handled>;

const FAMILIES: &[Family] = &[
    app::route,
    repository::route,
    issues::route,
    comments::route,
    labels::route,
    pulls::route,
    reviews::route,
    checks::route,
    deployments::route,
    refs::route,
    contents::route,
];

fn dispatch(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Handled {
    if (method, segments) == ("POST", &["graphql"]) {
        return graphql::answer(call);
    }
    for family in FAMILIES {
        if let Some(handled) = family(call, method, segments) {
            return handled;
        }
    }
    let route = format!("{method} {}", call.path);
    let refusal = Refusal::new(404, format!("the stand-in does not know the route {route}"));
    call.state.unknown_routes.push(route);
    Err(refusal)
}

impl Call<'_> {
    /// The repository, if the caller may do this with any of the permissions.
    pub(crate) fn reach(
        &self,
        repository: (&str, &str),
        permissions: &[&str],
        level: Level,
    ) -> Result<u64, Refusal> {
        self.state.reach(&self.caller, repository, permissions, level)
    }

    /// A query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The time a list is to begin at.
    pub(crate) fn since(&self) -> Option<Time> {
        self.parameter("since").and_then(|text| text.parse().ok())
    }

    /// A text of the body; 422 when it is something else than text or null.
    pub(crate) fn text(&self, field: &str) -> Result<Option<String>, Refusal> {
        match &self.body[field] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            other => Err(Refusal::new(
                422,
                format!("Invalid request.\n\nFor '{field}', {other} is not a string."),
            )),
        }
    }

    /// A text the body must have.
    pub(crate) fn required(&self, resource: &str, field: &str) -> Result<String, Refusal> {
        self.text(field)?.ok_or_else(|| Refusal::field(resource, field, "missing_field"))
    }

    /// The account of the App's bot, whose doing every write is.
    pub(crate) fn bot(&self) -> u64 {
        self.state.bot()
    }

    /// One page of a list with `Link` to the others.
    pub(crate) fn page(&self, items: Vec<Value>) -> Answer {
        let (shown, link) = self.slice(items);
        let mut answer = Answer::ok(Value::Array(shown));
        answer.headers.extend(link);
        answer
    }

    /// One page of a counted list: `{total_count, <name>: […]}`.
    pub(crate) fn counted_page(&self, name: &str, items: Vec<Value>) -> Answer {
        let total = items.len();
        let (shown, link) = self.slice(items);
        let mut answer = Answer::ok(json!({ "total_count": total, name: shown }));
        answer.headers.extend(link);
        answer
    }

    /// How many a page shows.
    pub(crate) fn page_size(&self) -> usize {
        let asked = self.parameter("per_page").and_then(|text| text.parse().ok());
        asked.unwrap_or(PAGE).clamp(1, PAGE_LIMIT)
    }

    fn slice(&self, items: Vec<Value>) -> (Vec<Value>, Option<(String, String)>) {
        let size = self.page_size();
        let page = self.parameter("page").and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
            links.push(self.link(1, "first"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
            links.push(self.link(last, "last"));
        }
        let shown = items.into_iter().skip((page - 1) * size).take(size).collect();
        let header = (!links.is_empty()).then(|| ("link".to_owned(), links.join(", ")));
        (shown, header)
    }

    fn link(&self, page: usize, relation: &str) -> String {
        self.link_with("page", &page.to_string(), relation)
    }

    /// A `Link` to this address with one parameter changed.
    pub(crate) fn link_with(&self, name: &str, value: &str, relation: &str) -> String {
        let mut query: Vec<String> = self
            .query
            .iter()
            .filter(|(known, _)| known != name)
            .map(|(known, value)| format!("{known}={}", encode(value)))
            .collect();
        query.push(format!("{name}={}", encode(value)));
        format!("<{}{}?{}>; rel=\"{relation}\"", self.state.api_url, self.path, query.join("&"))
    }
}

/// Reads a query string.
pub(crate) fn read_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name, true), decode(value, true)))
        .collect()
}

/// Undoes percent encoding; in queries `+` is a space.
fn decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if plus_is_space && *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(byte);
    text.bytes()
        .map(
            |byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") },
        )
        .collect()
}

/// A number in a path; what is none names nothing.
pub(crate) fn number(segment: &str) -> Result<u64, Refusal> {
    segment.parse().map_err(|_| Refusal::not_found())
}

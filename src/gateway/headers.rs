//! Which headers pass, in each direction: only those that are listed.

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::pool::Credential;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The API's clients obey it: without it a 401 is tried ten more times.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// What the agent's program says that the API may know. Not `accept-encoding`: the answer is read
/// on its way, so it has to be plain.
const TO_THE_API: [HeaderName; 10] = [
    ACCEPT,
    CONTENT_TYPE,
    USER_AGENT,
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("x-app"),
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("x-stainless-retry-count"),
    HeaderName::from_static("originator"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("thread-id"),
];

/// What the API says that the agent's program may know.
const TO_THE_AGENT: [HeaderName; 6] = [
    CONTENT_TYPE,
    RETRY_AFTER,
    HeaderName::from_static("retry-after-ms"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    SHOULD_RETRY,
];

/// The limits that the APIs tell with every answer.
const LIMITS: [&str; 2] = ["anthropic-ratelimit-", "x-ratelimit-"];

/// Beta features that are not passed on as the agent names them: what they offer is refused, has another
/// price, or is named by the gateway itself where it lets the tool through.
const REFUSED_BETAS: [&str; 9] = [
    "files-api",
    "mcp-client",
    "code-execution",
    "web-fetch",
    "web-search",
    "skills",
    "context-1m",
    "fast-mode",
    "oauth",
];

/// What Anthropic wants named beside a token of a subscription.
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// The token that a request carries.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(API_KEY) {
        return key.to_str().ok();
    }
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The headers of the request that goes to the API: the agent's own ones that are listed, the real credential,
/// and the beta feature that what passed in the body needs.
pub(super) fn to_the_api(
    from_agent: &HeaderMap,
    credential: &Credential,
    beta: Option<&'static str>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in TO_THE_API {
        if let Some(value) = from_agent.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let betas = from_agent.get_all(BETA).iter().filter_map(|value| value.to_str().ok());
    let asked = betas.flat_map(|value| value.split(',')).map(str::trim);
    let demanded = matches!(credential, Credential::OAuth(_)).then_some(OAUTH_BETA);
    let kept: Vec<&str> = asked.filter(|beta| passes(beta)).chain(demanded).chain(beta).collect();
    if let Ok(value) = HeaderValue::from_str(&kept.join(","))
        && !kept.is_empty()
    {
        headers.insert(BETA, value);
    }
    let (name, value) = credential_header(credential);
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers
}

fn passes(beta: &str) -> bool {
    !beta.is_empty() && !REFUSED_BETAS.iter().any(|refused| beta.starts_with(refused))
}

fn credential_header(credential: &Credential) -> (HeaderName, String) {
    match credential {
        Credential::ApiKey(key) => (API_KEY, key.expose_secret().to_owned()),
        Credential::Bearer(token) | Credential::OAuth(token) => {
            (AUTHORIZATION, format!("Bearer {}", token.expose_secret()))
        }
    }
}

/// The headers of the answer that goes to the agent.
pub(super) fn to_the_agent(from_api: &HeaderMap, credential: &Credential) -> HeaderMap {
    let secret = credential.secret().expose_secret().as_bytes();
    let mut headers = HeaderMap::new();
    for (name, value) in from_api {
        let is_limit = LIMITS.iter().any(|limit| name.as_str().starts_with(limit));
        let listed = is_limit || TO_THE_AGENT.contains(name);
        if listed && !contains(value.as_bytes(), secret) {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers
}

/// Takes the credential out of an error's body, should the API repeat it there.
pub(super) fn without_credential(body: &[u8], credential: &Credential) -> Vec<u8> {
    let secret = credential.secret().expose_secret();
    if secret.is_empty() || !contains(body, secret.as_bytes()) {
        return body.to_vec();
    }
    String::from_utf8_lossy(body).replace(secret, "[redacted]").into_bytes()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn only_listed_headers_go_out_and_the_agents_token_does_not() {
        let from_agent = map(&[
            ("x-api-key", "agent-token"),
            ("authorization", "Bearer agent-token"),
            ("cookie", "x"),
            ("host", "x"),
            ("accept-encoding", "gzip"),
            ("x-forwarded-for", "x"),
            ("anthropic-version", "2023-06-01"),
        ]);
        let out = to_the_api(&from_agent, &Credential::Bearer("real".into()), None);
        let expected =
            map(&[("anthropic-version", "2023-06-01"), ("authorization", "Bearer real")]);
        assert_eq!(out, expected);
    }

    #[test]
    fn betas_that_open_a_way_out_are_dropped() {
        let from_agent = map(&[(
            "anthropic-beta",
            "claude-code-20250219, mcp-client-2025-04-04,context-1m-2025-08-07,effort-2025-11-24",
        )]);
        let out = to_the_api(&from_agent, &Credential::ApiKey("real".into()), None);
        assert_eq!(out[BETA], "claude-code-20250219,effort-2025-11-24");
        let fetching = Some(super::super::web::FETCH_BETA);
        let out = to_the_api(&from_agent, &Credential::ApiKey("real".into()), fetching);
        let betas = "claude-code-20250219,effort-2025-11-24,web-fetch-2025-09-10";
        assert_eq!(out[BETA], betas);
    }

    #[test]
    fn the_token_of_a_subscription_goes_out_with_the_beta_that_it_needs() {
        let from_agent = map(&[("anthropic-beta", "effort-2025-11-24,oauth-2099-01-01")]);
        let out = to_the_api(&from_agent, &Credential::OAuth("real".into()), None);
        let betas = "effort-2025-11-24,oauth-2025-04-20";
        assert_eq!(out, map(&[("anthropic-beta", betas), ("authorization", "Bearer real")]));
    }

    #[test]
    fn a_header_that_repeats_the_key_is_kept_back() {
        let from_api = map(&[
            ("request-id", "req_real-key"),
            ("retry-after", "7"),
            ("set-cookie", "x"),
            ("anthropic-organization-id", "x"),
            ("anthropic-ratelimit-unified-reset", "1"),
        ]);
        let to_agent = to_the_agent(&from_api, &Credential::ApiKey("real-key".into()));
        let expected = map(&[("retry-after", "7"), ("anthropic-ratelimit-unified-reset", "1")]);
        assert_eq!(to_agent, expected);
    }

    #[test]
    fn the_token_is_read_from_either_header() {
        assert_eq!(token(&map(&[("x-api-key", "a")])), Some("a"));
        assert_eq!(token(&map(&[("authorization", "Bearer b")])), Some("b"));
        assert_eq!(token(&map(&[("authorization", "Basic b")])), None);
        assert_eq!(token(&HeaderMap::new()), None);
    }
}

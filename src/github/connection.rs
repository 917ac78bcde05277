//! One HTTP exchange with GitHub, by way of octocrab: no credential of its own, no repetition.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use serde_json::Value;

use super::GitHubError;

/// No answer that Baton asks for is larger: a delivery's payload has at most 25 MB.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
/// Renamed repositories answer with one redirection, transferred ones with two.
const REDIRECTIONS: usize = 3;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Where GraphQL is asked.
pub(super) const GRAPHQL: &str = "/graphql";

/// The way to one GitHub.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    octocrab: Octocrab,
    base: Uri,
}

/// One request; `path` begins with `/` and is below the base URL.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
}

/// One answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Connection {
    /// Prepares the way; sends nothing. Has to be called inside a tokio runtime.
    ///
    /// Proxies and certificates are those of the environment (`HTTPS_PROXY`, `SSL_CERT_FILE`).
    ///
    /// # Errors
    /// `Settings` when the base URL or the user agent is none.
    pub(super) fn new(
        base_url: &str,
        timeout: Duration,
        user_agent: &str,
    ) -> Result<Self, GitHubError> {
        let settings = |message| GitHubError::Settings { message };
        let base = base_url.trim_end_matches('/').parse::<Uri>().ok().filter(is_absolute);
        let base = base.ok_or_else(|| {
            settings(format!("GITHUB_API_URL is no URL of the form https://host/: {base_url:?}"))
        })?;
        let agent = HeaderValue::from_str(user_agent)
            .map_err(|_| settings(format!("{user_agent:?} cannot be sent as a user agent")))?;
        let mut headers = HeaderMap::from_iter([(USER_AGENT, agent)]);
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        let mut carrier = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .default_headers(headers);
        if is_this_machine(&base) {
            carrier = carrier.no_proxy();
        }
        let carrier = carrier
            .build()
            .map_err(|error| settings(format!("no HTTPS client can be made: {error}")))?;
        // Only the carrier below and no layer above: octocrab's own retry repeats POSTs blindly.
        let octocrab = OctocrabBuilder::new_empty()
            .with_service(ReqwestConnector::new(carrier))
            .with_auth(AuthState::None)
            .build()
            .unwrap_or_else(|never| match never {});
        Ok(Self { octocrab, base })
    }

    /// The base URL.
    pub(super) fn base(&self) -> &Uri {
        &self.base
    }

    /// The path below the base URL of an address that GitHub gave; its host counts for nothing.
    pub(super) fn below_base(&self, address: &str) -> Option<String> {
        let uri: Uri = address.parse().ok()?;
        let path = uri.path_and_query()?.as_str();
        path.strip_prefix(self.base.path().trim_end_matches('/')).map(str::to_owned)
    }

    /// The absolute address of a path below the base URL.
    fn address(&self, path: &str) -> Result<Uri, GitHubError> {
        let below = self.base.path().trim_end_matches('/');
        // GitHub Enterprise Server has GraphQL beside `/api/v3`, not below it.
        let below = if path == GRAPHQL { below.trim_end_matches("/v3") } else { below };
        self.on_host(&format!("{below}{path}"))
    }

    /// The absolute address of a path from the host's root.
    fn on_host(&self, path: &str) -> Result<Uri, GitHubError> {
        let mut parts = self.base.clone().into_parts();
        let unusable = || GitHubError::Settings { message: format!("{path:?} is no path") };
        parts.path_and_query = Some(path.parse().map_err(|_| unusable())?);
        Uri::from_parts(parts).map_err(|_| unusable())
    }

    /// Sends a request once, following redirections that stay on the host.
    ///
    /// # Errors
    /// `Retry` when no answer came, `Refused` when GitHub sends Baton to another host.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, GitHubError> {
        let mut uri = self.address(&request.path)?;
        for _ in 0..=REDIRECTIONS {
            let answer = self.once(request, &uri, authorization).await?;
            let Some(location) = redirection(&answer) else { return Ok(answer) };
            uri = self.followed(&uri, &location)?;
        }
        Err(refused_redirection("GitHub redirects in a circle"))
    }

    async fn once(
        &self,
        request: &Request,
        uri: &Uri,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, GitHubError> {
        let mut builder = http::Request::builder().method(request.method.clone()).uri(uri);
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let failed = |error: octocrab::Error| super::error::unreachable(reason(&error));
        let sent = self.octocrab.build_request(builder, request.body.as_ref()).map_err(failed)?;
        let (parts, body) = self.octocrab.send(sent).await.map_err(failed)?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| super::error::unreachable(error.to_string()))?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    /// Where a redirection leads; the credential must not leave the host.
    fn followed(&self, from: &Uri, location: &str) -> Result<Uri, GitHubError> {
        let to: Uri = location
            .parse()
            .map_err(|_| refused_redirection("GitHub redirects to something that is no URL"))?;
        match to.authority() {
            None => self.on_host(location),
            Some(host) if Some(host) == from.authority() && to.scheme() == from.scheme() => Ok(to),
            Some(host) => Err(refused_redirection(&format!("GitHub redirects to {host}"))),
        }
    }
}

fn is_absolute(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some()
}

/// A proxy of the environment cannot reach this machine's own addresses.
fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn redirection(answer: &Answer) -> Option<String> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    answer.headers.get(LOCATION)?.to_str().ok().map(str::to_owned)
}

fn refused_redirection(message: &str) -> GitHubError {
    GitHubError::Refused { status: 301, message: message.to_owned() }
}

/// The innermost cause, which alone says what happened.
fn reason(error: &octocrab::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

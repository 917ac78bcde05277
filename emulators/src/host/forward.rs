//! Hands requests on to the running release.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Where the releases are, from outside.
pub(super) const PREFIX: &str = "/service";

/// Headers that are about one connection only (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [header::HeaderName; 5] =
    [header::CONNECTION, header::TE, header::TRAILER, header::TRANSFER_ENCODING, header::UPGRADE];

/// Forwards requests.
#[derive(Debug, Clone)]
pub(super) struct Forwarder {
    client: Client<HttpConnector, Body>,
}

impl Forwarder {
    /// A forwarder without connections.
    pub(super) fn new() -> Self {
        // Connections are not kept: the release behind an address changes.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { client }
    }

    /// Asks `target` what was asked below [`PREFIX`]; the error says why there is no answer.
    pub(super) async fn forward(
        &self,
        mut request: Request,
        target: SocketAddr,
    ) -> Result<Response, String> {
        *request.uri_mut() = below_prefix(request.uri(), target)?;
        strip(request.headers_mut());
        request.headers_mut().remove(header::HOST);
        let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
        let mut answer = answer.map(Body::new);
        strip(answer.headers_mut());
        Ok(answer)
    }
}

/// The same path and query at the target, without the prefix.
fn below_prefix(asked: &Uri, target: SocketAddr) -> Result<Uri, String> {
    let path = asked.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = path.strip_prefix(PREFIX).unwrap_or(path);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(target.to_string())
        .path_and_query(path)
        .build()
        .map_err(|error| error.to_string())
}

fn strip(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

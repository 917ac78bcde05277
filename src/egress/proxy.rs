//! One connection of a run: a tunnel to a host (`CONNECT`), or a plain request for one.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

use super::{address::is_public, exit::Shared, package};
use crate::model::{Blocked, Fetch};

/// How long a host may take to be reached.
const CONNECT: Duration = Duration::from_secs(20);

/// Headers that are about one connection (RFC 9110, 7.6.1), or about the proxy.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Body = BoxBody<Bytes, hyper::Error>;

/// A tunnel that was granted: what the connection becomes, and the host at its other end.
type Granted = Mutex<Option<(OnUpgrade, TcpStream)>>;

/// Serves one connection to its end, and the tunnel that it may become.
pub(super) async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let granted = Arc::new(Granted::default());
    let service = service_fn(|request| {
        let (shared, granted) = (Arc::clone(&shared), Arc::clone(&granted));
        async move { Ok::<_, Infallible>(answer(request, &shared, &granted).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection to an exit ended early");
    }
    let tunnel = granted.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((upgrade, mut host)) = tunnel
        && let Ok(upgraded) = upgrade.await
    {
        // Either side may break off at any time.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut host).await;
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared, granted: &Granted) -> Response<Body> {
    let is_tunnel = request.method() == Method::CONNECT;
    let Some((host, port)) = target(request.uri(), is_tunnel) else {
        return said(
            StatusCode::BAD_REQUEST,
            "Baton's egress proxy takes CONNECT, and plain requests for http:// addresses",
        );
    };
    let package = (!is_tunnel).then(|| package::named(request.uri().path())).flatten();
    let fetch = Fetch { host, port, package, blocked: None };
    let stream = match reach(&fetch, shared).await {
        Ok(stream) => stream,
        Err(Unreached::Blocked(blocked)) => return refused(fetch, blocked, shared),
        Err(Unreached::Failed(error)) => {
            let what = format!("{} cannot be reached from the server: {error}", fetch.named());
            return said(StatusCode::BAD_GATEWAY, &what);
        }
    };
    shared.note(fetch);
    if !is_tunnel {
        return forward(request, stream).await;
    }
    let tunnel = (hyper::upgrade::on(request), stream);
    *granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    Response::new(empty())
}

/// Where a request wants to go.
fn target(uri: &Uri, is_tunnel: bool) -> Option<(String, u16)> {
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let port = match (is_tunnel, uri.scheme_str()) {
        (true, _) => authority.port_u16()?,
        (false, Some("http")) => authority.port_u16().unwrap_or(80),
        (false, Some(_) | None) => return None,
    };
    Some((host, port))
}

/// Why there is no connection.
enum Unreached {
    Blocked(Blocked),
    Failed(io::Error),
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Connects to a host that may be reached. The address that was judged is the one that is used: a name
/// that leads elsewhere a moment later gains nothing.
async fn reach(fetch: &Fetch, shared: &Shared) -> Result<TcpStream, Unreached> {
    let set = shared.allowance.judge(&fetch.host, fetch.port).map_err(Unreached::Blocked)?;
    let addresses = match set {
        Some(address) => vec![SocketAddr::new(address, fetch.port)],
        None => public(&fetch.host, fetch.port).await?,
    };
    let connecting = TcpStream::connect(addresses.as_slice());
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stream = timeout(CONNECT, connecting).await.map_err(late)??;
    // Small writes of a handshake would otherwise wait for each other.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of a name. One that is not public spoils all of them.
async fn public(host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreached> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let found = timeout(CONNECT, lookup_host((host, port))).await.map_err(late)??;
    let found: Vec<SocketAddr> = found.collect();
    let inner: Option<IpAddr> =
        found.iter().map(SocketAddr::ip).find(|address| !is_public(*address));
    inner.map_or(Ok(found), |address| Err(Unreached::Blocked(Blocked::Address(address))))
}

/// Says what would allow it, in the answer that the tool shows, and writes it down.
fn refused(fetch: Fetch, blocked: Blocked, shared: &Shared) -> Response<Body> {
    let named = fetch.named();
    let what = format!("{named} is not allowed here; {}", blocked.remedy(&named));
    tracing::info!(host = named, "an exit let a host not through");
    shared.note(Fetch { blocked: Some(blocked), ..fetch });
    said(StatusCode::FORBIDDEN, &what)
}

/// Hands a plain request on, and its answer back. Nothing is sent but questions: a registry's data is
/// read, never written.
async fn forward(request: Request<Incoming>, stream: TcpStream) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let what = "Baton's egress proxy reads over plain HTTP, and writes nothing";
        return said(StatusCode::METHOD_NOT_ALLOWED, what);
    }
    match asked(request, stream).await {
        Ok(response) => response,
        Err(error) => said(StatusCode::BAD_GATEWAY, &format!("the host broke off: {error}")),
    }
}

async fn asked(
    mut request: Request<Incoming>,
    stream: TcpStream,
) -> Result<Response<Body>, hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // Its error is the request's too.
        let _ = connection.await;
    });
    // The name that was judged is the name that the host hears.
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse().unwrap_or_default();
    strip(request.headers_mut());
    if let Some(host) = host.and_then(|host| HeaderValue::from_str(&host).ok()) {
        request.headers_mut().insert(header::HOST, host);
    }
    let mut response = sender.send_request(request).await?;
    strip(response.headers_mut());
    Ok(response.map(BodyExt::boxed))
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn said(status: StatusCode, what: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format!("Baton: {what}\n")));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}

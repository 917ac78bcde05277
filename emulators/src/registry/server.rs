//! The routes of the three registries.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use super::package::{NAME, VERSION, integrity, krate, sha256, tarball, wheel, wheel_name};
use crate::listener::Listener;

/// A running registry; dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    listener: Listener,
    asked: Asked,
}

/// The paths that were asked for, in order.
type Asked = Arc<Mutex<Vec<String>>>;

impl Registry {
    /// Starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> io::Result<Self> {
        let asked = Asked::default();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&asked));
        let listener = Listener::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await?;
        Ok(Self { listener, asked })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// The paths that were asked for so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a `Cargo.lock` has as the crate's checksum.
    #[must_use]
    pub fn checksum(&self) -> String {
        sha256(&krate())
    }

    /// What a `package-lock.json` has as the tarball's integrity.
    #[must_use]
    pub fn integrity(&self) -> String {
        integrity(&tarball())
    }

    /// Ends it; connections break off.
    pub async fn shutdown(self) {
        self.listener.shutdown().await;
    }
}

async fn serve(State(asked): State<Asked>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let download = format!("/crates/{NAME}/{VERSION}/download");
    let archive = format!("/npm/{NAME}/-/{NAME}-{VERSION}.tgz");
    let packed = format!("/packages/{}", wheel_name());
    match path.as_str() {
        "/crates/index/config.json" => {
            let dl = format!("http://{host}/crates/{{crate}}/{{version}}/download");
            Json(json!({ "dl": dl })).into_response()
        }
        "/crates/index/ba/to/baton-pad" => index_line().into_response(),
        "/npm/baton-pad" => Json(packument(host)).into_response(),
        "/simple/baton-pad/" => Html(simple_page()).into_response(),
        path if path == download => krate().into_response(),
        path if path == archive => tarball().into_response(),
        path if path == packed => wheel().into_response(),
        _ => (StatusCode::NOT_FOUND, format!("the registry has no {path}\n")).into_response(),
    }
}

/// The crate's line in the sparse index.
fn index_line() -> String {
    let line = json!({
        "name": NAME, "vers": VERSION, "deps": [], "cksum": sha256(&krate()), "features": {},
        "yanked": false,
    });
    format!("{line}\n")
}

/// What npm reads of a package.
fn packument(host: &str) -> serde_json::Value {
    let tarball_url = format!("http://{host}/npm/{NAME}/-/{NAME}-{VERSION}.tgz");
    let dist = json!({ "tarball": tarball_url, "integrity": integrity(&tarball()) });
    json!({
        "name": NAME,
        "dist-tags": { "latest": VERSION },
        "versions": {
            (VERSION): { "name": NAME, "version": VERSION, "main": "index.js", "dist": dist },
        },
    })
}

/// A project's page in the simple index (PEP 503).
fn simple_page() -> String {
    let (name, sum) = (wheel_name(), sha256(&wheel()));
    format!(
        "<!DOCTYPE html><html><body><a href=\"/packages/{name}#sha256={sum}\">{name}</a></body></html>\n"
    )
}

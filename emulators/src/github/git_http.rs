//! Git over HTTP: `git http-backend` as a CGI program over the bare repositories.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;

use super::answer::Refusal;
use super::auth::{Caller, Level};
use super::git;
use super::server::{World, response};
use super::state::State;

/// Whether a path is one of a repository's: `/owner/name.git/…`.
pub(crate) fn is_git(path: &str) -> bool {
    path.contains(".git/")
}

struct Service {
    repository: u64,
    directory: std::path::PathBuf,
    inner_path: String,
    pushes: bool,
    may_change_workflows: bool,
}

/// Answers a git request; pushes are told of as the bot's.
pub(crate) fn answer(world: &World, parts: &Parts, body: &Bytes) -> Response {
    let service = match world.change(|state| service(state, parts)) {
        Ok(service) => service,
        Err(refusal) => return refused(refusal),
    };
    let result = backend(&service, parts, body);
    if service.pushes && parts.method == http::Method::POST {
        world.change(|state| {
            let bot = state.bot();
            let changes = state.refresh_refs(service.repository).unwrap_or_default();
            if let Err(refusal) = state.after_push(service.repository, bot, &changes) {
                tracing::error!(message = %refusal.message, "failed to tell of a push");
            }
        });
    }
    result.unwrap_or_else(|error| refused(error.into()))
}

fn service(state: &mut State, parts: &Parts) -> Result<Service, Refusal> {
    let path = parts.uri.path();
    let (name, inner) = path.split_once(".git/").ok_or_else(Refusal::not_found)?;
    let (owner, name) =
        name.trim_start_matches('/').split_once('/').ok_or_else(Refusal::not_found)?;
    let query = parts.uri.query().unwrap_or_default();
    let pushes = inner == "git-receive-pack" || query.contains("service=git-receive-pack");
    let header = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    let caller = state.caller(header)?;
    state.note_use(&caller, path);
    let level = if pushes { Level::Write } else { Level::Read };
    let id = state.reach(&caller, (owner, name), &["contents"], level)?;
    let may_change_workflows = match &caller {
        Caller::Installation(token) => token.allows("workflows", Level::Write),
        Caller::App | Caller::Anonymous => false,
    };
    Ok(Service {
        repository: id,
        directory: state.repository(id)?.path.clone(),
        inner_path: inner.to_owned(),
        pushes,
        may_change_workflows,
    })
}

fn backend(service: &Service, parts: &Parts, body: &Bytes) -> std::io::Result<Response> {
    let mut command = git::command(&service.directory);
    let header = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &service.directory)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}", service.inner_path))
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "x-access-token")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("MAY_CHANGE_WORKFLOWS", if service.may_change_workflows { "1" } else { "0" });
    let ran = git::run(command, body)?;
    cgi_response(&ran.stdout)
}

/// Reads a CGI answer: headers, an empty line, the body.
fn cgi_response(output: &[u8]) -> std::io::Result<Response> {
    let malformed = || std::io::Error::other("git http-backend gave no answer");
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(malformed)?;
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or("500");
            response = response.status(code);
        } else {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(output[end + 4..].to_vec())).map_err(std::io::Error::other)
}

fn refused(refusal: Refusal) -> Response {
    let mut refusal = refusal;
    if refusal.status == 401 {
        // What makes a git client send the credentials it has.
        let challenge = ("www-authenticate".to_owned(), "Basic realm=\"GitHub\"".to_owned());
        refusal.headers.push(challenge);
    }
    response(refusal.answer())
}

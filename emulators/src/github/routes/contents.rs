//! Files and folders of a repository at a ref.

use base64::Engine;
use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::Read;
use super::super::git::{self, Entry};
use super::Call;

/// Files beyond a mebibyte come without content.
const CONTENT_LIMIT: u64 = 1024 * 1024;

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    match (method, segments) {
        ("GET", ["repos", owner, name, "contents", path @ ..]) => {
            Some(get(call, (owner, name), path.join("/").trim_matches('/')))
        }
        _ => None,
    }
}

fn get(call: &Call<'_>, repository: (&str, &str), path: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let repository = call.state.repository(id)?;
    let reference = call.parameter("ref").unwrap_or(&repository.default_branch);
    let unknown = |_| Refusal::new(404, format!("No commit found for the ref {reference}"));
    let sha = call.state.commit_of(id, reference).map_err(unknown)?;
    let found = git::entries(&repository.path, &sha, path, path.is_empty())?;
    let folder = path.is_empty() || found.first().is_some_and(|entry| entry.kind == "tree");
    if folder {
        let children = git::entries(&repository.path, &sha, path, true)?;
        let shapes: Vec<Value> =
            children.iter().map(|entry| entry_json(call, id, reference, entry)).collect();
        return Ok(Answer::ok(Value::Array(shapes)));
    }
    let entry = found.first().ok_or_else(Refusal::not_found)?;
    let mut shape = entry_json(call, id, reference, entry);
    if entry.kind == "blob" {
        add_content(&mut shape, entry, &git::blob(&repository.path, &entry.sha)?);
    }
    Ok(Answer::ok(shape))
}

fn add_content(shape: &mut Value, entry: &Entry, bytes: &[u8]) {
    let small = entry.size <= CONTENT_LIMIT;
    let content = if small {
        wrapped(&base64::engine::general_purpose::STANDARD.encode(bytes))
    } else {
        String::new()
    };
    shape["encoding"] = json!(if small { "base64" } else { "none" });
    shape["content"] = json!(content);
    if entry.mode == "120000" {
        shape["target"] = json!(String::from_utf8_lossy(bytes));
    }
}

/// GitHub breaks base64 into lines of sixty characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for line in text.as_bytes().chunks(60) {
        lines.push_str(&String::from_utf8_lossy(line));
        lines.push('\n');
    }
    lines
}

fn entry_json(call: &Call<'_>, id: u64, reference: &str, entry: &Entry) -> Value {
    let full_name = call
        .state
        .repository(id)
        .map(|repository| call.state.full_name(repository))
        .unwrap_or_default();
    let base = format!("{}/repos/{full_name}", call.state.api_url);
    let path = &entry.path;
    let url = format!("{base}/contents/{path}?ref={reference}");
    let html_url = format!("{}/ui/{full_name}/blob/{reference}/{path}", call.state.api_url);
    let git_url = format!("{base}/git/blobs/{}", entry.sha);
    let kind = match (entry.kind.as_str(), entry.mode.as_str()) {
        ("tree", _) => "dir",
        ("commit", _) => "submodule",
        (_, "120000") => "symlink",
        _ => "file",
    };
    json!({
        "type": kind,
        "name": path.rsplit('/').next(),
        "path": path,
        "sha": entry.sha,
        "size": entry.size,
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": if kind == "dir" { Value::Null } else { json!(html_url) },
        "_links": { "self": url, "git": git_url, "html": html_url },
    })
}

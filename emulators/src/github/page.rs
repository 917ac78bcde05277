//! A page to look at what is there. It shows and never changes.

use std::fmt::Write;

use axum::body::Body;
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;

use super::json::time;
use super::markdown::{escape, rendered};
use super::model::{Issue, Repository};
use super::routes::read_query;
use super::server::World;
use super::state::State;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;\
padding:0 1rem;color:#1f2328}pre{white-space:pre-wrap;background:#f6f8fa;padding:.7rem;\
border-radius:6px}code{font:13px/1.45 ui-monospace,monospace;background:#f0f2f4;padding:.1em .3em;\
border-radius:4px}pre code{background:none;padding:0}a{color:#0969da;text-decoration:none}\
.label{background:#ddf4ff;border-radius:1rem;padding:0 .5rem;font-size:12px}\
.said{border:1px solid #d1d9e0;border-radius:8px;margin:1rem 0;overflow:hidden}\
.said>p{margin:0;padding:.5rem 1rem;background:#f6f8fa;border-bottom:1px solid #d1d9e0}\
.said>div{padding:.2rem 1rem}.said h3{margin:.8rem 0 .4rem}.folded{opacity:.65}\
small,sub{color:#59636e}sub{vertical-align:baseline;font-size:13px}td{padding:.1rem .8rem .1rem 0}";

/// Where a browser keeps the page's token.
const KEPT: &str = "page-token";

/// Answers `/ui`, `/ui/OWNER/NAME` and `/ui/OWNER/NAME/(issues|pull)/NUMBER`, to who brings the token:
/// in the query the first time, then as a cookie.
pub(crate) fn answer(world: &World, parts: &Parts) -> Response {
    let token = &world.page_token;
    let query = read_query(parts.uri.query().unwrap_or_default());
    let brought = query.iter().any(|(name, value)| name == "token" && value == token);
    if !brought && !keeps(parts, token) {
        let body = "<p>This page opens with the token in the address that was printed.</p>";
        return html(401, body, None);
    }
    let (status, body) = match found(world, parts.uri.path()) {
        Some(body) => (200, body),
        None => (404, "<p>There is no such thing. <a href=\"/ui\">All repositories</a></p>".into()),
    };
    html(status, &body, brought.then_some(token))
}

/// Whether the browser brings the token back.
fn keeps(parts: &Parts, token: &str) -> bool {
    let cookies = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|line| line.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.any(|(name, value)| name == KEPT && value == token)
}

fn found(world: &World, path: &str) -> Option<String> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    world.look(|state| match segments.as_slice() {
        [owner, name, "issues" | "pull", number, ..] => {
            let repository = state.repositories.get(&state.repository_id(owner, name)?)?;
            let issue = repository.issues.get(&number.parse().ok()?)?;
            Some(issue_page(state, repository, issue))
        }
        [owner, name, ..] => {
            let id = state.repository_id(owner, name)?;
            Some(repository_page(state, state.repositories.get(&id)?))
        }
        _ => Some(front_page(state)),
    })
}

fn html(status: u16, body: &str, token: Option<&String>) -> Response {
    let html = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>GitHub stand-in</title>\
         <style>{STYLE}</style>{body}"
    );
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "text/html; charset=utf-8")
        .header("referrer-policy", "no-referrer")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    if let Some(token) = token {
        let kept = format!("{KEPT}={token}; Path=/ui; HttpOnly; SameSite=Strict");
        response = response.header(SET_COOKIE, kept);
    }
    response.body(Body::from(html)).unwrap_or_else(|_| Response::new(Body::empty()))
}

fn front_page(state: &State) -> String {
    let mut html = "<h1>Repositories</h1><ul>".to_owned();
    for repository in state.repositories.values() {
        let name = escape(&state.full_name(repository));
        add(&mut html, &format!("<li><a href=\"/ui/{name}\">{name}</a></li>"));
    }
    html + "</ul>"
}

fn add(html: &mut String, text: &str) {
    // Writing to a String cannot fail.
    write!(html, "{text}").ok();
}

fn repository_page(state: &State, repository: &Repository) -> String {
    let name = escape(&state.full_name(repository));
    let mut html = format!("<p><a href=\"/ui\">All repositories</a></p><h1>{name}</h1>");
    for (title, pulls) in [("Issues", false), ("Pull requests", true)] {
        add(&mut html, &format!("<h2>{title}</h2><ul>"));
        for issue in repository.issues.values().rev().filter(|i| i.pull.is_some() == pulls) {
            let kind = if pulls { "pull" } else { "issues" };
            let number = issue.number;
            let line = format!(
                "<li><a href=\"/ui/{name}/{kind}/{number}\">#{number} {}</a> <small>{}</small> {}</li>",
                escape(&issue.title),
                word(issue),
                labels(issue)
            );
            add(&mut html, &line);
        }
        html.push_str("</ul>");
    }
    html.push_str("<h2>Deployments</h2><table>");
    for deployment in repository.deployments.iter().rev() {
        let status = deployment.statuses.last().map_or("pending", |status| &status.state);
        let row = format!(
            "<tr><td>{}<td><code>{}</code><td>{}</tr>",
            escape(&deployment.environment),
            &deployment.sha[..deployment.sha.len().min(7)],
            escape(status)
        );
        add(&mut html, &row);
    }
    html + "</table>"
}

fn word(issue: &Issue) -> &'static str {
    match &issue.pull {
        Some(pull) if pull.merged.is_some() => "merged",
        Some(pull) if pull.draft && issue.is_open() => "draft",
        _ => issue.state(),
    }
}

fn labels(issue: &Issue) -> String {
    let spans = issue.labels.iter();
    spans.map(|label| format!("<span class=\"label\">{}</span> ", escape(label))).collect()
}

fn issue_page(state: &State, repository: &Repository, issue: &Issue) -> String {
    let name = escape(&state.full_name(repository));
    let mut html = format!(
        "<p><a href=\"/ui/{name}\">{name}</a></p><h1>{} <small>#{}</small></h1><p>{} {}</p>",
        escape(&issue.title),
        issue.number,
        word(issue),
        labels(issue)
    );
    html.push_str(&said(state, issue.author, &time(issue.created_at), &issue.body));
    for comment in &issue.comments {
        let mut when = time(comment.created_at);
        when.extend(comment.minimized.as_ref().map(|reason| format!(" · hidden as {reason}")));
        when.extend(comment.reactions.iter().map(|known| format!(" · {}", known.content)));
        html.push_str(&said(state, comment.author, &when, &comment.body));
    }
    html.push_str(&pull_part(state, repository, issue));
    html
}

fn said(state: &State, author: u64, when: &str, body: &str) -> String {
    block(state.login(author), when, body)
}

/// One thing that was said, under who said it.
fn block(who: &str, when: &str, body: &str) -> String {
    let class = if when.contains("hidden as") { "said folded" } else { "said" };
    format!(
        "<div class=\"{class}\"><p><b>{}</b> <small>{}</small></p><div>{}</div></div>",
        escape(who),
        escape(when),
        rendered(body)
    )
}

fn pull_part(state: &State, repository: &Repository, issue: &Issue) -> String {
    let Some(pull) = &issue.pull else { return String::new() };
    let mut html = format!(
        "<p><code>{}</code> into <code>{}</code> at <code>{}</code></p>",
        escape(&pull.head_branch),
        escape(&pull.base_branch),
        &pull.head_sha[..pull.head_sha.len().min(7)]
    );
    html.push_str("<h2>Reviews</h2>");
    for review in &pull.reviews {
        html.push_str(&said(state, review.author, &review.state, &review.body));
        for comment in pull.review_comments.iter().filter(|known| known.review == review.id) {
            let place = format!("{}:{}", comment.path, comment.line.unwrap_or(0));
            html.push_str(&said(state, comment.author, &place, &comment.body));
        }
    }
    html.push_str("<h2>Checks</h2>");
    for run in repository.check_runs.iter().filter(|run| run.head_sha == pull.head_sha) {
        let word = run.conclusion.as_deref().unwrap_or(&run.status);
        let title = run.title.as_deref().unwrap_or_default();
        let part = block(
            &run.name,
            &format!("{word} · {title}"),
            run.summary.as_deref().unwrap_or_default(),
        );
        add(&mut html, &part);
    }
    html
}

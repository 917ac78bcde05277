//! Limits and failures: nothing is asked that must not be, nothing is written twice.

use std::sync::{Arc, Mutex};

use baton::clock::Clock;
use baton::github::GitHubError;
use baton::model::{Environment, InstallationId, Sha};
use chrono::TimeDelta;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::stub::{Stub, identity, repository, said};

const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes.";

#[tokio::test]
async fn a_limited_installation_is_left_alone_until_the_time_that_github_named() {
    let mut limited = true;
    let stub = Stub::start(move |_| {
        if std::mem::take(&mut limited) {
            let headers = vec![("retry-after", "30".to_owned())];
            return (403, headers, json!({ "message": SECONDARY }));
        }
        said(201, json!({ "id": 5 }))
    })
    .await;
    let app = stub.app();
    let repo = app.repository(&repository(7));
    let before = stub.clock.now();
    let Err(GitHubError::Paused { until }) = repo.create_comment(3, "hello").await else {
        panic!("the limit was not met");
    };
    let wait = TimeDelta::seconds(30);
    assert!((before + wait..=stub.clock.now() + wait).contains(&until), "{until}");
    let again = repo.create_comment(3, "hello").await;
    assert_eq!(again, Err(GitHubError::Paused { until }));
    assert_eq!(stub.asked().len(), 1, "GitHub was asked in the pause");
    assert_eq!(app.take_pauses(), [(InstallationId(1), until)]);
    stub.clock.advance(TimeDelta::seconds(31));
    repo.create_comment(3, "hello").await.unwrap();
    let counts = app.counters().counts();
    assert_eq!((counts.limited, counts.succeeded, counts.minted), (1, 2, 1));
}

#[tokio::test]
async fn a_pause_of_another_replica_holds_here_too() {
    let stub = Stub::start(|_| said(201, json!({ "id": 5 }))).await;
    let app = stub.app();
    let until = stub.clock.now() + TimeDelta::minutes(3);
    app.observe_pause(InstallationId(1), until);
    let paused = app.repository(&repository(7)).create_comment(3, "hello").await;
    assert_eq!(paused, Err(GitHubError::Paused { until }));
    assert!(stub.asked().is_empty());
    assert!(app.take_pauses().is_empty(), "what was heard is told on");
}

#[tokio::test]
async fn a_failed_post_is_sent_once_and_a_failed_read_three_times() {
    let stub = Stub::start(|_| said(502, json!({ "message": "Server Error" }))).await;
    let repo = stub.repo();
    let posted = repo.create_comment(3, "hello").await.unwrap_err();
    assert!(matches!(posted, GitHubError::Retry { .. }), "{posted}");
    assert_eq!(stub.asked().len(), 1);
    let read = repo.issue(3).await.unwrap_err();
    assert!(matches!(read, GitHubError::Retry { .. }), "{read}");
    assert_eq!(stub.asked().len(), 4);
}

#[tokio::test]
async fn a_read_that_fails_once_succeeds() {
    let mut failures = 1;
    let stub = Stub::start(move |_| {
        if failures > 0 {
            failures -= 1;
            return said(503, json!({}));
        }
        said(200, json!({ "object": { "sha": "b".repeat(40) } }))
    })
    .await;
    let head = stub.repo().branch_head(&repository(7).default_branch).await.unwrap();
    assert_eq!(head.unwrap().as_str(), "b".repeat(40));
}

#[tokio::test]
async fn a_github_that_is_not_there_is_to_be_tried_again() {
    let mut stub = Stub::start(|_| said(200, json!({}))).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    stub.url = url;
    let error = stub.repo().issue(3).await.unwrap_err();
    assert!(matches!(error, GitHubError::Retry { .. }), "{error}");
}

/// Answers requests for tokens and hangs up on all others once they are read; tells their methods.
async fn hang_up(listener: TcpListener, heard: Arc<Mutex<Vec<String>>>) {
    while let Ok((mut connection, _)) = listener.accept().await {
        let heard = heard.clone();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&request).into_owned();
                // Bodies are short: they come with the head, or right after it.
                if !text.contains("\r\n\r\n") || (text.starts_with("POST") && !text.ends_with('}'))
                {
                    continue;
                }
                if !text.contains("/access_tokens") {
                    heard.lock().unwrap().push(text.split(' ').next().unwrap().to_owned());
                    return;
                }
                let body = r#"{"token":"t","expires_at":"2100-01-01T00:00:00Z"}"#;
                let head =
                    format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n", body.len());
                connection.write_all((head + body).as_bytes()).await.unwrap();
                request.clear();
            }
        });
    }
}

#[tokio::test]
async fn a_post_whose_connection_breaks_is_sent_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let server = tokio::spawn(hang_up(listener, heard.clone()));
    let app = super::emulated::app(&url, Clock::system());
    let repo = app.repository(&repository(7));
    // The connection over which the token came is used again.
    let broken = repo.create_comment(3, "hello").await.unwrap_err();
    assert!(matches!(broken, GitHubError::Retry { .. }), "{broken}");
    assert_eq!(*heard.lock().unwrap(), ["POST"]);
    repo.issue(3).await.unwrap_err();
    assert_eq!(*heard.lock().unwrap(), ["POST", "GET", "GET", "GET"]);
    assert_eq!(app.counters().counts().unreachable, 4);
    server.abort();
}

#[tokio::test]
async fn what_a_forgotten_filter_lets_through_is_not_taken_for_its_own() {
    let stub = Stub::start(|asked| {
        if let Some(said) = identity(asked) {
            return said;
        }
        let foreign = json!({ "id": 5, "login": "somebody" });
        let path = asked.path.split('?').next().unwrap();
        match path.rsplit('/').next().unwrap() {
            "issues" => said(
                200,
                json!([{ "number": 1, "state": "open", "labels": [], "title": "t",
                         "body": "<!-- mark -->", "user": foreign }]),
            ),
            "check-runs" => said(
                200,
                json!({ "check_runs": [{ "id": 1, "name": "baton / plan", "app": { "id": 5 } }] }),
            ),
            "pulls" => {
                let side = json!({ "ref": "other", "sha": "a".repeat(40), "repo": { "id": 7 } });
                said(
                    200,
                    json!([{ "number": 1, "state": "open", "head": side, "base": side,
                             "merged_at": null, "merge_commit_sha": null, "user": foreign }]),
                )
            }
            "deployments" => {
                said(200, json!([{ "id": 1, "creator": foreign, "payload": { "marker": "m" } }]))
            }
            _ => said(409, json!({ "message": "Git Repository is empty." })),
        }
    })
    .await;
    let (repo, sha) = (stub.repo(), Sha::new("a".repeat(40)).unwrap());
    assert_eq!(repo.find_issue_by_marker("<!-- mark -->").await, Ok(None));
    assert_eq!(repo.find_check(&sha, "baton / plan").await, Ok(None));
    assert_eq!(repo.find_pull(&repo, &repository(7).default_branch).await, Ok(None));
    let production = Environment::new("production").unwrap();
    assert_eq!(repo.find_deployment(&production, &sha, "m").await, Ok(None));
    assert_eq!(repo.branch_head(&repository(7).default_branch).await, Ok(None));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_but_not_to_another_host() {
    let stub = Stub::start(|asked| match asked.path.as_str() {
        "/repos/octo/tools/issues/3/comments" => {
            (307, vec![("location", "/repositories/7/issues/3/comments".to_owned())], json!({}))
        }
        "/repositories/7/issues/3/comments" => said(201, json!({ "id": 5 })),
        _ => (301, vec![("location", "http://127.0.0.2:1/".to_owned())], json!({})),
    })
    .await;
    let repo = stub.repo();
    assert_eq!(repo.create_comment(3, "hello").await.unwrap().id.0, 5);
    let followed = &stub.asked()[1];
    assert_eq!((followed.method.as_str(), &followed.body), ("POST", &json!({ "body": "hello" })));
    let away = repo.issue(4).await.unwrap_err();
    assert!(matches!(away, GitHubError::Refused { status: 301, .. }), "{away}");
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page_and_only_own_comments_count() {
    let stub = Stub::start(|asked| {
        if let Some(said) = identity(asked) {
            return said;
        }
        let comment = |id: i64, author: i64, body: &str| {
            json!({
                "id": id, "node_id": format!("IC_{id}"), "body": body,
                "user": { "id": author, "login": "x" }, "updated_at": "2026-01-01T00:00:00Z"
            })
        };
        match asked.path.contains("page=2") {
            true => said(200, json!([comment(3, 99, "<!-- mark -->")])),
            false => {
                let here = "http://elsewhere.test/repos/octo/tools/issues/3/comments?page=2";
                let link = format!("<{here}>; rel=\"next\"");
                let page = json!([comment(1, 5, "<!-- mark -->"), comment(2, 99, "other")]);
                (200, vec![("link", link)], page)
            }
        }
    })
    .await;
    let repo = stub.repo();
    let found = repo.find_comment_by_marker(3, "<!-- mark -->").await.unwrap();
    assert_eq!(found.unwrap().id.0, 3);
    let comments = repo.comments(3).await.unwrap();
    let own: Vec<_> = comments.iter().map(|comment| comment.author_is_own).collect();
    assert_eq!(own, [false, true, true]);
    assert_eq!(repo.find_comment_by_marker(3, "<!-- none -->").await.unwrap(), None);
}

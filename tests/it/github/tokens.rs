//! Tokens: one at a time, no older than good, never wider than needed.

use std::time::Duration;

use baton::clock::Clock;
use baton::github::{Access, App, GitHubError, Settings};
use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::stub::{Asked, Said, Stub, repository, said};

fn branch(_: &Asked) -> Said {
    said(200, json!({ "object": { "sha": "a".repeat(40) } }))
}

fn main_branch() -> baton::model::BranchName {
    repository(7).default_branch
}

#[tokio::test]
async fn many_callers_at_once_share_one_token() {
    let stub = Stub::start(branch).await;
    let repo = stub.repo();
    let callers: Vec<_> = (0..30)
        .map(|_| {
            let repo = repo.clone();
            tokio::spawn(async move { repo.branch_head(&main_branch()).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(stub.asked().len(), 30);
    let minted = stub.minted();
    assert_eq!(minted.len(), 1);
    assert_eq!(minted[0].path, "/app/installations/1/access_tokens");
    assert_eq!(minted[0].body, json!({ "repository_ids": [7] }));
    assert_eq!(minted[0].user_agent, "baton/test");
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_before_it_ends() {
    let stub = Stub::start(branch).await;
    let repo = stub.repo();
    repo.branch_head(&main_branch()).await.unwrap();
    stub.clock.advance(TimeDelta::minutes(54));
    repo.branch_head(&main_branch()).await.unwrap();
    assert_eq!(stub.minted().len(), 1);
    stub.clock.advance(TimeDelta::minutes(2));
    repo.branch_head(&main_branch()).await.unwrap();
    assert_eq!(stub.minted().len(), 2);
    assert_eq!(stub.asked()[2].authorization, "Bearer token-2");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_also_for_a_write() {
    let stub = Stub::start(|asked| match asked.authorization.as_str() {
        "Bearer token-1" => said(401, json!({ "message": "Bad credentials" })),
        _ => said(201, json!({ "id": 5, "node_id": "IC_5" })),
    })
    .await;
    let comment = stub.repo().create_comment(3, "hello").await.unwrap();
    assert_eq!((comment.id.0, comment.node.as_str()), (5, "IC_5"));
    let tokens: Vec<_> = stub.asked().into_iter().map(|asked| asked.authorization).collect();
    assert_eq!(tokens, ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn a_token_refused_twice_is_told_and_not_tried_for_ever() {
    let stub = Stub::start(|_| said(401, json!({ "message": "Bad credentials" }))).await;
    let refused = stub.repo().create_comment(3, "hello").await.unwrap_err();
    assert_eq!(refused, GitHubError::Unauthorized { message: "Bad credentials".into() });
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn gits_tokens_reach_one_repositorys_contents_and_no_more() {
    let stub = Stub::start(branch).await;
    let repo = stub.repo();
    let read = repo.git_token(Access::Read).await.unwrap();
    let write = repo.git_token(Access::Write).await.unwrap();
    assert_ne!(read.expose_secret(), write.expose_secret());
    let bodies: Vec<_> = stub.minted().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            json!({ "repository_ids": [7], "permissions": { "contents": "read" } }),
            json!({ "repository_ids": [7], "permissions": { "contents": "write" } }),
        ]
    );
    assert_eq!(repo.git_url(), format!("{}/octo/tools.git", stub.url));
    assert!(!format!("{repo:?}").contains("token-"), "a secret would be printed");
}

#[tokio::test]
async fn a_key_that_is_none_and_a_url_that_is_none_are_named() {
    let settings = |base_url: &str, key: &str| Settings {
        base_url: base_url.to_owned(),
        app_id: 4711,
        private_key_pem: SecretString::from(key),
        timeout: Duration::from_secs(10),
        user_agent: "baton/test".to_owned(),
    };
    let refusal = |settings| App::new(settings, Clock::system()).unwrap_err().to_string();
    let no_key = refusal(settings("https://api.github.com", "-----BEGIN nonsense"));
    assert!(no_key.starts_with("GITHUB_PRIVATE_KEY is no RSA private key in PEM"), "{no_key}");
    assert!(!no_key.contains("nonsense"), "{no_key}");
    let no_url = refusal(settings("api.github.com", super::stub::KEY.as_str()));
    assert!(no_url.starts_with("GITHUB_API_URL is no URL"), "{no_url}");
}

#[tokio::test]
async fn an_app_that_github_does_not_know_is_told_which_settings_to_check() {
    let message = "A JSON web token could not be decoded";
    let stub = Stub::start(move |_| said(401, json!({ "message": message }))).await;
    let refused = stub.app().identity().await.unwrap_err().to_string();
    assert!(refused.contains(message) && refused.contains("GITHUB_APP_ID"), "{refused}");
}

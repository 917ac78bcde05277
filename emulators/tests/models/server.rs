//! The Messages API as clients see it.

use emulators::models::{Answer, Content, Request, Say, Script};
use serde_json::{Value, json};

use crate::support::{KEY, anthropic, client};

fn body(stream: bool) -> Value {
    json!({
        "model": "claude-sonnet-4-5", "max_tokens": 100, "stream": stream, "system": "Be brief.",
        "messages": [{"role": "user", "content": "hello"}],
    })
}

#[tokio::test]
async fn stream_has_the_events_of_the_api_in_their_order() {
    let answer = Answer::text("Well.").and_tool("Read", json!({"file_path": "a"}));
    let model = anthropic(Script::new().step("hello", 0, answer)).await;
    let url = format!("{}/v1/messages?beta=true", model.url());
    let response =
        client().post(url).header("x-api-key", KEY).json(&body(true)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = response.text().await.unwrap();
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(data.iter().zip(&names).all(|(data, name)| data["type"] == *name));
    assert_eq!(data[5]["delta"]["partial_json"], "{\"file_path\":\"a\"}");
    assert_eq!(data[7]["delta"]["stop_reason"], "tool_use");
    assert!(data[7]["usage"]["output_tokens"].as_u64().unwrap() > 1);
    assert!(data[0]["message"]["usage"]["cache_creation_input_tokens"].is_u64());
}

#[tokio::test]
async fn plain_answer_is_one_object() {
    let model = anthropic(Say("hi".into())).await;
    let url = format!("{}/v1/messages", model.url());
    let request = client().post(url).bearer_auth(KEY).json(&body(false));
    let request = request.header("anthropic-beta", "effort-2025-11-24,oauth-2025-04-20");
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["content"], json!([{"type": "text", "text": "hi"}]));
    assert_eq!(answer["stop_reason"], "end_turn");
    let recorded = &model.requests()[0];
    assert_eq!(recorded.path, "/v1/messages");
    assert_eq!(recorded.key.as_deref(), Some(KEY));
    assert_eq!(recorded.at_order, 0);
    assert_eq!(recorded.body["system"], "Be brief.");
}

#[tokio::test]
async fn another_key_is_not_let_in() {
    let model = anthropic(Say("hi".into())).await;
    let url = format!("{}/v1/messages", model.url());
    let post = || client().post(&url);
    // The right token, but without the beta that it needs, is none either.
    for request in [post().header("x-api-key", "other"), post(), post().bearer_auth(KEY)] {
        let response = request.json(&body(false)).send().await.unwrap();
        assert_eq!(response.status(), 401);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["error"]["type"], "authentication_error");
    }
    assert_eq!(model.requests().len(), 3);
}

#[tokio::test]
async fn tokens_are_counted_and_other_routes_are_named_as_unknown() {
    let model = anthropic(Say("hi".into())).await;
    assert_eq!(client().head(model.url()).send().await.unwrap().status(), 200);
    let url = format!("{}/v1/messages/count_tokens?beta=true", model.url());
    let request = client().post(url).header("x-api-key", KEY).json(&body(false));
    let counted: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(counted["input_tokens"].as_u64().unwrap() > 5);

    for (method, path) in [(http::Method::GET, "/v1/models"), (http::Method::GET, "/v1/messages")] {
        let url = format!("{}{path}", model.url());
        let response = client().request(method.clone(), url).send().await.unwrap();
        assert_eq!(response.status(), 404);
        assert!(response.text().await.unwrap().contains(&format!("no {method} {path}")));
    }
}

#[test]
fn request_tells_user_texts_from_reminders_and_results() {
    let request = Request::parse(&json!({
        "model": "m", "system": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>"}, {"type": "text", "text": "go"}]},
            {"role": "system", "content": "three"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "1\tx"}]},
                {"type": "text", "text": "<system-reminder>y</system-reminder>"},
            ]},
        ],
    }));
    assert_eq!(request.system, "one\ntwo\nthree");
    assert_eq!(request.first_user_text().as_deref(), Some("go"));
    assert_eq!(request.last_user_text().as_deref(), Some("go"));
    let calls = request.tool_results_since_last_user_text();
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].name, calls[0].result, calls[0].is_error), ("Read", "1\tx", false));
    assert!(matches!(request.messages[0].blocks[1], Content::Text(_)));
}

//! The same gateway before OpenAI's Responses API.

use super::*;

const STREAM: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
    "event: response.output_text.delta\n",
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":",
    "{\"input_tokens\":1100,\"input_tokens_details\":{\"cached_tokens\":1000},",
    "\"output_tokens\":10}}}\n\n",
);

/// What `STREAM` costs: 100 in, 10 out, 1000 from the cache.
const STREAM_COST: Micros = Micros(300 + 150 + 300);

pub(super) fn body() -> Value {
    json!({
        "model": "gpt-5.5", "input": "hello", "stream": true, "store": false,
        "max_output_tokens": 10_000,
    })
}

pub(super) async fn ask(house: &House, token: &str, body: &Value) -> Got {
    let request = http::Request::builder()
        .method(Method::POST)
        .uri("/v1/responses")
        .header("host", "gateway")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("x-codex-turn-metadata", "{\"workspaces\":{}}")
        .body(Full::new(body.to_string().into()))
        .unwrap();
    house.send(request).await
}

/// The code and the message of a refusal in the API's form.
fn refusal(got: &Got) -> (String, String) {
    let error: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(error["error"]["type"], "invalid_request_error", "{error}");
    let text = |field: &str| error["error"][field].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}

#[tokio::test]
async fn an_answer_of_openai_comes_through_byte_for_byte_and_its_usage_is_written_down() {
    let house = house(Script::Text(STREAM.to_owned())).await;
    let got = ask(&house, TOKEN, &body()).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    let usage = house.usage();
    let tokens = TokenUsage { input: 100, output: 10, cache_read: 1000, cache_write: 0 };
    assert_eq!((usage.len(), usage[0].tokens, usage[0].cost), (1, tokens, STREAM_COST));
    assert!(usage[0].complete);
    let seen = house.upstream.seen.lock().unwrap();
    let (target, headers, sent) = &seen[0];
    assert_eq!((target.as_str(), sent.as_ref()), ("/v1/responses", body().to_string().as_bytes()));
    assert_eq!(headers["authorization"], format!("Bearer {OPENAI_KEY}"));
    let shown = format!("{headers:?}");
    for kept_back in [TOKEN, REAL_KEY, "x-codex-turn-metadata"] {
        assert!(!shown.contains(kept_back), "{shown}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_is_given_one_that_the_budget_has_room_for() {
    let house = house(Script::Text(STREAM.to_owned())).await;
    let mut endless = body();
    endless.as_object_mut().unwrap().remove("max_output_tokens");
    let got = ask(&house, TOKEN, &endless).await;
    assert_eq!(got.status, StatusCode::OK);
    let seen = house.upstream.seen.lock().unwrap();
    let sent: Value = serde_json::from_slice(&seen[0].2).unwrap();
    // A dollar pays for no more than 66,666 tokens at $15 a million.
    let length = sent["max_output_tokens"].as_u64().unwrap();
    assert!((60_000..66_666).contains(&length), "{length}");
}

#[tokio::test]
async fn whatever_openais_side_would_run_fetch_or_keep_is_refused_and_reaches_nobody() {
    let house = house(Script::Text(STREAM.to_owned())).await;
    let tool = |kind: &str| json!([{"type": kind}]);
    let part = |part: Value| json!([{"type": "message", "role": "user", "content": [part]}]);
    let image = json!({"type": "input_image", "image_url": "https://example.test/a.png"});
    let file = json!({"type": "input_file", "file_url": "https://example.test/a.pdf"});
    let stored = json!({"type": "input_file", "file_id": "file-1"});
    let cases = [
        ("tools", tool("web_search"), "web_search"),
        ("tools", tool("file_search"), "file_search"),
        ("tools", tool("code_interpreter"), "code_interpreter"),
        ("tools", tool("computer_use"), "computer_use"),
        ("tools", tool("computer_use_preview"), "computer_use_preview"),
        ("tools", tool("mcp"), "mcp"),
        ("tools", tool("image_generation"), "image_generation"),
        ("tools", tool("shell"), "shell"),
        ("tools", tool("tool_search"), "tool_search"),
        ("tool_choice", json!({"type": "web_search"}), "web_search"),
        ("background", json!(true), "background"),
        ("previous_response_id", json!("resp_1"), "previous_response_id"),
        ("conversation", json!("conv_1"), "conversation"),
        ("prompt", json!({"id": "pmpt_1"}), "prompt"),
        ("service_tier", json!("priority"), "service_tier"),
        ("store", json!(true), "store"),
        ("include", json!(["file_search_call.results"]), "file_search_call.results"),
        ("input", part(image), "image_url"),
        ("input", part(file), "file_url"),
        ("input", part(stored), "file_id"),
        ("input", json!([{"type": "item_reference", "id": "x"}]), "item_reference"),
        ("model", json!("gpt-dear"), "gpt-dear"),
        ("model", json!("unpriced"), "unpriced"),
    ];
    for (field, value, named) in cases {
        let mut body = body();
        body[field] = value;
        let got = ask(&house, TOKEN, &body).await;
        // The only status after which Codex does not ask again.
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "{field} {named}");
        let (_, words) = refusal(&got);
        assert!(words.contains(named), "{words}");
    }
    assert_eq!(house.requests_that_came_through(), 0);
    assert!(house.usage().is_empty());
}

#[tokio::test]
async fn codex_is_told_at_once_when_there_is_nothing_more_for_it() {
    let house = house(Script::Text(STREAM.to_owned())).await;
    let cases = [
        ("broke", "insufficient_quota", BUDGET_SPENT),
        ("ended", "invalid_api_key", "ended"),
        ("nobody", "invalid_api_key", "no agent has this token"),
    ];
    for (token, code, words) in cases {
        let got = ask(&house, token, &body()).await;
        let (told, message) = refusal(&got);
        assert_eq!((got.status, told.as_str()), (StatusCode::BAD_REQUEST, code));
        assert!(message.contains(words), "{message}");
    }
    for path in ["/v1/responses/compact", "/v1/responses/resp_1", "/v1/responses?x=1"] {
        let got = house.send(request(Method::POST, path, TOKEN, body().to_string())).await;
        assert_eq!(
            (got.status, refusal(&got).0.as_str()),
            (StatusCode::BAD_REQUEST, "not_let_through")
        );
    }
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn an_api_without_a_credential_is_refused_by_the_name_of_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        socket: folder.path().join("gateway.sock"),
        mode: 0o600,
        anthropic: None,
        openai: None,
        prices: Prices::published(),
        proxy: None,
    };
    let gateway = Gateway::start(settings, Arc::new(books()), Clock::system()).unwrap();
    for (path, variable) in
        [("/v1/responses", "OPENAI_API_KEY"), ("/v1/messages", "ANTHROPIC_API_KEY")]
    {
        let mut sender = connect(gateway.socket()).await;
        let response = sender.send_request(request(Method::POST, path, TOKEN, "{}")).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains(variable), "{body}");
    }
    gateway.stop().await;
}

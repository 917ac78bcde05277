//! What the gateway does not let through, and how it says so.

use super::*;

#[tokio::test]
async fn a_token_of_nobody_is_unauthorized_and_is_not_tried_again() {
    let house = house(Script::Stream).await;
    let got = house.ask("wrong", &message()).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
    assert_eq!(got.error().0, "authentication_error");
    assert_eq!(got.headers["x-should-retry"], "false");
    let real = house.ask(REAL_KEY, &message()).await;
    assert_eq!(real.status, StatusCode::UNAUTHORIZED);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn whatever_is_not_listed_is_refused_by_name_and_reaches_nobody() {
    let house = house(Script::Stream).await;
    let image = json!({"type": "image", "source": {"type": "url", "url": "http://example.test"}});
    let cases = [
        ("mcp_servers", json!([{"type": "url"}]), "mcp_servers"),
        ("container", json!("c"), "container"),
        ("tools", json!([{"type": "web_search_20250305", "name": "w"}]), "web_search_20250305"),
        ("tools", json!([{"type": "code_execution_20250825"}]), "code_execution_20250825"),
        ("messages", json!([{"role": "user", "content": [image]}]), "url"),
        ("model", json!("claude-opus-4-8"), "claude-opus-4-8"),
        ("model", json!("unpriced"), "unpriced"),
    ];
    for (field, value, named) in cases {
        let mut body = message();
        body[field] = value;
        let got = house.ask(TOKEN, &body).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{field}");
        let (kind, words) = got.error();
        assert_eq!(kind, "permission_error");
        assert!(words.contains(named), "{words}");
    }
    let ended = house.ask("ended", &message()).await;
    assert_eq!(ended.status, StatusCode::FORBIDDEN);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn other_paths_methods_and_queries_are_refused() {
    let house = house(Script::Stream).await;
    let cases = [
        (Method::GET, "/v1/messages"),
        (Method::POST, "/v1/files"),
        (Method::POST, "/v1/messages/batches"),
        (Method::GET, "/v1/models"),
        (Method::POST, "//v1/messages"),
        (Method::POST, "/v1/messages/../files"),
        (Method::POST, "/v1/messages?beta=true&x=1"),
        (Method::GET, "/"),
    ];
    for (method, path) in cases {
        let got = house.send(request(method, path, TOKEN, message().to_string())).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(got.error().0, "permission_error");
    }
    let alive = house.send(request(Method::HEAD, "/", "", "")).await;
    assert_eq!(alive.status, StatusCode::OK);
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_checked_is_refused() {
    let house = house(Script::Stream).await;
    let path = "/v1/messages";
    let garbage = house.send(request(Method::POST, path, TOKEN, "{")).await;
    assert_eq!(garbage.status, StatusCode::BAD_REQUEST);
    assert_eq!(garbage.error().0, "invalid_request_error");
    let large = house.send(request(Method::POST, path, TOKEN, vec![b' '; (32 << 20) + 1])).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.error().0, "request_too_large");
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn a_request_that_does_not_say_how_long_its_answer_may_be_is_refused() {
    let house = house(Script::Stream).await;
    let mut body = message();
    body.as_object_mut().unwrap().remove("max_tokens");
    let got = house.ask(TOKEN, &body).await;
    assert_eq!(
        (got.status, got.error().0.as_str()),
        (StatusCode::BAD_REQUEST, "invalid_request_error")
    );
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn counting_tokens_is_free_and_still_checked() {
    let house = house(Script::Stream).await;
    let path = "/v1/messages/count_tokens?beta=true";
    let got = house.send(request(Method::POST, path, TOKEN, message().to_string())).await;
    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(house.usage(), []);
    let body = r#"{"model":"claude-sonnet-4-5","container":"x"}"#;
    let refused = house.send(request(Method::POST, path, TOKEN, body)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(house.requests_that_came_through(), 1);
}

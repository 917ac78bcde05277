//! What the gateway does when the API has too little: quota, an empty account, a busy provider.

use super::*;

/// A refusal of the API for want of quota, for so many seconds.
pub(super) fn no_quota(seconds: &str) -> Script {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", seconds.parse().unwrap());
    headers.insert("anthropic-ratelimit-unified-reset", "1".parse().unwrap());
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
    Script::Status(StatusCode::TOO_MANY_REQUESTS, headers, body.to_owned())
}

#[tokio::test]
async fn a_short_limit_of_the_api_passes_through_and_is_waited_for() {
    let house = house(no_quota("7")).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(got.error(), ("rate_limit_error".to_owned(), "slow down".to_owned()));
    assert_eq!(got.headers["retry-after"], "7");
    assert_eq!(got.headers["anthropic-ratelimit-unified-reset"], "1");
    assert!(got.headers.get("x-should-retry").is_none());
    assert_eq!(house.cost(), [Micros::ZERO]);
    // Whoever asks too soon is told here, and the API is left alone.
    let again = house.ask(TOKEN, &message()).await;
    assert_eq!((again.status, again.error().0.as_str()), (got.status, "rate_limit_error"));
    assert!(again.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 7);
    assert!(again.headers.get("x-should-retry").is_none());
    assert_eq!(house.requests_that_came_through(), 1);
    let known = house.gateway().quota_back()();
    let limited = house.gateway().limited()(AgentId(7));
    let expected = Limited::Quota { until: known, shortage: Shortage::Quota };
    assert_eq!(limited, Some(expected));
}

#[tokio::test]
async fn a_long_limit_of_the_api_is_not_waited_for() {
    let house = house(no_quota("3600")).await;
    for _ in 0..2 {
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!(got.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(got.headers["x-should-retry"], "false");
    }
    assert_eq!(house.requests_that_came_through(), 1);
    let back = house.gateway().quota_back()() - Clock::system().now();
    assert!((3_500..=3_600).contains(&back.num_seconds()), "{back}");
}

#[tokio::test]
async fn what_one_credential_gets_too_little_for_is_asked_with_the_next() {
    let (first, second) = (Credential::ApiKey("first".into()), Credential::OAuth("second".into()));
    let script = Script::OnlyFor("second", Box::new(no_quota("600")));
    let house = house_of(script, books(), None, vec![first.clone(), second]).await;
    for _ in 0..2 {
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    }
    let seen = house.upstream.seen.lock().unwrap();
    let keys = seen.iter().map(|(_, headers, _)| {
        let key = headers.get("x-api-key").or(headers.get("authorization")).unwrap();
        key.to_str().unwrap().to_owned()
    });
    assert_eq!(keys.collect::<Vec<_>>(), ["first", "Bearer second", "Bearer second"]);
    assert_eq!(house.gateway().limited()(AgentId(7)), None);
    let resting = house.books.resting.lock().unwrap().clone();
    assert_eq!(resting, [(first.name(), "quota".to_owned())]);
    drop(seen);
    assert_eq!(house.cost(), [STREAM_COST, STREAM_COST]);
}

#[tokio::test]
async fn an_empty_account_and_a_busy_provider_are_told_apart() {
    let empty = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#;
    let cases = [
        (StatusCode::BAD_REQUEST, empty, Shortage::Credit, Some("false")),
        (StatusCode::from_u16(529).unwrap(), "{}", Shortage::Overloaded, None),
    ];
    for (status, body, why, retried) in cases {
        let house = house(Script::Status(status, HeaderMap::new(), body.to_owned())).await;
        let got = house.ask(TOKEN, &message()).await;
        assert_eq!((got.status, got.body.as_str()), (status, body));
        assert_eq!(got.headers.get("x-should-retry").map(|it| it.to_str().unwrap()), retried);
        let limited = house.gateway().limited()(AgentId(7));
        assert!(matches!(limited, Some(Limited::Quota { shortage, .. }) if shortage == why));
        assert_eq!(house.books.resting.lock().unwrap().len(), usize::from(why == Shortage::Credit));
    }
}

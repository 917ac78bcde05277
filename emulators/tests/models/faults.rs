//! Each fault, with streams and without.

use std::time::{Duration, Instant};

use emulators::models::{Anthropic, Fault, Hang, Say};
use serde_json::{Value, json};

use crate::support::{KEY, anthropic, client};

fn ask(model: &Anthropic, stream: bool) -> reqwest::RequestBuilder {
    let body =
        json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]});
    client().post(format!("{}/v1/messages", model.url())).header("x-api-key", KEY).json(&body)
}

#[tokio::test]
async fn status_is_told_with_its_retry_time_and_then_it_is_over() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(1, Fault::rate_limited(7));
    model.faults().next(2, Fault::status(529));
    let limited = ask(&model, true).send().await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    for _ in 0..2 {
        let overloaded = ask(&model, true).send().await.unwrap();
        assert_eq!(overloaded.status(), 529);
        let answer: Value = overloaded.json().await.unwrap();
        assert_eq!(answer["error"]["type"], "overloaded_error");
    }
    assert_eq!(ask(&model, true).send().await.unwrap().status(), 200);
    assert_eq!(model.faults().left(), 0);
}

#[tokio::test]
async fn cut_stream_breaks_after_the_events_it_was_given() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(2, Fault::CutAfter(2));
    let mut response = ask(&model, true).send().await.unwrap();
    let mut seen = Vec::new();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => seen.extend(chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert!(!ended, "the connection should break");
    assert_eq!(String::from_utf8(seen).unwrap().matches("event: ").count(), 2);
    assert!(ask(&model, false).send().await.unwrap().bytes().await.is_err());
}

#[tokio::test]
async fn garbage_is_neither_events_nor_json() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(2, Fault::Garbage);
    assert!(!ask(&model, true).send().await.unwrap().text().await.unwrap().contains("event: "));
    assert!(ask(&model, false).send().await.unwrap().json::<Value>().await.is_err());
}

#[tokio::test]
async fn delay_comes_before_the_first_byte() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(1, Fault::Delay(Duration::from_millis(80)));
    let begun = Instant::now();
    assert_eq!(ask(&model, false).send().await.unwrap().status(), 200);
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn stalled_answers_never_end_until_the_server_does() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(2, Fault::Stall);
    let mut stream = ask(&model, true).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().unwrap().starts_with(b"event: message_start"));
    let silent = tokio::time::timeout(Duration::from_millis(100), stream.chunk()).await;
    assert!(silent.is_err());
    let plain = tokio::time::timeout(Duration::from_millis(100), ask(&model, false).send()).await;
    assert!(plain.is_err());
    model.shutdown().await;
    assert!(stream.chunk().await.is_err());
}

#[tokio::test]
async fn hanging_brain_gives_no_byte_and_shutdown_does_not_wait_for_it() {
    let model = anthropic(Hang).await;
    let silent = tokio::time::timeout(Duration::from_millis(100), ask(&model, true).send()).await;
    assert!(silent.is_err());
    model.shutdown().await;
}

#[tokio::test]
async fn cleared_faults_do_not_happen() {
    let model = anthropic(Say("hi".into())).await;
    model.faults().next(3, Fault::status(500));
    model.faults().clear();
    assert_eq!(ask(&model, true).send().await.unwrap().status(), 200);
}

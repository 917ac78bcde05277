//! How requests end when one of the two sides, or the books, goes away.

use super::*;

#[tokio::test]
async fn an_agent_that_hangs_up_ends_the_request_and_still_pays() {
    let (dropped, mut hung_up) = mpsc::unbounded_channel();
    let mut house = house(Script::Hang(half(), dropped)).await;
    let connection = house.begin().await;
    assert!(hung_up.try_recv().is_err());
    drop(connection);
    patiently(hung_up.recv()).await.unwrap();
    patiently(house.gateway.take().unwrap().stop()).await;
    let usage = house.usage();
    assert_eq!((usage.len(), usage[0].tokens.input, usage[0].complete), (1, 100, false));
}

#[tokio::test]
async fn usage_is_settled_before_the_last_event_is_passed_on() {
    let (dropped, _hung_up) = mpsc::unbounded_channel();
    let house = house(Script::Hang(STREAM, dropped)).await;
    let _open = house.begin().await;
    assert_eq!(house.cost(), [STREAM_COST]);
}

#[tokio::test]
async fn stopping_ends_what_hangs_writes_its_usage_down_and_takes_the_socket_away() {
    let (dropped, mut hung_up) = mpsc::unbounded_channel();
    let mut house = house(Script::Hang(half(), dropped)).await;
    let _connection = house.begin().await;
    patiently(house.gateway.take().unwrap().stop()).await;
    patiently(hung_up.recv()).await.unwrap();
    assert_eq!(house.usage().len(), 1);
    assert!(!house.folder.path().join("gateway.sock").exists());
}

#[tokio::test]
async fn an_api_out_of_reach_is_told_and_costs_nothing() {
    let nobody = "http://127.0.0.1:9".to_owned();
    let house = house_with(Script::Stream, books(), Some(nobody)).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::BAD_GATEWAY);
    assert_eq!(got.error().0, "api_error");
    assert_eq!(house.cost(), [Micros::ZERO]);
}

#[tokio::test]
async fn books_out_of_reach_let_nothing_through() {
    let books = Books { broken: true, ..books() };
    let house = house_with(Script::Stream, books, None).await;
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(got.headers.get("x-should-retry").is_none());
    assert_eq!(house.requests_that_came_through(), 0);
}

#[tokio::test]
async fn the_socket_of_a_dead_process_is_replaced_and_a_file_is_not() {
    let house = house(Script::Stream).await;
    let path = house.folder.path().join("gateway.sock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o666);
    let settings = |socket| Settings {
        socket,
        mode: 0o600,
        anthropic: Some(Api {
            base_url: "http://127.0.0.1:9".to_owned(),
            credentials: vec![Credential::Bearer("x".into())],
            resting: Vec::new(),
            web: WebTools::default(),
        }),
        openai: None,
        prices: Prices::default(),
        proxy: None,
    };
    let agents = Arc::new(books());
    let second = Gateway::start(settings(path.clone()), agents, Clock::system()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    second.stop().await;
    let file = house.folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let agents = Arc::new(books());
    assert!(Gateway::start(settings(file.clone()), agents, Clock::system()).is_err());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
}

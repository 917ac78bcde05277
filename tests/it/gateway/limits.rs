//! What an agent may spend and ask for, before the model hears of it.

use super::*;

#[tokio::test]
async fn a_spent_budget_refuses_the_very_next_request() {
    let house = house(Script::Stream).await;
    let (whole, left) = (worst(&message()), Micros(STREAM_COST.0 - 1));
    let limit = Micros(whole.0 + left.0);
    house.books.change(TOKEN, |grant| grant.budgets[3] = limit);
    assert_eq!(house.ask(TOKEN, &message()).await.status, StatusCode::OK);
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let (kind, words) = got.error();
    assert_eq!(kind, "billing_error");
    assert!(words.starts_with(BUDGET_SPENT), "{words}");
    assert!(words.contains("of the server's for today is left"), "{words}");
    assert_eq!(got.headers["x-should-retry"], "false");
    assert_eq!(house.requests_that_came_through(), 1);
    let left = Micros(limit.0 - STREAM_COST.0);
    let expected = Limited::Budget { scope: BudgetScope::ServerDay, left, needs: whole };
    let limited = house.gateway().limited();
    assert_eq!(limited(AgentId(7)), Some(expected));
    assert_eq!(limited(AgentId(7)), None, "it is told once");
}

#[tokio::test]
async fn an_answer_is_shortened_to_what_is_left_and_nothing_else_of_the_body_changes() {
    let house = house(Script::Stream).await;
    let sent =
        r#"{ "max_tokens" :32000,"model":"claude-sonnet-4-5","messages":[],"stream" : true}"#;
    let size = Size { bytes: sent.len() as u64, max_output: 32_000, ..Size::default() };
    let bill = Bill::new(Prices::published().of("claude-sonnet-4-5").unwrap(), size);
    house.books.change(TOKEN, |grant| grant.budgets[1] = bill.at_most(tokens(5_000)));
    let got = house.send(request(Method::POST, "/v1/messages", TOKEN, sent)).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, STREAM));
    let seen = house.upstream.seen.lock().unwrap()[0].2.clone();
    assert_eq!(seen, sent.replace("32000", "5000").as_bytes());
    // What is left now is too little for an answer that is of use.
    house.books.change(TOKEN, |grant| grant.budgets[1] = Micros(STREAM_COST.0 + 4_000));
    let got = house.send(request(Method::POST, "/v1/messages", TOKEN, sent)).await;
    assert_eq!(got.error().0, "billing_error");
}

#[tokio::test]
async fn an_agent_makes_as_many_requests_as_it_may_and_no_more() {
    let house = house(Script::Stream).await;
    house.books.change(TOKEN, |grant| grant.most_requests = 2);
    for _ in 0..2 {
        assert_eq!(house.ask(TOKEN, &message()).await.status, StatusCode::OK);
    }
    let got = house.ask(TOKEN, &message()).await;
    assert_eq!((got.status, got.error().0.as_str()), (StatusCode::FORBIDDEN, "permission_error"));
    assert!(got.error().1.contains("all 2 requests"), "{}", got.body);
    assert_eq!(got.headers["x-should-retry"], "false");
    assert_eq!(house.requests_that_came_through(), 2);
    let limited = house.gateway().limited();
    assert_eq!(limited(AgentId(7)), Some(Limited::Requests { most: 2 }));
}

#[tokio::test]
async fn requests_at_the_same_time_count_before_they_are_answered() {
    let (dropped, _hung_up) = mpsc::unbounded_channel();
    let house = house(Script::Hang(half(), dropped)).await;
    house.books.change(TOKEN, |grant| grant.budgets[0] = worst(&message()));
    let _first = house.begin().await;
    let second = house.ask(TOKEN, &message()).await;
    assert_eq!(second.error().0, "billing_error");
}

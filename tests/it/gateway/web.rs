//! Tools of the providers that the server's configuration names: who may use them, how often, and what they cost.

use baton::model::{Limits, Policy, RolePolicy, TaskInput, WebTerms};
use baton::{db, gateway::DatabaseAgents};

use super::*;

/// A search with which the model read 5,000 tokens in all, wrote 30, and searched twice.
const SEARCHED: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":",
    "{\"input_tokens\":100,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
    "\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":5000,",
    "\"output_tokens\":30,\"server_tool_use\":{\"web_search_requests\":2,\"web_fetch_requests\":0}}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// What that costs at $3 and $15 a million tokens and $10 a thousand searches: 3.545 cents.
const SEARCHED_COST: Micros = Micros(15_000 + 450 + 20_000);

/// The same of the Responses API: a search, and a page that was opened, which is no search.
const CALLED: &str = concat!(
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"item\":",
    "{\"type\":\"web_search_call\",\"id\":\"a\",\"action\":{\"type\":\"search\",\"query\":\"x\"}}}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"item\":",
    "{\"type\":\"web_search_call\",\"id\":\"b\",\"action\":{\"type\":\"open_page\"}}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":",
    "{\"input_tokens\":2000,\"output_tokens\":10}}}\n\n",
);

fn terms(price: i64, domains: &[&str]) -> WebTerms {
    WebTerms {
        price: Micros(price),
        most: 3,
        tokens: 5_000,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        live: false,
    }
}

/// Everything that can be named.
pub(super) fn named() -> Web {
    Web {
        anthropic: WebTools {
            search: Some(terms(10_000, &[])),
            fetch: Some(terms(0, &["docs.example.test"])),
        },
        openai: WebTools { search: Some(terms(10_000, &[])), fetch: None },
    }
}

/// A house of a server that names all of that, with an agent that may use it.
pub(super) async fn open_house(script: Script) -> House {
    let books = books();
    books.change(TOKEN, |grant| grant.web = true);
    let credentials = vec![Credential::ApiKey(REAL_KEY.into())];
    house_named(script, books, None, credentials, named()).await
}

/// What Claude Code 2.1.329 sends for a search.
pub(super) fn search() -> Value {
    let tool = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 8});
    let words = json!([{"role": "user", "content": [{"type": "text", "text": "x"}]}]);
    json!({
        "model": "claude-sonnet-4-5", "max_tokens": 8_000, "stream": true, "messages": words,
        "tools": [tool], "tool_choice": {"type": "tool", "name": "web_search"},
    })
}

/// A request that may read pages.
pub(super) fn fetch(domain: &str) -> Value {
    let mut body = message();
    body["tools"] = json!([
        {"type": "web_fetch_20250910", "name": "web_fetch", "allowed_domains": [domain]},
    ]);
    body
}

/// What Codex 0.169.0 sends where its search is on.
pub(super) fn call() -> Value {
    let mut body = super::openai::body();
    body["tools"] = json!([{
        "type": "web_search", "external_web_access": true, "search_content_types": ["text", "image"],
    }]);
    body
}

fn sent(house: &House, at: usize) -> Value {
    serde_json::from_slice(&house.upstream.seen.lock().unwrap()[at].2).unwrap()
}

#[tokio::test]
async fn a_search_that_is_named_passes_is_held_to_its_uses_and_costs_to_the_cent() {
    let house = open_house(Script::Text(SEARCHED.to_owned())).await;
    let got = house.ask(TOKEN, &search()).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, SEARCHED));
    let mut expected = search();
    expected["tools"][0]["max_uses"] = json!(3);
    assert_eq!(sent(&house, 0), expected, "all else is as it was");
    let tokens = TokenUsage { input: 5_000, output: 30, ..TokenUsage::default() };
    let usage = house.usage();
    assert_eq!((usage[0].tokens, usage[0].cost), (tokens, SEARCHED_COST));
    let (reservation, reserved) = house.books.reservations.lock().unwrap()[0].clone();
    assert_eq!(reserved, reservation.bill.at_most(Allowed { output: 8_000, uses: 3 }));
    assert!(reserved > SEARCHED_COST, "{reserved}");
}

#[tokio::test]
async fn where_it_is_not_named_or_the_agent_may_not_a_search_is_refused_and_noted() {
    let unnamed = house(Script::Stream).await;
    unnamed.books.change(TOKEN, |grant| grant.web = true);
    let named = open_house(Script::Stream).await;
    named.books.change(TOKEN, |grant| grant.web = false);
    for (house, words) in [(unnamed, "outside of the sandbox"), (named, "roles.ROLE.web")] {
        let got = house.ask(TOKEN, &search()).await;
        assert_eq!(
            (got.status, got.error().0.as_str()),
            (StatusCode::FORBIDDEN, "permission_error")
        );
        assert_eq!(got.headers["x-should-retry"], "false");
        assert!(got.error().1.contains(words), "{}", got.body);
        let called = super::openai::ask(&house, TOKEN, &call()).await;
        assert_eq!(called.status, StatusCode::BAD_REQUEST);
        assert!(called.body.contains(words), "{}", called.body);
        let noted: Vec<String> =
            house.gateway().refused()(AgentId(7)).into_iter().map(|barred| barred.what.0).collect();
        assert_eq!(noted, ["web_search_20250305", "web_search"]);
        assert_eq!(house.requests_that_came_through(), 0);
    }
}

#[tokio::test]
async fn a_budget_has_fewer_searches_and_where_not_one_fits_the_request_is_refused() {
    let house = open_house(Script::Text(SEARCHED.to_owned())).await;
    house.ask(TOKEN, &search()).await;
    let (Reservation { bill, .. }, _) = house.books.reservations.lock().unwrap()[0].clone();
    let left = |house: &House, left: Micros| {
        let used = house.cost().iter().copied().sum::<Micros>();
        house.books.change(TOKEN, |grant| grant.budgets[2] = used + left);
    };
    left(&house, bill.at_most(Allowed { uses: 2, ..bill.wanted() }));
    house.ask(TOKEN, &search()).await;
    assert_eq!(sent(&house, 1)["tools"][0]["max_uses"], 2);
    assert_eq!(sent(&house, 1)["max_tokens"], 8_000);
    left(&house, bill.at_most(Allowed { output: 2_000, uses: 1 }));
    house.ask(TOKEN, &search()).await;
    assert_eq!(sent(&house, 2)["tools"][0]["max_uses"], 1);
    assert_eq!(sent(&house, 2)["max_tokens"], 2_000);
    left(&house, Micros(bill.at_most(bill.least()).0 - 1));
    let got = house.ask(TOKEN, &search()).await;
    assert_eq!(got.status, StatusCode::FORBIDDEN);
    let (kind, words) = got.error();
    assert_eq!((kind.as_str(), words.contains(BUDGET_SPENT)), ("billing_error", true), "{words}");
    assert_eq!(house.requests_that_came_through(), 3);
}

#[tokio::test]
async fn a_search_whose_answer_nobody_waited_for_is_paid() {
    let (dropped, mut gone) = mpsc::unbounded_channel();
    let cut = SEARCHED.find("event: message_delta").unwrap();
    let house = open_house(Script::Hang(&SEARCHED[..cut], dropped)).await;
    let mut sender = connect(house.gateway().socket()).await;
    let post = request(Method::POST, "/v1/messages", TOKEN, search().to_string());
    let mut answer = sender.send_request(post).await.unwrap().into_body();
    answer.frame().await.unwrap().unwrap();
    drop((sender, answer));
    gone.recv().await.unwrap();
    let cost = patiently(async {
        loop {
            if let Some((_, usage)) = house.books.settled.lock().unwrap().first() {
                return usage.cost;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The search that was seen and one that may have been under way, each with all that is read again for it.
    let again = 2 * (search().to_string().len() as i64 / 3 + 5_000);
    assert_eq!(cost, Micros((100 + again) * 3 + 15 + 20_000));
}

#[tokio::test]
async fn a_page_is_read_of_the_servers_domains_alone_and_in_bounds() {
    let house = open_house(Script::Stream).await;
    let got = house.ask(TOKEN, &fetch("docs.example.test")).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let tool = &sent(&house, 0)["tools"][0];
    assert_eq!((&tool["max_uses"], &tool["max_content_tokens"]), (&json!(3), &json!(5_000)));
    let beta = house.upstream.seen.lock().unwrap()[0].1["anthropic-beta"].clone();
    assert_eq!(beta, "web-fetch-2025-09-10");
    let foreign = house.ask(TOKEN, &fetch("attacker.example.test")).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert!(foreign.error().1.contains("docs.example.test"), "{}", foreign.body);
    assert_eq!(house.requests_that_came_through(), 1);
}

#[tokio::test]
async fn a_search_of_openai_is_held_to_its_calls_and_to_the_index_and_costs_to_the_cent() {
    let house = open_house(Script::Text(CALLED.to_owned())).await;
    let got = super::openai::ask(&house, TOKEN, &call()).await;
    assert_eq!((got.status, got.body.as_str()), (StatusCode::OK, CALLED));
    let mut expected = call();
    expected["max_tool_calls"] = json!(3);
    expected["tools"][0]["external_web_access"] = json!(false);
    assert_eq!(sent(&house, 0), expected);
    assert_eq!(house.cost(), [Micros(6_000 + 150 + 10_000)]);
}

#[tokio::test]
async fn who_may_use_the_web_is_looked_up_anew_for_each_request() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let agent = super::budgets::agent(pool, 1).await;
    db::agents::set_token_hash(pool, agent, &token_hash(TOKEN)).await.unwrap();
    let may = async || {
        let books = DatabaseAgents::new(pool.clone(), Limits::default());
        books.of_token(token_hash(TOKEN)).await.unwrap().unwrap().web
    };
    let set = async |update: &'static str, value: Value| {
        sqlx::query(update).bind(value).execute(pool).await.unwrap();
    };
    let (to_policy, to_input) = ("UPDATE tasks SET policy = $1", "UPDATE tasks SET input = $1");
    assert!(!may().await, "nobody asked for it");
    let role = RolePolicy { web: true, ..RolePolicy::default() };
    let policy = |role_of| Policy { roles: [(role_of, role.clone())].into(), ..Policy::default() };
    set(to_policy, serde_json::to_value(policy(Role::Reviewer)).unwrap()).await;
    assert!(!may().await, "another role asked for it");
    set(to_policy, serde_json::to_value(policy(Role::Coding)).unwrap()).await;
    assert!(may().await);
    let input = TaskInput { outsiders: vec!["olga".to_owned()], ..TaskInput::default() };
    set(to_input, serde_json::to_value(&input).unwrap()).await;
    assert!(!may().await, "olga may not push, and has put words into the task");
}

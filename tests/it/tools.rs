//! The tool server over HTTP, on real tables: who may call what, what is kept, what is refused.

mod emitting;
mod sharing;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use baton::{
    clock::Clock,
    db::{agents, follow_ups, installations, questions, repositories, stages, task_refs, tasks},
    model::*,
    queue::Wakes,
    tools::{Tools, router},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tower::ServiceExt;
use uuid::Uuid;

use crate::support::database::TestDatabase;

const SECRET: &str = "the-servers-own-secret";

/// A task with one agent at work, and the tool server.
struct House {
    database: TestDatabase,
    router: Router,
    clock: Clock,
    task: TaskId,
}

async fn open_task(pool: &PgPool, number: u64, now: Timestamp) -> TaskId {
    let new = tasks::NewTask {
        repository: RepositoryId(1),
        origin: TaskOrigin::Issue,
        number,
        input: TaskInput::default(),
        input_hash: InputHash::new("b".repeat(64)).unwrap(),
        policy: Policy::default(),
        requested_by: None,
        pull: None,
        now,
    };
    tasks::open(&mut pool.acquire().await.unwrap(), new).await.unwrap()
}

impl House {
    async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (pool, clock) = (database.pool.clone(), Clock::system());
        let redact = Arc::new(|text: &str| text.replace(SECRET, "[redacted]"));
        let tools = Tools { pool: pool.clone(), clock: clock.clone(), wakes: Wakes::new(), redact };
        let account = Login::new("acme").unwrap();
        installations::upsert(&pool, InstallationId(2), ActorId(3), &account).await.unwrap();
        let repository = Repository {
            id: RepositoryId(1),
            installation: InstallationId(2),
            name: RepositoryName::new("acme", "files").unwrap(),
            default_branch: BranchName::new("main").unwrap(),
            private: false,
            off: false,
            policy_error: None,
        };
        repositories::upsert(&pool, &repository).await.unwrap();
        let task = open_task(&pool, 17, clock.now()).await;
        Self { database, router: router(tools), clock, task }
    }

    /// An agent of a stage, with a token of its stage's name.
    async fn agent(&self, stage: StageKey, tools: &[Tool]) -> AgentId {
        self.agent_that(stage, tools, None).await
    }

    /// The same, in the session of an earlier one where it is named.
    async fn agent_that(
        &self,
        stage: StageKey,
        tools: &[Tool],
        resumes: Option<AgentId>,
    ) -> AgentId {
        let (pool, now) = (&self.database.pool, self.clock.now());
        let blocked = StageState::Blocked;
        let stage_id = stages::save(pool, self.task, stage, &blocked, 1, None, now).await.unwrap();
        let new = agents::NewAgent {
            task: self.task,
            stage: stage_id,
            part: None,
            provider: "command".into(),
            model: "opus".into(),
            resumes,
            inputs: Inputs::default(),
            base: Sha::new("1".repeat(40)).unwrap(),
            salt: Uuid::nil(),
            now,
        };
        let id = agents::insert(&mut pool.acquire().await.unwrap(), new).await.unwrap();
        let hash: [u8; 32] = Sha256::digest(stage.name().as_bytes()).into();
        agents::set_token_hash(pool, id, &hash).await.unwrap();
        agents::set_tools(pool, id, tools).await.unwrap();
        id
    }

    async fn end(&self, agent: AgentId) {
        let ended = agents::Finished::only(End::Succeeded);
        agents::finish(&self.database.pool, agent, ended, self.clock.now()).await.unwrap();
    }

    /// What `read_messages` hands out: kind, correlation and words of each.
    async fn mail(&self, token: &str) -> Vec<(String, String, String)> {
        let told = self.call(token, "read_messages", json!({})).await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = told["messages"].as_array().unwrap().iter();
        told.map(|it| (text(&it["kind"]), text(&it["correlation"]), text(&it["body"]))).collect()
    }

    async fn send(&self, method: Method, token: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(TOOLS_PATH);
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("host", "127.0.0.1:4000");
        let request = request.header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream");
        let request = request.body(Body::from(body)).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn ask(&self, token: &str, method: &str, params: Value) -> Value {
        let message = json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params });
        let (status, answer) = self.send(Method::POST, token, message.to_string().into()).await;
        assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(5)), "{answer}");
        answer
    }

    /// Calls a tool: its words, or those of its refusal.
    async fn call(&self, token: &str, tool: &str, arguments: Value) -> Result<String, String> {
        let params = json!({ "name": tool, "arguments": arguments });
        let result = self.ask(token, "tools/call", params).await["result"].take();
        let words = result["content"][0]["text"].as_str().unwrap().to_owned();
        if result["isError"] == json!(false) { Ok(words) } else { Err(words) }
    }

    async fn questions(&self) -> Vec<Question> {
        questions::list(&self.database.pool, self.task).await.unwrap()
    }
}

fn ping() -> Vec<u8> {
    br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec()
}

#[tokio::test]
async fn only_an_agent_at_work_is_let_in() {
    let house = House::new().await;
    let agent = house.agent(StageKey::Code, &Tool::ALL).await;
    assert_eq!(house.send(Method::POST, "code", ping()).await.0, StatusCode::OK);
    for token in ["", "plan", "code "] {
        assert_eq!(house.send(Method::POST, token, ping()).await.0, StatusCode::UNAUTHORIZED);
    }
    house.end(agent).await;
    assert_eq!(house.send(Method::POST, "code", ping()).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_protocols_four_methods_are_served_and_nothing_else() {
    let house = House::new().await;
    house.agent(StageKey::Code, &Tool::ALL).await;
    let hello = json!({
        "protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": { "name": "a program", "version": "1" },
    });
    let hello = house.ask("code", "initialize", hello).await;
    assert_eq!(hello["result"]["protocolVersion"], "2025-03-26");
    assert_eq!(hello["result"]["serverInfo"]["name"], "baton");
    assert_eq!(house.ask("code", "ping", json!({})).await["result"], json!({}));
    assert_eq!(house.ask("code", "resources/list", json!({})).await["error"]["code"], -32601);
    let noted = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec();
    assert_eq!(house.send(Method::POST, "code", noted).await.0, StatusCode::ACCEPTED);
    let get = house.send(Method::GET, "code", Vec::new()).await;
    assert_eq!(get.0, StatusCode::METHOD_NOT_ALLOWED, "there is no stream");
    let large = house.send(Method::POST, "code", vec![b' '; 300 << 10]).await;
    assert_eq!(large.0, StatusCode::PAYLOAD_TOO_LARGE);
    for broken in [&b"{"[..], br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        let broken = house.send(Method::POST, "code", broken.to_vec()).await;
        assert_eq!(broken.0, StatusCode::UNSUPPORTED_MEDIA_TYPE, "it is no message");
    }
}

#[tokio::test]
async fn a_role_sees_and_calls_its_own_tools_alone() {
    let house = House::new().await;
    house.agent(StageKey::Audit, &[Tool::ReportProgress]).await;
    let listed = house.ask("audit", "tools/list", json!({})).await["result"]["tools"].take();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["report_progress"]);
    for tool in ["ask_human", "approve", ""] {
        let refused = house.call("audit", tool, json!({ "question": "May I?" })).await;
        assert!(refused.unwrap_err().contains("no such tool for your role: report_progress"));
    }
    assert!(house.questions().await.is_empty());
}

#[tokio::test]
async fn a_question_is_recorded_once_and_ends_all_calls() {
    let house = House::new().await;
    let agent = house.agent(StageKey::Code, &Tool::ALL).await;
    let asked = json!({
        "question": "Which way?", "options": ["up", "down"], "default": 2, "wait_hours": 1,
    });
    let words = house.call("code", "ask_human", asked.clone()).await.unwrap();
    assert!(words.contains("question 1") && words.contains("end your turn now"), "{words}");
    for (tool, arguments) in [("ask_human", asked), ("report_progress", json!({ "items": [] }))] {
        let refused = house.call("code", tool, arguments).await.unwrap_err();
        assert!(refused.contains("end your turn now"), "{refused}");
    }
    let [question] = house.questions().await.try_into().unwrap();
    assert_eq!((question.number, question.agent, &question.answer), (1, agent, &None));
    assert_eq!(question.options, ["up".into(), "down".into()]);
    let fallback = question.fallback.unwrap();
    let wait = fallback.at - house.clock.now();
    assert_eq!((fallback.option, wait.num_minutes()), (2, 59));
}

#[tokio::test]
async fn what_is_no_question_is_refused_in_words_that_help() {
    let house = House::new().await;
    house.agent(StageKey::Code, &Tool::ALL).await;
    let two = json!(["up", "down"]);
    let table = [
        (json!({}), "missing field `question`"),
        (json!({ "question": " " }), "the question is empty"),
        (json!({ "question": "a".repeat(2001) }), "has 2001 characters; 2000 are allowed"),
        (json!({ "question": "?", "options": ["", "b"] }), "an option is empty"),
        (json!({ "question": "?", "options": vec!["x"; 7] }), "at most 6 options"),
        (json!({ "question": "?", "options": two, "default": 3 }), "number of one of the options"),
        (json!({ "question": "?", "default": 1 }), "number of one of the options"),
        (json!({ "question": "?", "wait_hours": 5 }), "needs a default"),
        (
            json!({ "question": "?", "options": two, "default": 1, "wait_hours": 169 }),
            "from 1 to 168",
        ),
        (json!({ "question": "?", "approve": true }), "unknown field `approve`"),
    ];
    for (arguments, why) in table {
        let refused = house.call("code", "ask_human", arguments).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(house.questions().await.is_empty());
}

#[tokio::test]
async fn progress_is_kept_and_said_where_it_changed() {
    let house = House::new().await;
    let agent = house.agent(StageKey::Code, &Tool::ALL).await;
    let pool = &house.database.pool;
    let list = json!({ "items": [
        { "text": format!("read {SECRET}"), "state": "done" }, { "text": "write", "state": "doing" },
    ] });
    for _ in 0..2 {
        house.call("code", "report_progress", list.clone()).await.unwrap();
    }
    let item = |text: &str, state| TodoItem { text: text.into(), state };
    let expected = [item("read [redacted]", TodoState::Done), item("write", TodoState::Doing)];
    assert_eq!(agents::load(pool, agent).await.unwrap().agent.todo, expected);
    let say = "SELECT wanted_version FROM reports JOIN jobs ON key = 'report:' || reports.id";
    let versions: Vec<i64> = sqlx::query_scalar(say).fetch_all(pool).await.unwrap();
    assert_eq!(versions, [1], "the second list was the same");
    let many = vec![json!({ "text": "x", "state": "doing" }); 41];
    let refused = house.call("code", "report_progress", json!({ "items": many })).await;
    assert!(refused.unwrap_err().contains("at most 40"));
    // What its own program tells later without a list leaves this one alone.
    let (words, now) = (Untrusted::from("goes on"), house.clock.now());
    agents::set_progress(pool, agent, None, Some(&words), now).await.unwrap();
    assert_eq!(agents::load(pool, agent).await.unwrap().agent.todo, expected);
}

#[tokio::test]
async fn an_agent_cannot_call_without_end() {
    let house = House::new().await;
    house.agent(StageKey::Code, &Tool::ALL).await;
    sqlx::query("UPDATE agents SET tool_calls = 499").execute(&house.database.pool).await.unwrap();
    house.call("code", "report_progress", json!({ "items": [] })).await.unwrap();
    let refused = house.call("code", "report_progress", json!({ "items": [] })).await.unwrap_err();
    assert!(refused.contains("500 calls"), "{refused}");
}

#[tokio::test]
async fn a_secret_of_the_server_is_taken_out_of_what_agents_ask() {
    let house = House::new().await;
    house.agent(StageKey::Code, &Tool::ALL).await;
    let asked = json!({ "question": format!("Is it {SECRET}?"), "options": [SECRET] });
    house.call("code", "ask_human", asked).await.unwrap();
    let rows = sqlx::query_scalar::<_, String>("SELECT q::text FROM questions q");
    let rows = rows.fetch_all(&house.database.pool).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].contains(SECRET) && rows[0].contains("[redacted]"), "{}", rows[0]);
}

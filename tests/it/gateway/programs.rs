//! The real Claude Code behind the gateway.

use super::*;

/// A stream in which the model gives its outcome.
fn outcome_stream() -> String {
    let usage = json!({"input_tokens": 100, "output_tokens": 1});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    let tool =
        json!({"type": "tool_use", "id": "toolu_1", "name": "StructuredOutput", "input": {}});
    let input = json!({"type": "input_json_delta", "partial_json": "{\"ok\":true}"});
    let delta = json!({"stop_reason": "tool_use", "stop_sequence": null});
    [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": tool}),
        json!({"type": "content_block_delta", "index": 0, "delta": input}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 10}}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    .collect()
}

/// What stands between an agent's loopback and the socket.
async fn bridge(socket: std::path::PathBuf) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bridging = tokio::spawn(async move {
        while let Ok((mut agent, _)) = listener.accept().await {
            let mut gateway = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut agent, &mut gateway).await;
            });
        }
    });
    (port, bridging)
}

/// Runs the pinned Claude Code for one turn and returns everything that it told.
async fn run_claude(program: &str, house: &House, tools: &[&str]) -> Vec<AgentEvent> {
    let (port, bridging) = bridge(house.gateway().socket().to_owned()).await;
    let folder = |name: &str| {
        let path = house.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let config_dir = folder("config");
    let workdir = folder("work");
    let launch = Launch {
        role: Role::Reviewer,
        model: "claude-sonnet-4-5".to_owned(),
        effort: None,
        system: "WORDS-FOR-THE-SYSTEM".to_owned(),
        prompt: "/not-a-command go".to_owned(),
        schema: Some(json!({"type": "object", "properties": {"ok": {"type": "boolean"}}})),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        protected: baton::model::Protected::default(),
        tool_server: None,
        session: SessionId(uuid::Uuid::new_v4()),
        resume: false,
        gateway_url: format!("http://127.0.0.1:{port}"),
        token: TOKEN.into(),
        workdir: workdir.clone(),
        config_dir: config_dir.clone(),
        home: folder("home"),
        scratch: folder("scratch"),
        search_path: "/usr/bin:/bin".to_owned(),
        max_turns: Some(5),
    };
    let mut provider = ProviderKind::Claude.begin(launch);
    let command = provider.launch();
    for file in &command.files {
        std::fs::write(config_dir.join(&file.path), &file.content).unwrap();
    }
    let mut child = tokio::process::Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.clone())
        .current_dir(&workdir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for line in provider.opening() {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    let mut told = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut input = Some(input);
    while let Some(line) = lines.next_line().await.unwrap() {
        for step in provider.line(line.as_bytes()) {
            if let Step::Event(event) = step {
                if matches!(event, AgentEvent::Finished { .. }) {
                    input = None;
                }
                told.push(event);
            }
        }
    }
    drop(input);
    child.wait().await.unwrap();
    bridging.abort();
    assert!(config_dir.join(&command.session_file).is_file(), "the session is elsewhere");
    told
}

/// Notices when another version of the program behaves in another way. Run it with the program's
/// path in `BATON_TEST_CLAUDE`.
#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn the_pinned_claude_code_works_through_the_gateway() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    for tools in [&["Read", "Grep", "Glob"][..], &["Read", "Edit", "Write", "Bash"]] {
        let house = house(Script::Text(outcome_stream())).await;
        let told = run_claude(&program, &house, tools).await;
        let Some(AgentEvent::Finished { result, .. }) = told.last() else {
            panic!("no end: {told:?}");
        };
        assert_eq!(*result, Ok(Some(json!({"ok": true}))));
        let costs: Vec<&AgentEvent> =
            told.iter().filter(|event| matches!(event, AgentEvent::Cost(_))).collect();
        assert_eq!(costs, [&AgentEvent::Cost(Micros(450))]);
        assert_eq!(house.cost(), [Micros(450)]);
        let seen = house.upstream.seen.lock().unwrap();
        let body: Value = serde_json::from_slice(&seen[0].2).unwrap();
        assert!(body["system"].to_string().contains("WORDS-FOR-THE-SYSTEM"));
        assert!(body["messages"].to_string().contains("/not-a-command go"));
        let mut offered: Vec<&str> = body["tools"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        offered.retain(|name| !matches!(*name, "StructuredOutput" | "TodoWrite"));
        let mut expected = tools.to_vec();
        offered.sort_unstable();
        expected.sort_unstable();
        assert_eq!(offered, expected);
    }
}

/// How Claude Code ends at a limit, and that it does not try again by itself.
async fn claude_fails_at_once(program: &str, house: &House) -> String {
    let told = run_claude(program, house, &["Read"]).await;
    let Some(AgentEvent::Finished { result: Err(kind), .. }) = told.last() else {
        panic!("no failure: {told:?}");
    };
    assert!(!told.iter().any(|event| matches!(event, AgentEvent::Retrying { .. })), "{told:?}");
    format!("{kind:?}")
}

#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn claude_code_tells_every_limit_at_once() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    let broke = house(Script::Stream).await;
    broke.books.change(TOKEN, |grant| grant.budgets[1] = Micros(0));
    let told = claude_fails_at_once(&program, &broke).await;
    assert!(told.contains(BUDGET_SPENT), "{told}");
    let limited = broke.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Budget { scope: BudgetScope::Task, .. })));

    let used_up = house(Script::Stream).await;
    used_up.books.change(TOKEN, |grant| grant.most_requests = 0);
    let told = claude_fails_at_once(&program, &used_up).await;
    assert!(told.contains("all 0 requests"), "{told}");

    let foreign = house(Script::Stream).await;
    foreign.books.change(TOKEN, |grant| grant.models.clear());
    let told = claude_fails_at_once(&program, &foreign).await;
    assert!(told.contains("claude-sonnet-4-5"), "{told}");

    let resting = house(shortages::no_quota("3600")).await;
    claude_fails_at_once(&program, &resting).await;
    assert_eq!(resting.requests_that_came_through(), 1);
    let limited = resting.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Quota { shortage: Shortage::Quota, .. })));
}

#[tokio::test]
#[ignore = "needs Claude Code 2.1.329"]
async fn claude_code_works_with_answers_that_are_shortened() {
    let program = std::env::var("BATON_TEST_CLAUDE").unwrap();
    let house = house(Script::Text(outcome_stream())).await;
    house.books.change(TOKEN, |grant| grant.budgets[0] = Micros(400_000));
    let told = run_claude(&program, &house, &["Read"]).await;
    let Some(AgentEvent::Finished { result, .. }) = told.last() else {
        panic!("no end: {told:?}");
    };
    assert_eq!(*result, Ok(Some(json!({"ok": true}))));
    let seen = house.upstream.seen.lock().unwrap();
    let body: Value = serde_json::from_slice(&seen[0].2).unwrap();
    let (reservation, reserved) = house.books.reservations.lock().unwrap()[0].clone();
    let allowed = body["max_tokens"].as_u64().unwrap();
    assert!(allowed < reservation.bill.wanted(), "{allowed} of {}", reservation.bill.wanted());
    let thinking = body["thinking"]["budget_tokens"].as_u64().unwrap_or_default();
    assert!(thinking < allowed, "the API refuses that: {thinking} of {allowed} for thinking");
    assert_eq!(reserved, reservation.bill.at_most(allowed));
    assert!(reserved <= Micros(400_000), "{reserved}");
}

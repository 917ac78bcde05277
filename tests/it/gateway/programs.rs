//! The real programs behind the gateway, in the versions that are pinned.

use baton::provider::Talk;

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

/// Runs the pinned program of a provider for one turn and returns everything that it told.
async fn told_by(kind: ProviderKind, house: &House, tools: &[&str]) -> Vec<AgentEvent> {
    let (program, model) = match kind {
        ProviderKind::Claude => (baton::app::installed_claude(), "claude-sonnet-4-5"),
        ProviderKind::Codex => (baton::app::installed_codex(), "gpt-5.5"),
        ProviderKind::Command => unreachable!("any program will do for that"),
    };
    let program = program.expect("npm ci installs the pinned programs");
    let (port, bridging) = bridge(house.gateway().socket().to_owned()).await;
    let mut provider = kind.begin(launch(house, model, tools, port));
    let command = provider.launch();
    let config_dir = house.folder.path().join("config");
    for file in &command.files {
        let path = config_dir.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.content).unwrap();
    }
    let workdir = house.folder.path().join("work");
    // Codex works in repositories only.
    let begun = std::process::Command::new("git").args(["init", "--quiet"]).arg(&workdir).status();
    assert!(begun.unwrap().success());
    let mut child = tokio::process::Command::new(program)
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.clone())
        .current_dir(workdir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take();
    for line in provider.opening() {
        input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    if provider.talk() == Talk::OnePrompt {
        input = None;
    }
    let mut told = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
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
    if kind == ProviderKind::Claude {
        assert!(config_dir.join(&command.session_file).is_file(), "the session is elsewhere");
    }
    told
}

/// What a program is to do, with folders of its own.
fn launch(house: &House, model: &str, tools: &[&str], port: u16) -> Launch {
    let folder = |name: &str| {
        let path = house.folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    Launch {
        role: Role::Reviewer,
        model: model.to_owned(),
        effort: None,
        system: "WORDS-FOR-THE-SYSTEM".to_owned(),
        prompt: "/not-a-command go".to_owned(),
        schema: Some(json!({"type": "object", "properties": {"ok": {"type": "boolean"}}})),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        web: false,
        protected: baton::model::Protected::default(),
        tool_server: None,
        session: SessionId(uuid::Uuid::new_v4()),
        resume: false,
        gateway_url: format!("http://127.0.0.1:{port}"),
        token: TOKEN.into(),
        workdir: folder("work"),
        config_dir: folder("config"),
        home: folder("home"),
        scratch: folder("scratch"),
        search_path: "/usr/bin:/bin".to_owned(),
        max_turns: Some(5),
    }
}

/// Notices when another version of the program behaves in another way.
#[tokio::test]
async fn the_pinned_claude_code_works_through_the_gateway() {
    for tools in [&["Read", "Grep", "Glob"][..], &["Read", "Edit", "Write", "Bash"]] {
        let house = house(Script::Text(outcome_stream())).await;
        let told = told_by(ProviderKind::Claude, &house, tools).await;
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

/// How a program ends at a limit, and that it does not try again by itself.
async fn fails_at_once(kind: ProviderKind, house: &House) -> String {
    let told = told_by(kind, house, &["Read"]).await;
    let Some(AgentEvent::Finished { result: Err(why), .. }) = told.last() else {
        panic!("no failure: {told:?}");
    };
    assert!(!told.iter().any(|event| matches!(event, AgentEvent::Retrying { .. })), "{told:?}");
    format!("{why:?}")
}

/// Whatever is not let through ends the program with Baton's own words.
async fn tells_every_limit_at_once(kind: ProviderKind) {
    let broke = house(Script::Stream).await;
    broke.books.change(TOKEN, |grant| grant.budgets[1] = Micros(0));
    let told = fails_at_once(kind, &broke).await;
    assert!(told.contains(BUDGET_SPENT), "{told}");
    let limited = broke.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Budget { scope: BudgetScope::Task, .. })));

    let used_up = house(Script::Stream).await;
    used_up.books.change(TOKEN, |grant| grant.most_requests = 0);
    let told = fails_at_once(kind, &used_up).await;
    assert!(told.contains("all 0 requests"), "{told}");

    let foreign = house(Script::Stream).await;
    foreign.books.change(TOKEN, |grant| grant.models.clear());
    let told = fails_at_once(kind, &foreign).await;
    assert!(told.contains("was not granted"), "{told}");

    let resting = house(shortages::no_quota("3600")).await;
    fails_at_once(kind, &resting).await;
    assert_eq!(resting.requests_that_came_through(), 1);
    let limited = resting.gateway().limited()(AgentId(7));
    assert!(matches!(limited, Some(Limited::Quota { shortage: Shortage::Quota, .. })));
}

#[tokio::test]
async fn claude_code_tells_every_limit_at_once() {
    tells_every_limit_at_once(ProviderKind::Claude).await;
}

#[tokio::test]
async fn codex_tells_every_limit_at_once() {
    tells_every_limit_at_once(ProviderKind::Codex).await;
}

#[tokio::test]
async fn claude_code_works_with_answers_that_are_shortened() {
    let house = house(Script::Text(outcome_stream())).await;
    house.books.change(TOKEN, |grant| grant.budgets[0] = Micros(400_000));
    let told = told_by(ProviderKind::Claude, &house, &["Read"]).await;
    let Some(AgentEvent::Finished { result, .. }) = told.last() else {
        panic!("no end: {told:?}");
    };
    assert_eq!(*result, Ok(Some(json!({"ok": true}))));
    let seen = house.upstream.seen.lock().unwrap();
    let body: Value = serde_json::from_slice(&seen[0].2).unwrap();
    let (reservation, reserved) = house.books.reservations.lock().unwrap()[0].clone();
    let allowed = body["max_tokens"].as_u64().unwrap();
    let wanted = reservation.bill.wanted().output;
    assert!(allowed < wanted, "{allowed} of {wanted}");
    let thinking = body["thinking"]["budget_tokens"].as_u64().unwrap_or_default();
    assert!(thinking < allowed, "the API refuses that: {thinking} of {allowed} for thinking");
    assert_eq!(reserved, reservation.bill.at_most(tokens(allowed)));
    assert!(reserved <= Micros(400_000), "{reserved}");
}

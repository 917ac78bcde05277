//! Replays what the pinned programs printed: each recorded case has one expected end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use baton::model::{AgentEvent, FailKind, Role, SessionId};
use baton::provider::{Exit, Launch, Provider, ProviderKind, Step};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures")
}

fn index() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(folder().join("index.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn launch(schema: Option<Value>) -> Launch {
    Launch {
        role: Role::Coding,
        model: "claude-opus-5-5".to_owned(),
        effort: None,
        system: String::new(),
        prompt: "go".to_owned(),
        schema,
        tools: vec!["Bash".to_owned()],
        web: false,
        protected: baton::model::Protected::default(),
        tool_server: None,
        session: SessionId(Uuid::from_u128(1)),
        resume: false,
        gateway_url: "http://127.0.0.1:1".to_owned(),
        token: "token".into(),
        workdir: "/repo".into(),
        config_dir: "/config".into(),
        home: "/home/agent".into(),
        scratch: "/scratch".into(),
        search_path: "/usr/bin".to_owned(),
        max_turns: None,
    }
}

fn begun(kind: ProviderKind, launch: Launch) -> Box<dyn Provider> {
    let mut provider = kind.begin(launch);
    provider.opening();
    provider
}

fn claude(schema: Option<Value>) -> Box<dyn Provider> {
    begun(ProviderKind::Claude, launch(schema))
}

/// The provider as the case had it: which program, asked for which schema, in which session.
fn provider_of(case: &Value) -> Box<dyn Provider> {
    let arguments: Vec<&str> =
        case["argv"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let after = |flag| arguments.iter().position(|argument| *argument == flag).map(|at| at + 1);
    if !is_codex(case) {
        return claude(
            after("--json-schema").map(|at| serde_json::from_str(arguments[at]).unwrap()),
        );
    }
    let schema = after("--output-schema").map(|_| json!({"type": "object"}));
    let resume = arguments.contains(&"resume");
    begun(ProviderKind::Codex, Launch { resume, ..launch(schema) })
}

/// What a case came to: every end that was told, in order, and the ends themselves.
struct Replay {
    told: Vec<String>,
    last: Option<Result<Option<Value>, FailKind>>,
    /// Whether the last end was told by a `result` line rather than by the end of the process.
    by_result: bool,
}

fn replay(name: &str, case: &Value) -> Replay {
    let mut provider = provider_of(case);
    let asked = case["argv"].as_array().unwrap().contains(&json!("--output-schema"));
    let mut replay = Replay { told: Vec::new(), last: None, by_result: false };
    let output = fs::read(folder().join(format!("{name}.jsonl"))).unwrap();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let steps = provider.line(line);
        let refusal = provider.refusal();
        for step in steps {
            if let Step::Event(AgentEvent::Finished { result, .. }) = step {
                let refused = refusal.map(|refusal| format!(" [{:?}]", refusal.kind));
                replay.told.push(words(&result, asked) + &refused.unwrap_or_default());
                replay.last = Some(result);
                replay.by_result = true;
            }
        }
    }
    let exit = match i32::try_from(case["rc"].as_i64().unwrap()).unwrap() {
        code if code < 0 => Exit::Signal(-code),
        code => Exit::Code(code),
    };
    let owed = provider.ended(exit, case["stderr"].as_str().unwrap());
    if let Some(AgentEvent::Finished { result, .. }) = owed {
        replay.told.push(format!("{} (no result line)", words(&result, false)));
        replay.last = Some(result);
        replay.by_result = false;
    }
    replay
}

/// `asked`: whether an outcome was wanted that the program itself does not insist on.
fn words(result: &Result<Option<Value>, FailKind>, asked: bool) -> String {
    match result {
        Ok(None) if asked => "no outcome, so it is asked for once more".to_owned(),
        Ok(None) => "success".to_owned(),
        Ok(Some(output)) => format!("success with {output}"),
        Err(kind) => format!("{kind:?}").chars().take(160).collect(),
    }
}

fn is_codex(case: &Value) -> bool {
    case["cli"].as_str().unwrap_or_default().starts_with("codex")
}

#[test]
fn every_recorded_case_ends_as_written_down() {
    let mut table = String::new();
    for (name, case) in index() {
        let replay = replay(&name, &case);
        let rc = &case["rc"];
        writeln!(table, "{name} (rc {rc}): {}", replay.told.join(" | then ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_recorded_file_is_in_the_index() {
    let mut files: Vec<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".jsonl").map(str::to_owned))
        .collect();
    files.sort();
    let known: Vec<String> = index().into_keys().collect();
    assert_eq!(files, known);
}

/// The exit code of the program agrees with how its case is read, but for the cases in which it is
/// known to mislead.
#[test]
fn exit_codes_agree_with_the_ends_except_where_they_are_known_to_mislead() {
    for (name, case) in index() {
        let replay = replay(&name, &case);
        let ended_well = matches!(replay.last, Some(Ok(_)));
        let exit_zero = case["rc"].as_i64() == Some(0);
        // Interrupted by SIGINT, started without any prompt, or ended without the outcome that was
        // asked for: exit code 0 and still no success.
        let misleads = name.contains("sigint")
            || matches!(name.as_str(), "bi_stdin_closed_at_start" | "json_schema_text_only");
        // Its standard output was closed before the end, so the recording lacks the result.
        let cut_off = name == "claude_stdout_closed";
        let expected = exit_zero && !misleads && !cut_off;
        assert_eq!(ended_well, expected, "{name}: {:?}", replay.told);
        if !ended_well && !exit_zero && replay.by_result {
            assert_eq!(case["rc"].as_i64(), Some(1), "{name} told its failure itself");
        }
    }
}

#[test]
fn the_cost_of_a_resumed_session_is_what_it_has_cost_so_far() {
    let output = fs::read(folder().join("bi_followup.jsonl")).unwrap();
    let mut provider = claude(None);
    let mut costs = Vec::new();
    for line in output.split(|byte| *byte == b'\n') {
        for step in provider.line(line) {
            if let Step::Event(AgentEvent::Cost(cost)) = step {
                costs.push(cost.0);
            }
        }
    }
    assert_eq!(costs, [1_200, 1_800]);
}

#[test]
fn what_the_program_asks_leave_for_is_decided_by_the_roles_tools() {
    let output = fs::read(folder().join("bi_can_use_tool.jsonl")).unwrap();
    // A coder that has a shell and no other tool.
    let mut provider = claude(None);
    let (mut answers, mut denied) = (Vec::new(), Vec::new());
    for line in output.split(|byte| *byte == b'\n') {
        for step in provider.line(line) {
            match step {
                Step::Send(answer) => {
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    answers.push(answer["response"]["response"]["behavior"].clone());
                }
                Step::Event(AgentEvent::Denied { name, .. }) => denied.push(name),
                Step::Event(_) => {}
            }
        }
    }
    assert_eq!(answers, [json!("deny"), json!("allow")]);
    assert_eq!(denied, ["Write"]);
}

#[test]
fn a_broken_tool_server_is_told_at_the_start() {
    let output = fs::read_to_string(folder().join("mcp_broken.jsonl")).unwrap();
    let steps = claude(None).line(output.lines().next().unwrap().as_bytes());
    let expected = AgentEvent::Started {
        model: Some("claude-opus-5-5".to_owned()),
        broken_tools: vec!["bad".to_owned(), "hang".to_owned()],
    };
    assert_eq!(steps, [Step::Event(expected)]);
}

#[test]
fn a_line_of_ten_megabytes_is_one_event() {
    let text = "x".repeat(10 << 20);
    let line = json!({
        "type": "assistant", "message": {"content": [{"type": "text", "text": text}]},
    });
    let steps = claude(None).line(line.to_string().as_bytes());
    let [Step::Event(AgentEvent::Text(told))] = steps.as_slice() else {
        panic!("one text was expected, not {} steps", steps.len());
    };
    assert_eq!(told.0.len(), 10 << 20);
}

#[test]
fn a_truncated_line_is_no_event_and_no_end() {
    let output = fs::read(folder().join("claude_success.jsonl")).unwrap();
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        for end in [1, line.len() / 2, line.len() - 1] {
            assert_eq!(claude(None).line(&line[..end]), []);
        }
    }
}

/// Lines that look like the protocol but hold anything where a value is expected.
fn odd_lines() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let fields = prop::collection::btree_map("[a-z_]{1,10}", inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    });
    let kinds = prop::sample::select(vec![
        "system",
        "assistant",
        "user",
        "result",
        "control_request",
        "text",
        "tool",
        "tool_result",
        "progress",
        "usage",
        "thread.started",
        "item.started",
        "item.updated",
        "item.completed",
        "turn.completed",
        "turn.failed",
        "error",
    ]);
    let names = prop::sample::select(vec![
        "subtype",
        "message",
        "is_error",
        "errors",
        "total_cost_usd",
        "structured_output",
        "items",
        "model_usage_since_last_result",
        "request",
        "mcp_servers",
        "attempt",
        "result",
        "output",
        "item",
    ]);
    let fields = prop::collection::vec((names, value), 0..5);
    (kinds, fields).prop_map(|(kind, fields)| {
        let mut line = json!({"type": kind});
        for (name, value) in fields {
            line[name] = value;
        }
        line
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..400)) {
        for kind in ProviderKind::ALL {
            kind.begin(launch(None)).line(&line);
        }
    }

    #[test]
    fn odd_lines_never_panic_and_never_succeed_without_saying_so(line in odd_lines()) {
        for kind in ProviderKind::ALL {
            let mut provider = kind.begin(launch(Some(json!({}))));
            provider.opening();
            for step in provider.line(line.to_string().as_bytes()) {
                if let Step::Event(AgentEvent::Finished { result, .. }) = step {
                    let says_so = match kind {
                        ProviderKind::Codex => line["type"] == json!("turn.completed"),
                        ProviderKind::Claude | ProviderKind::Command => {
                            line["is_error"] == json!(false)
                        }
                    };
                    prop_assert!(says_so || result.is_err());
                }
            }
            provider.ended(Exit::Code(0), "");
        }
    }
}

//! The agent program by itself: its line protocol.

use emulators::models::{Answer, Hang, Say, Script};
use serde_json::json;

use crate::support::{Agent, Checkout, anthropic, eventually, prompt};

#[tokio::test]
async fn follow_up_gets_a_turn_of_its_own_with_the_whole_history() {
    let (checkout, model) = (Checkout::new(), anthropic(Say("yes".into())).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("code", "first")).await;
    assert_eq!(agent.until("result").await.last().unwrap()["text"], "yes");
    agent.send(json!({"type": "message", "text": "second"})).await;
    agent.until("result").await;
    agent.close_input();
    assert_eq!(agent.next().await, None);
    assert!(agent.child.wait().await.unwrap().success());
    assert_eq!(model.requests()[1].body["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn session_is_resumed_by_another_process() {
    let (checkout, model) = (Checkout::new(), anthropic(Say("yes".into())).await);
    for resume in [false, true] {
        let mut agent = Agent::start(&checkout, &model.url());
        let mut line = prompt("code", "go");
        line["resume"] = json!(resume);
        agent.send(line).await;
        agent.until("result").await;
    }
    assert_eq!(model.requests()[1].body["messages"].as_array().unwrap().len(), 3);

    let mut agent = Agent::start(&checkout, &model.url());
    let mut line = prompt("code", "go");
    line["resume"] = json!(true);
    line["session"] = json!("unknown");
    agent.send(line).await;
    assert_eq!(agent.until("result").await.last().unwrap()["reason"], "unknown_session");
}

#[tokio::test]
async fn interrupt_ends_a_turn_that_waits_for_the_model() {
    let (checkout, model) = (Checkout::new(), anthropic(Hang).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("code", "go")).await;
    while model.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    agent.send(json!({"type": "interrupt"})).await;
    let result = agent.until("result").await.pop().unwrap();
    assert_eq!((&result["is_error"], &result["reason"]), (&json!(true), &json!("interrupted")));
    model.shutdown().await;
}

#[tokio::test]
async fn interrupt_kills_a_command_and_the_session_goes_on() {
    let script = Script::new()
        .step("go", 0, Answer::tool("Bash", json!({"command": "sleep 300"})))
        .step("and now", 0, Answer::text("still here"));
    let (checkout, model) = (Checkout::new(), anthropic(script).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("code", "go")).await;
    agent.until("tool").await;
    agent.send(json!({"type": "interrupt"})).await;
    assert_eq!(agent.until("result").await.last().unwrap()["reason"], "interrupted");
    agent.send(json!({"type": "message", "text": "and now"})).await;
    assert_eq!(agent.until("result").await.last().unwrap()["text"], "still here");
}

#[tokio::test]
async fn tools_that_are_not_allowed_and_commands_that_fail_are_results() {
    let script = Script::new()
        .step("go", 0, Answer::tool("Bash", json!({"command": "exit 3"})))
        .step("go", 1, Answer::tool("WebFetch", json!({})))
        .step("go", 2, Answer::tool("Bash", json!({"command": "echo \"[$ANTHROPIC_API_KEY]\""})))
        .step("go", 3, Answer::text("done"));
    let (checkout, model) = (Checkout::new(), anthropic(script).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("code", "go")).await;
    let lines = agent.until("result").await;
    let outputs: Vec<_> = lines.iter().filter(|line| line["type"] == "tool_result").collect();
    assert_eq!(outputs[0]["output"], "Exit code 3\n");
    assert_eq!(outputs[1]["is_error"], true);
    assert_eq!(outputs[2]["output"], "[]\n", "commands do not see the key");
}

#[tokio::test]
async fn searching_tools_find_files_and_lines() {
    let script = Script::new()
        .step("go", 0, Answer::tool("Glob", json!({"pattern": "**/*.test.mjs"})))
        .step("go", 1, Answer::tool("Grep", json!({"pattern": "function parse"})))
        .step("go", 2, Answer::text("done"));
    let (checkout, model) = (Checkout::new(), anthropic(script).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("audit", "go")).await;
    let lines = agent.until("result").await;
    let outputs: Vec<_> = lines.iter().filter(|line| line["type"] == "tool_result").collect();
    assert_eq!(outputs[0]["output"], "test/range.test.mjs\ntest/server.test.mjs");
    assert!(outputs[1]["output"].as_str().unwrap().starts_with("src/range.mjs:10:"));
}

#[tokio::test]
async fn commands_do_not_outlive_an_agent_that_is_told_to_end() {
    let command = json!({"command": "echo $$ > shell.pid; sleep 300"});
    let script = Script::new().step("go", 0, Answer::tool("Bash", command));
    let (checkout, model) = (Checkout::new(), anthropic(script).await);
    let mut agent = Agent::start(&checkout, &model.url());
    agent.send(prompt("code", "go")).await;
    let shell = eventually(|| {
        let written = std::fs::read_to_string(checkout.path().join("shell.pid")).ok()?;
        written.ends_with('\n').then(|| written.trim().to_owned())
    })
    .await;
    let id = agent.child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    assert!(!agent.child.wait().await.unwrap().success());
    eventually(|| is_gone(&shell).then_some(())).await;
}

/// Whether no process of that id does anything any more.
fn is_gone(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.is_empty() || status.contains(") Z ")
}

//! The real Claude Code program before the crew. Set `BATON_CLAUDE` to its path; without it these tests say that they
//! are skipped.

use std::io::Write;
use std::process::Stdio;

use emulators::models::{Anthropic, Crew};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Checkout, KEY, PATIENCE, anthropic, code_prompt, listed, review_prompt};

/// Plays one role with the program; gives its structured output.
async fn play(
    program: &str,
    checkout: &Checkout,
    model: &Anthropic,
    role: &str,
    text: &str,
) -> Value {
    let (tools, allowed) = match role {
        "code" => {
            ("Read,Edit,Write,Bash,Glob,Grep", "Read Edit Write Bash Glob Grep StructuredOutput")
        }
        _ => ("Read,Grep,Glob", "Read Glob Grep StructuredOutput"),
    };
    let mut child = Command::new(program)
        .args([
            "-p",
            "--input-format",
            "stream-json",
            "--output-format",
            "stream-json",
            "--verbose",
        ])
        .args(["--setting-sources", "user", "--strict-mcp-config", "--model", "claude-sonnet-4-5"])
        .args(["--json-schema", r#"{"type":"object"}"#, "--permission-mode", "acceptEdits"])
        .args(["--tools", tools, "--allowedTools", allowed])
        .args(["--append-system-prompt", &format!("You belong to a crew.\nRole: {role}\n")])
        .current_dir(checkout.path())
        .env_clear()
        .envs(checkout.environment())
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .env("CLAUDE_CODE_TMPDIR", checkout.home())
        .env("ANTHROPIC_BASE_URL", model.url())
        .env("ANTHROPIC_API_KEY", KEY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let message = json!({"type": "user", "message": {"role": "user", "content": text}});
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = lines.iter().find(|line| line["type"] == "result");
    let result = result.unwrap_or_else(|| panic!("no result in {text}"));
    assert_eq!(result["is_error"], false, "{text}");
    assert_eq!(result["permission_denials"], json!([]), "{text}");
    assert!(result["total_cost_usd"].as_f64().unwrap() > 0.0);
    result["structured_output"].clone()
}

#[tokio::test]
async fn crew_plays_every_role_through_claude_code() {
    let Ok(program) = std::env::var("BATON_CLAUDE") else {
        // Written past the test harness, which hides what passing tests print.
        let skipped = b"SKIPPED claude tests: set BATON_CLAUDE to the path of the program\n";
        std::io::stderr().write_all(skipped).unwrap();
        return;
    };
    let (checkout, model) = (Checkout::new(), anthropic(Crew::new()).await);
    let plan = play(&program, &checkout, &model, "plan", &code_prompt("")).await;
    assert!(plan["summary"].as_str().unwrap().contains("size - 1"), "{plan}");

    let code = play(&program, &checkout, &model, "code", &code_prompt("")).await;
    assert_eq!(code["tests_run"], "`node --test`: all 12 pass", "{code}");
    let first = review_prompt(&checkout.diff(), "");
    let first = play(&program, &checkout, &model, "review", &first).await;
    assert_eq!(first["verdict"], "changes", "{first}");

    let code = play(&program, &checkout, &model, "code", &code_prompt(&listed(&first))).await;
    assert_eq!(code["tests_run"], "`node --test`: all 13 pass", "{code}");
    let second = review_prompt(&checkout.diff(), &listed(&first));
    let second = play(&program, &checkout, &model, "review", &second).await;
    assert_eq!(second["verdict"], "approve", "{second}");
    assert_eq!(second["settled"], json!(["F1", "F2"]));

    let deploy = play(&program, &checkout, &model, "deploy", "It is merged.").await;
    assert_eq!(deploy["ready"], true, "{deploy}");
    let verify =
        play(&program, &checkout, &model, "verify", "exit code: 0\nPASS  open: fine").await;
    assert_eq!(verify["passed"], true, "{verify}");
    let audit = play(&program, &checkout, &model, "audit", "Look for risks.").await;
    assert_eq!(audit["findings"].as_array().unwrap().len(), 2, "{audit}");
}

//! What whoever runs the server sees of its agents while they work, by the command line.

use std::{process::Stdio, sync::Arc};

use baton::cli::demo::world::REPOSITORY;
use emulators::github::GitHub;
use emulators::models::{Answer, Brain, Pace, Request};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
};

use crate::support::baton::{Story, progress};

/// A planner that looks around and then says no more.
struct Silent;

impl Brain for Silent {
    fn answer(&self, request: &Request) -> Answer {
        if request.tool_results_since_last_user_text().is_empty() {
            let look = json!({"command": "echo seen-by-the-agent", "description": "Look around"});
            return Answer::tool("Bash", look);
        }
        Answer::new().with_pace(Pace::Never)
    }
}

fn baton(story: &Story, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    command.args(arguments).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("DATABASE_URL", story.world.config.database_url.as_ref().unwrap());
    command.env("BATON_DATA", &story.world.config.data).current_dir(story.folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

pub async fn rows(story: &Story, arguments: &[&str]) -> Vec<Value> {
    let output = baton(story, arguments).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<Value> {
    let line = lines.next_line().await.unwrap()?;
    Some(serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn an_agents_lines_are_followed_while_it_runs_and_resumed_from_a_number() {
    let story = Story::with(Arc::new(Silent), |_| ()).await;
    let issue = story.assigned();
    story.until_true("SELECT count(*) = 1 FROM tasks").await;
    let mut following = baton(&story, &["logs", "1", "--follow", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut numbers = Vec::new();
    // The agent goes on for as long as nobody stops it: what is read here comes while it runs.
    loop {
        let line = next(&mut lines).await.expect("the agent has not ended");
        numbers.push(line["seq"].as_i64().unwrap());
        if line["text"].as_str().unwrap().contains("seen-by-the-agent") {
            break;
        }
    }
    let at_work = rows(&story, &["agents", "--json"]).await;
    assert_eq!((at_work.len(), &at_work[0]["state"]["state"]), (1, &json!("running")));
    story.until_true("SELECT count(*) = 1 FROM agents WHERE memory_bytes > 1000000").await;
    let at_work = |github: &GitHub| {
        progress(github, issue).contains("**Plan** reading the issue and the code since")
    };
    story.until("the thread to say that it is at work", at_work).await;

    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    while let Some(line) = next(&mut lines).await {
        numbers.push(line["seq"].as_i64().unwrap());
    }
    assert!(following.wait().await.unwrap().success());
    story.until_state("parked").await;
    let expected: Vec<i64> = (1..=numbers.len() as i64).collect();
    assert_eq!(numbers, expected, "each line once, in order");
    let all = rows(&story, &["logs", "1", "--json"]).await;
    assert_eq!(all.len(), numbers.len());

    let rest = rows(&story, &["logs", "1", "--json", "--agent", "1", "--from", "2"]).await;
    assert_eq!(rest, all[2..]);
    assert!(rows(&story, &["agents", "--json"]).await.is_empty());
    let ended = rows(&story, &["agents", "--all", "--json"]).await;
    let ended = &ended[0];
    assert_eq!(ended["state"]["data"]["end"], "cancelled", "{ended}");
    for figure in ["wall_ms", "memory_peak_bytes", "tokens", "calls"] {
        assert!(ended[figure].as_i64().unwrap() > 0, "{figure}: {ended}");
    }
    let told = baton(&story, &["agents", "--all"]).output().await.unwrap().stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("cancelled by a person") && told.contains("MiB at most"), "{told}");
    story.end().await;
}

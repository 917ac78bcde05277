//! A checkout of the sample, a running agent program, and requests written in few words.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use emulators::models::{AGENT_PROGRAM, Anthropic, Brain, Settings};
use emulators::sample;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The key that the tests' servers let in.
pub const KEY: &str = "dummy-key";
/// What nothing here should need.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What writing roles may use.
pub const ALL_TOOLS: [&str; 6] = ["Read", "Edit", "Write", "Bash", "Glob", "Grep"];
/// What reading roles may use.
pub const READING_TOOLS: [&str; 3] = ["Read", "Grep", "Glob"];

pub async fn anthropic(brain: impl Brain + 'static) -> Anthropic {
    Anthropic::start(Settings::local(KEY, Arc::new(brain))).await.unwrap()
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// A git checkout of the sample in a temporary folder.
pub struct Checkout {
    folder: TempDir,
}

impl Checkout {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for file in sample::files() {
            let path = folder.path().join("repo").join(file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.contents).unwrap();
        }
        let checkout = Self { folder };
        checkout.git(&["init", "-q", "-b", "main"]);
        checkout.git(&["add", "-A"]);
        checkout.git(&["commit", "-q", "-m", "Import"]);
        checkout
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path().join(path)).unwrap()
    }

    pub fn replace(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "{path} does not hold {old:?}");
        std::fs::write(self.path().join(path), text.replace(old, new)).unwrap();
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = std::process::Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .envs(self.environment())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Everything since the import, as a reviewer gets it.
    pub fn diff(&self) -> String {
        let first = self.git(&["rev-list", "--max-parents=0", "HEAD"]);
        self.git(&["diff", first.trim()])
    }

    /// Runs a Node program of the checkout; gives success and output.
    pub async fn node(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String) {
        let output = Command::new("node")
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(self.environment())
            .envs(environment.iter().copied())
            .output()
            .await
            .unwrap();
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.success(), text)
    }

    /// An environment made from nothing but the search path.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home().display().to_string();
        let pairs = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", home),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_AUTHOR_NAME", "Baton".to_owned()),
            ("GIT_AUTHOR_EMAIL", "baton@localhost".to_owned()),
            ("GIT_COMMITTER_NAME", "Baton".to_owned()),
            ("GIT_COMMITTER_EMAIL", "baton@localhost".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// The agent program, started and waiting for its prompt.
pub struct Agent {
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    pub fn start(checkout: &Checkout, model: &str) -> Self {
        let program = checkout.home().join("agent.mjs");
        std::fs::write(&program, AGENT_PROGRAM).unwrap();
        let mut child = Command::new("node")
            .arg(program)
            .current_dir(checkout.path())
            .env_clear()
            .envs(checkout.environment())
            .env("ANTHROPIC_BASE_URL", model)
            .env("ANTHROPIC_API_KEY", KEY)
            .env("BATON_SESSION_DIR", checkout.home().join("sessions"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, lines }
    }

    pub async fn send(&mut self, line: Value) {
        let stdin = self.stdin.as_mut().expect("standard input is still open");
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    pub async fn next(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line");
        line.unwrap().map(|line| serde_json::from_str(&line).unwrap())
    }

    /// Everything up to and with the first line of a type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        while let Some(line) = self.next().await {
            seen.push(line);
            if seen.last().unwrap()["type"] == kind {
                return seen;
            }
        }
        panic!("the agent ended without {kind}: {seen:#?}");
    }
}

pub fn prompt(role: &str, text: &str) -> Value {
    let tools: &[&str] = if role == "code" { &ALL_TOOLS } else { &READING_TOOLS };
    json!({
        "type": "prompt", "role": role, "text": text, "system": format!("You belong to a crew.\nRole: {role}\n"),
        "schema": {"type": "object"}, "model": "claude-sonnet-4-5", "tools": tools,
        "session": "6b1f0b8e-6b0f-4a7b-9f52-2c2b7f4f6d10", "resume": false,
    })
}

/// Plays one role to its end with a fresh agent; gives its outcome.
pub async fn play(checkout: &Checkout, model: &str, role: &str, text: &str) -> Value {
    let mut agent = Agent::start(checkout, model);
    agent.send(prompt(role, text)).await;
    let lines = agent.until("result").await;
    let result = lines.last().unwrap();
    assert_eq!(result["is_error"], false, "{result}");
    result["output"].clone()
}

/// What the reviewer is given.
pub fn review_prompt(diff: &str, earlier: &str) -> String {
    let (title, body) = sample::issue();
    format!(
        "# {title}\n\n{body}\n\nEarlier findings:\n{earlier}\n\nThe change:\n\n```diff\n{diff}```\n"
    )
}

/// What the coder is given.
pub fn code_prompt(findings: &str) -> String {
    let (title, body) = sample::issue();
    format!("# {title}\n\n{body}\n\n{findings}")
}

/// The findings of a review, as a coder is told of them.
pub fn listed(review: &Value) -> String {
    let findings = review["findings"].as_array().unwrap().iter().enumerate();
    findings.fold(String::new(), |text, (index, finding)| {
        let (path, line) = (finding["path"].as_str().unwrap(), &finding["line"]);
        let (title, body) = (finding["title"].as_str().unwrap(), finding["body"].as_str().unwrap());
        format!("{text}- F{}: {path}:{line} {title}\n  {body}\n", index + 1)
    })
}

/// Asks again until there is something.
pub async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(there) = ask() {
                return there;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it should have happened by now")
}

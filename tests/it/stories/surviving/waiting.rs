//! A coder that waits where its Baton is to be killed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use emulators::models::{Answer, Brain, Crew, Pace, Request};
use serde_json::json;

/// What the coder's shell does: waits between two lines of its program until it is let go on.
const GATE: &str = "touch .here; until [ -e .go ]; do sleep 0.05; done; rm .here .go";
/// What it changes.
const COMMIT: &str =
    "echo settled >> NOTES.md; git add NOTES.md; git commit --quiet --message 'Settle it'";

/// What the coder is told while it works.
pub const WORD: &str = "Mind the gap.";

/// When Baton is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Midst {
    /// It waits in a tool, and asks its model again after it.
    Tool,
    /// It waits in its last tool.
    LastTool,
    /// It waits for its model's first answer, which never comes.
    Request,
    /// It waits in a tool, and then asks leave for what policy allows and for what it does not; then it waits for
    /// its model, which answers no more; then in a tool again.
    Leave,
}

/// What Claude Code asks leave for: a file that policy leaves to it, and one that it protects.
const FILES: [&str; 2] = [".mcp.json", ".claude/settings.json"];

/// A crew whose coder waits.
pub struct Waiting {
    crew: Crew,
    midst: Midst,
    /// How often the coder's model was asked for the step that it does not answer the first time.
    pub begun: AtomicUsize,
    /// The user's texts in the coder's last request.
    pub heard: Mutex<Vec<String>>,
}

impl Waiting {
    pub fn new(midst: Midst) -> Arc<Self> {
        let (begun, heard) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { crew: Crew::new(), midst, begun, heard })
    }

    fn step(&self, request: &Request) -> Answer {
        let outcome = json!({"summary": "It is settled.", "tests_run": "", "notes": ""});
        // Codex is given its outcome as text, at the very end.
        let by_tool = request.offers("StructuredOutput");
        let concluded = |answer: Answer| match by_tool {
            true => answer.and_tool("StructuredOutput", outcome.clone()),
            false => answer,
        };
        let over = || match by_tool {
            true => Answer::tool("StructuredOutput", outcome.clone()),
            false => Answer::text(outcome.to_string()),
        };
        let last = || {
            concluded(Answer::text("now the change").and_tool("Bash", json!({ "command": COMMIT })))
        };
        if request.last_user_text().is_some_and(|text| text.contains(WORD)) {
            return over();
        }
        let results = request.tool_results_since_last_user_text().len();
        match (self.midst, results) {
            (Midst::Request, 0) | (Midst::Leave, 3)
                if self.begun.fetch_add(1, Ordering::SeqCst) == 0 =>
            {
                Answer::text("never heard").with_pace(Pace::Never)
            }
            (Midst::Tool, 0) => Answer::text("looking").and_tool("Bash", json!({"command": GATE})),
            (Midst::LastTool, 0) => {
                let command = format!("{GATE}; {COMMIT}");
                concluded(
                    Answer::text("all at once").and_tool("Bash", json!({ "command": command })),
                )
            }
            (Midst::Leave, 0) => {
                let write = |path| json!({"file_path": path, "content": "{}\n"});
                Answer::text("asking")
                    .and_tool("Bash", json!({"command": GATE}))
                    .and_tool("Write", write(FILES[0]))
                    .and_tool("Write", write(FILES[1]))
            }
            (Midst::Leave, 3) => {
                let command = format!("{GATE}; {COMMIT}");
                Answer::text("once more").and_tool("Bash", json!({ "command": command }))
            }
            (Midst::Tool, 1) | (Midst::Request, 0) => last(),
            // And whatever is said after its outcome.
            (Midst::Tool | Midst::LastTool | Midst::Request | Midst::Leave, _) => over(),
        }
    }
}

impl Brain for Waiting {
    fn answer(&self, request: &Request) -> Answer {
        let texts = request.user_texts();
        let mut all = texts.iter().chain([&request.system]);
        let codes = all.any(|text| text.lines().any(|line| line.trim() == "Role: code"));
        if !codes {
            return self.crew.answer(request);
        }
        self.heard.lock().unwrap().clone_from(&texts);
        self.step(request)
    }
}

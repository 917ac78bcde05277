//! What a provider is told about a task, and the command line that comes of it.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::Value;

use crate::model::{Effort, Protected, Role, SessionId, Tool};

/// Everything that a provider has to know to start an agent. Paths are as seen inside the sandbox.
#[derive(Clone)]
pub struct Launch {
    /// Who is played.
    pub role: Role,
    /// The model, as the provider knows it. Always given: a resumed session would take its own.
    pub model: String,
    /// How hard the model thinks; none means as the program has it.
    pub effort: Option<Effort>,
    /// What is added to the program's own system prompt.
    pub system: String,
    /// The first message.
    pub prompt: String,
    /// The JSON Schema of the outcome, if one is asked for.
    pub schema: Option<Value>,
    /// The tools that the role may use, in Claude Code's words: `Read`, `Bash`, …
    pub tools: Vec<String>,
    /// Whether the program's own search of the web, by its model's provider, is switched on.
    pub web: bool,
    /// The paths that it may not change. A change of one is refused in the end, whatever the program does.
    pub protected: Protected,
    /// Baton's own tools; none where the role has none.
    pub tool_server: Option<ToolServer>,
    /// The session's id, chosen by Baton.
    pub session: SessionId,
    /// Whether that session is there already and goes on.
    pub resume: bool,
    /// Where the model's API is: `http://127.0.0.1:PORT`, without a path.
    pub gateway_url: String,
    /// The agent's own token for that gateway. No real key.
    pub token: SecretString,
    /// The worktree.
    pub workdir: PathBuf,
    /// The provider's own folder, rebuilt from nothing before each start.
    pub config_dir: PathBuf,
    /// The agent's home.
    pub home: PathBuf,
    /// A folder for temporary files, of the agent's own.
    pub scratch: PathBuf,
    /// `PATH`.
    pub search_path: String,
    /// After how many model calls it ends, if at all.
    pub max_turns: Option<u32>,
}

/// Where Baton's own tools are: an MCP server over streamable HTTP, reached like the gateway.
#[derive(Debug, Clone)]
pub struct ToolServer {
    /// Its address: `http://127.0.0.1:PORT/mcp`.
    pub url: String,
    /// What opens it, sent as `authorization: Bearer`.
    pub token: SecretString,
    /// What the role may call there.
    pub tools: Vec<Tool>,
}

/// How the program is to be started.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The arguments after the program's path.
    pub arguments: Vec<String>,
    /// The whole environment: it starts empty.
    pub environment: Vec<(String, String)>,
    /// Files to put into the config folder before the start.
    pub files: Vec<ConfigFile>,
    /// The session's file, from the config folder: the one file that is kept and put back.
    pub session_file: PathBuf,
}

/// One file of the provider's config folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where, from the config folder.
    pub path: PathBuf,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Shows the names of the variables only: one of the values is the agent's token.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Command")
            .field("arguments", &self.arguments.len())
            .field("environment", &names)
            .field("session_file", &self.session_file)
            .finish_non_exhaustive()
    }
}

impl Command {
    /// The value of a variable of the environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Joins a fixed list of variables to the ones that every provider's program gets.
pub(super) fn environment(task: &Launch, own: Vec<(&str, String)>) -> Vec<(String, String)> {
    let shared = [
        ("HOME", task.home.display().to_string()),
        ("PATH", task.search_path.clone()),
        ("TMPDIR", task.scratch.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    shared.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use secrecy::ExposeSecret;
    use uuid::Uuid;

    use super::*;

    /// A reading task without a schema.
    pub(in crate::provider) fn task() -> Launch {
        Launch {
            role: Role::Reviewer,
            model: "claude-sonnet-4-5".to_owned(),
            effort: None,
            system: "You review.".to_owned(),
            prompt: "Look at the change.".to_owned(),
            schema: None,
            tools: vec!["Read".to_owned(), "Grep".to_owned(), "Glob".to_owned()],
            web: false,
            protected: Protected::default(),
            tool_server: None,
            session: SessionId(Uuid::from_u128(7)),
            resume: false,
            gateway_url: "http://127.0.0.1:4000".to_owned(),
            token: "agent-token".into(),
            workdir: "/workspace".into(),
            config_dir: "/agent/config".into(),
            home: "/agent/home".into(),
            scratch: "/agent/scratch".into(),
            search_path: "/usr/bin:/bin".to_owned(),
            max_turns: None,
        }
    }

    #[test]
    fn the_debug_form_of_a_command_shows_no_value() {
        let task = task();
        let token = task.token.expose_secret().to_owned();
        let environment = environment(&task, vec![("ANTHROPIC_API_KEY", token.clone())]);
        let command = Command {
            arguments: vec!["secret words".to_owned()],
            environment,
            files: Vec::new(),
            session_file: PathBuf::new(),
        };
        let shown = format!("{command:?}");
        assert!(shown.contains("ANTHROPIC_API_KEY"));
        assert!(!shown.contains(&token) && !shown.contains("secret words"), "{shown}");
    }
}

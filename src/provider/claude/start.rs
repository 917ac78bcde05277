//! The command line of Claude Code and the environment around it.

use std::path::PathBuf;

use secrecy::ExposeSecret;
use serde_json::json;

use crate::provider::launch::{Command, ConfigFile, Launch, ToolServer, environment};

/// The file in the config folder that holds the words for the system prompt. A file, because one
/// argument may have 128 KiB at most.
const SYSTEM_FILE: &str = "baton-system.md";

/// The file in the config folder that names the tool servers: Baton's own, and no other.
const SERVERS_FILE: &str = "baton-servers.json";

/// What Baton's tool server is called: its tools are `mcp__baton__…`.
pub(super) const SERVER: &str = "baton";

/// How often a failed call of the model's API is repeated. The default of 10 takes three minutes.
const API_RETRIES: &str = "4";

/// Shows its list of what is done and left; harmless, so every role gets it.
const TODO_TOOL: &str = "TodoWrite";

/// Searches the web by a request of its own, which has the provider's tool. Its `WebFetch` asks hosts itself, from
/// a sandbox that has none: it is never offered.
const WEB_TOOL: &str = "WebSearch";

/// Tools that change files. They are not allowed beforehand: the program asks before each call, and policy
/// decides.
const ASKED: [&str; 3] = ["Edit", "Write", "NotebookEdit"];

/// Tools that change nothing. A role with only these is started with `--restricted` as well, which
/// confines them to the worktree.
const READING: [&str; 5] = ["Read", "Grep", "Glob", TODO_TOOL, WEB_TOOL];

pub(super) fn command(task: &Launch) -> Command {
    let system = ConfigFile { path: SYSTEM_FILE.into(), content: task.system.clone().into_bytes() };
    let servers = task.tool_server.as_ref().map(servers);
    Command {
        arguments: arguments(task),
        environment: environment(task, variables(task)),
        files: [system].into_iter().chain(servers).collect(),
        session_file: session_file(task),
    }
}

/// The file that names Baton's tool server. A file, because a command line would show the token.
fn servers(server: &ToolServer) -> ConfigFile {
    let bearer = format!("Bearer {}", server.token.expose_secret());
    let server =
        json!({ "type": "http", "url": server.url, "headers": { "Authorization": bearer } });
    let servers = json!({ "mcpServers": { SERVER: server } });
    ConfigFile { path: SERVERS_FILE.into(), content: servers.to_string().into_bytes() }
}

fn arguments(task: &Launch) -> Vec<String> {
    let mut tools: Vec<&str> = task.tools.iter().map(String::as_str).collect();
    if !tools.contains(&TODO_TOOL) {
        tools.push(TODO_TOOL);
    }
    if task.web {
        tools.push(WEB_TOOL);
    }
    let system_file = task.config_dir.join(SYSTEM_FILE).display().to_string();
    let session = task.session.to_string();
    let tool_list = tools.join(",");
    let server = task.tool_server.as_ref();
    let called = server.map_or(&[][..], |server| server.tools.as_slice());
    let called = called.iter().map(|tool| format!(",mcp__{SERVER}__{}", tool.name()));
    let unasked: Vec<&str> = tools.iter().copied().filter(|tool| !ASKED.contains(tool)).collect();
    let allowed = called.fold(unasked.join(","), |list, name| list + &name);
    // The repository's own settings, hooks and tool servers run code before the first model call
    // and can send the key elsewhere: only the rebuilt config folder counts.
    let mut arguments = words("-p --input-format stream-json --output-format stream-json");
    arguments.extend(words("--verbose --setting-sources user --strict-mcp-config"));
    // A prompt that begins with "/" would otherwise be taken for a command of the program.
    arguments.extend(words("--disable-slash-commands --permission-mode manual"));
    // What nothing above allows is asked for by a line, and decided by policy.
    arguments.extend(words("--permission-prompt-tool stdio"));
    let session_flag = if task.resume { "--resume" } else { "--session-id" };
    let pairs = [
        ("--model", task.model.as_str()),
        (session_flag, &session),
        ("--append-system-prompt-file", &system_file),
        ("--tools", &tool_list),
        ("--allowedTools", &allowed),
    ];
    for (flag, value) in pairs {
        arguments.extend([flag.to_owned(), value.to_owned()]);
    }
    if server.is_some() {
        let servers = task.config_dir.join(SERVERS_FILE).display().to_string();
        arguments.extend(["--mcp-config".to_owned(), servers]);
    }
    if tools.iter().all(|tool| READING.contains(tool)) {
        arguments.push("--restricted".to_owned());
    }
    if let Some(effort) = task.effort {
        arguments.extend(["--effort".to_owned(), effort.name().to_owned()]);
    }
    if let Some(turns) = task.max_turns {
        arguments.extend(["--max-turns".to_owned(), turns.to_string()]);
    }
    if let Some(schema) = &task.schema {
        arguments.extend(["--json-schema".to_owned(), schema.to_string()]);
    }
    arguments
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn variables(task: &Launch) -> Vec<(&'static str, String)> {
    vec![
        ("ANTHROPIC_BASE_URL", task.gateway_url.clone()),
        ("ANTHROPIC_API_KEY", task.token.expose_secret().to_owned()),
        ("CLAUDE_CONFIG_DIR", task.config_dir.display().to_string()),
        ("CLAUDE_CODE_TMPDIR", task.scratch.display().to_string()),
        ("CLAUDE_CODE_MAX_RETRIES", API_RETRIES.to_owned()),
        // Alone enough to keep it from asking anything but the base URL.
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
        // Work in the background ends a turn early and then begins another one by itself.
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1".to_owned()),
        ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1".to_owned()),
        // An issue that mentions "@/some/file" would otherwise attach it to the prompt.
        ("CLAUDE_CODE_DISABLE_FILE_MENTIONS", "1".to_owned()),
        // Exchanges the newer task tools for `TodoWrite`, whose list comes whole in one line.
        ("CLAUDE_CODE_ENABLE_TASKS", "0".to_owned()),
    ]
}

/// `projects/<worktree, non-alphanumerics as "-">/<session>.jsonl`.
fn session_file(task: &Launch) -> PathBuf {
    let folder: String = task
        .workdir
        .display()
        .to_string()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    PathBuf::from("projects").join(folder).join(format!("{}.jsonl", task.session))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Effort, Tool};
    use crate::provider::launch::tests::task;

    fn value_of<'a>(command: &'a Command, flag: &str) -> Option<&'a str> {
        let at = command.arguments.iter().position(|argument| argument == flag)?;
        command.arguments.get(at + 1).map(String::as_str)
    }

    #[test]
    fn the_repositorys_own_settings_are_never_read() {
        let command = command(&task());
        assert_eq!(value_of(&command, "--setting-sources"), Some("user"));
        assert!(command.arguments.contains(&"--strict-mcp-config".to_owned()));
        assert_eq!(command.variable("CLAUDE_CONFIG_DIR"), Some("/agent/config"));
        assert_eq!(command.variable("HOME"), Some("/agent/home"));
    }

    #[test]
    fn a_reading_role_is_restricted_and_a_writing_role_is_not() {
        let mut task = task();
        let reading = command(&task);
        assert_eq!(value_of(&reading, "--tools"), Some("Read,Grep,Glob,TodoWrite"));
        assert!(reading.arguments.contains(&"--restricted".to_owned()));
        task.tools.extend(["Edit", "Bash"].map(str::to_owned));
        let writing = command(&task);
        assert_eq!(value_of(&writing, "--allowedTools"), Some("Read,Grep,Glob,Bash,TodoWrite"));
        assert_eq!(value_of(&writing, "--tools"), Some("Read,Grep,Glob,Edit,Bash,TodoWrite"));
        assert!(!writing.arguments.contains(&"--restricted".to_owned()));
        for command in [reading, writing] {
            assert_eq!(value_of(&command, "--permission-mode"), Some("manual"));
            assert_eq!(value_of(&command, "--permission-prompt-tool"), Some("stdio"));
        }
    }

    #[test]
    fn the_web_is_searched_where_it_may_be_and_pages_are_fetched_nowhere() {
        let mut task = task();
        let offered = |command: &Command| value_of(command, "--tools").unwrap().to_owned();
        assert!(!offered(&command(&task)).contains("Web"));
        task.web = true;
        let searching = command(&task);
        assert_eq!(offered(&searching), "Read,Grep,Glob,TodoWrite,WebSearch");
        assert_eq!(value_of(&searching, "--allowedTools"), Some(offered(&searching).as_str()));
        assert!(searching.arguments.contains(&"--restricted".to_owned()));
    }

    #[test]
    fn batons_own_tools_are_the_only_servers_and_their_token_is_in_no_argument() {
        let mut task = task();
        assert_eq!(value_of(&command(&task), "--mcp-config"), None);
        task.tool_server = Some(ToolServer {
            url: "http://127.0.0.1:4000/mcp".to_owned(),
            token: "agent-token".into(),
            tools: vec![Tool::ReportProgress, Tool::AskHuman],
        });
        let command = command(&task);
        assert_eq!(value_of(&command, "--mcp-config"), Some("/agent/config/baton-servers.json"));
        let allowed = value_of(&command, "--allowedTools");
        let listed = "Read,Grep,Glob,TodoWrite,mcp__baton__report_progress,mcp__baton__ask_human";
        assert_eq!(allowed, Some(listed));
        assert_eq!(value_of(&command, "--tools"), Some("Read,Grep,Glob,TodoWrite"));
        assert!(!command.arguments.iter().any(|argument| argument.contains("agent-token")));
        let file = command.files.iter().find(|file| file.path.ends_with("baton-servers.json"));
        let servers: serde_json::Value = serde_json::from_slice(&file.unwrap().content).unwrap();
        let baton = &servers["mcpServers"]["baton"];
        assert_eq!(baton["url"], "http://127.0.0.1:4000/mcp");
        assert_eq!(baton["headers"]["Authorization"], "Bearer agent-token");
        assert_eq!(servers["mcpServers"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn a_session_begins_under_its_id_and_goes_on_under_the_same() {
        let mut task = task();
        let id = task.session.to_string();
        assert_eq!(value_of(&command(&task), "--session-id"), Some(id.as_str()));
        task.resume = true;
        let resumed = command(&task);
        assert_eq!(value_of(&resumed, "--resume"), Some(id.as_str()));
        assert_eq!(value_of(&resumed, "--session-id"), None);
        assert_eq!(value_of(&resumed, "--model"), Some("claude-sonnet-4-5"));
    }

    #[test]
    fn prompt_and_system_words_are_in_no_argument() {
        let mut task = task();
        task.schema = Some(json!({"type": "object"}));
        let command = command(&task);
        assert!(!command.arguments.iter().any(|argument| argument.contains("review")));
        assert!(!command.arguments.contains(&task.prompt));
        assert_eq!(command.files[0].content, b"You review.");
        assert_eq!(value_of(&command, "--json-schema"), Some(r#"{"type":"object"}"#));
    }

    #[test]
    fn effort_and_turns_are_told_where_they_are_known() {
        let mut task = task();
        for flag in ["--effort", "--max-turns"] {
            assert_eq!(value_of(&command(&task), flag), None);
        }
        (task.effort, task.max_turns) = (Some(Effort::Low), Some(40));
        assert_eq!(value_of(&command(&task), "--effort"), Some("low"));
        assert_eq!(value_of(&command(&task), "--max-turns"), Some("40"));
    }

    #[test]
    fn the_session_file_is_where_the_program_puts_it() {
        let mut task = task();
        task.workdir = "/srv/w.1/a_b".into();
        let path = command(&task).session_file;
        let id = task.session;
        assert_eq!(path, PathBuf::from(format!("projects/-srv-w-1-a-b/{id}.jsonl")));
    }
}

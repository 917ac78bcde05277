//! The command line of Codex, the environment around it, and its config folder.

use std::path::Path;

use secrecy::ExposeSecret;

use super::{schema, session};
use crate::model::Tool;
use crate::provider::launch::{Command, ConfigFile, Launch, ToolServer, environment};

/// The program's settings in its config folder.
const CONFIG_FILE: &str = "config.toml";
/// The schema of the outcome, in the config folder.
const SCHEMA_FILE: &str = "baton-outcome.json";

/// The gateway's name as a provider of models.
const GATEWAY: &str = "baton";

/// What Baton's tool server is called.
pub(super) const SERVER: &str = "baton";
/// The variable that the program takes that server's token from: a command line would show it.
const SERVER_TOKEN: &str = "BATON_TOOLS_TOKEN";
/// The program offers a server's tools to its model only once the model has looked for them.
const SERVER_WORDS: &str = "\n\nYour tool `tool_search` finds the tools of the server `baton`: look for one by \
                            its name before you call it the first time.";

/// How often a refused request and a broken stream are repeated. The two multiply.
const RETRIES: &str = "request_max_retries=2,stream_max_retries=3";

/// Switched off: what asks other hosts, what runs on the provider's side, what a repository or an
/// earlier run could plant, and the endless waiting for a network.
const OFF: [&str; 17] = [
    "plugins",
    "remote_plugin",
    "apps",
    "unbounded_connection_retries",
    "enable_request_compression",
    "remote_compaction_v2",
    "image_generation",
    "browser_use",
    "computer_use",
    "hooks",
    "memories",
    "multi_agent",
    "goals",
    "tool_suggest",
    "skill_search",
    "shell_snapshot",
    "view_image",
];

/// Settings, each as TOML. They go before the config file, which the agent's own shell can write to.
const SETTINGS: [&str; 6] = [
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
    "project_doc_max_bytes=0",
    "skills.bundled.enabled=false",
    "skills.include_instructions=false",
    "approval_policy=\"never\"",
];

/// The program's own fence is left out: it takes a namespace of its own, which the sandbox around it
/// forbids. What a role may change is for that sandbox to say.
const FENCE: &str = "danger-full-access";

/// The next process: it goes on in the session, which Baton begins where it is new.
pub(super) fn command(task: &Launch, begun: bool) -> Command {
    let mut files = vec![config(task)];
    files.extend(task.schema.as_ref().map(|wanted| ConfigFile {
        path: SCHEMA_FILE.into(),
        content: schema::for_the_api(wanted).to_string().into_bytes(),
    }));
    if !begun {
        files.push(session::new(task));
    }
    Command {
        arguments: arguments(task),
        environment: environment(task, variables(task)),
        files,
        session_file: session::file(task.session),
    }
}

/// The role's words: a file, because one argument may have 128 KiB at most.
fn config(task: &Launch) -> ConfigFile {
    let of_server = task.tool_server.as_ref().map_or("", |_| SERVER_WORDS);
    let words = toml::Value::String(format!("{}{of_server}", task.system));
    let config = toml::Table::from_iter([("developer_instructions".to_owned(), words)]);
    ConfigFile { path: CONFIG_FILE.into(), content: config.to_string().into_bytes() }
}

fn arguments(task: &Launch) -> Vec<String> {
    let workdir = task.workdir.display().to_string();
    let provider = format!("model_provider=\"{GATEWAY}\"");
    let gateway = format!(
        "model_providers.{GATEWAY}={{name=\"{GATEWAY}\",base_url=\"{}/v1\",env_key=\"OPENAI_API_KEY\",\
         wire_api=\"responses\",{RETRIES}}}",
        task.gateway_url
    );
    // A setting that this version does not know is an error and not a hole.
    let mut arguments = vec!["exec".to_owned(), "--json".to_owned(), "--strict-config".to_owned()];
    let mut pair = |flag: &str, value: &str| arguments.extend([flag.to_owned(), value.to_owned()]);
    pair("-C", &workdir);
    pair("-m", &task.model);
    pair("-s", FENCE);
    pair("-c", &provider);
    pair("-c", &gateway);
    SETTINGS.iter().for_each(|setting| pair("-c", setting));
    pair("-c", web_search(task.web));
    if let Some(effort) = task.effort {
        pair("-c", &format!("model_reasoning_effort={:?}", effort.name()));
    }
    task.tool_server.iter().for_each(|server| pair("-c", &tool_server(server)));
    OFF.iter().for_each(|feature| pair("--disable", feature));
    if task.schema.is_some() {
        pair("--output-schema", &in_config(task, SCHEMA_FILE));
    }
    // The prompt comes on standard input: `-`.
    pair("resume", &task.session.to_string());
    arguments.push("-".to_owned());
    arguments
}

/// Baton's tools. Without them the program does not begin, and it asks nobody before it calls one.
fn tool_server(server: &ToolServer) -> String {
    let names: Vec<&str> = server.tools.iter().map(|tool| Tool::name(*tool)).collect();
    format!(
        "mcp_servers.{SERVER}={{url=\"{}\",bearer_token_env_var=\"{SERVER_TOKEN}\",required=true,\
         enabled_tools={names:?},default_tools_approval_mode=\"approve\"}}",
        server.url
    )
}

/// The search that runs on the provider's side. Whether it reads pages as they are now is for the gateway to say.
fn web_search(may: bool) -> &'static str {
    if may { "web_search=\"live\"" } else { "web_search=\"disabled\"" }
}

fn in_config(task: &Launch, file: impl AsRef<Path>) -> String {
    task.config_dir.join(file).display().to_string()
}

fn variables(task: &Launch) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("CODEX_HOME", task.config_dir.display().to_string()),
        ("OPENAI_API_KEY", task.token.expose_secret().to_owned()),
    ];
    let token = task.tool_server.as_ref().map(|server| server.token.expose_secret().to_owned());
    variables.extend(token.map(|token| (SERVER_TOKEN, token)));
    variables
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::Effort;
    use crate::provider::launch::tests::task;

    fn value_of<'a>(command: &'a Command, flag: &str) -> Option<&'a str> {
        let at = command.arguments.iter().position(|argument| argument == flag)?;
        command.arguments.get(at + 1).map(String::as_str)
    }

    fn file<'a>(command: &'a Command, path: &str) -> Option<&'a [u8]> {
        let file = command.files.iter().find(|file| file.path == Path::new(path))?;
        Some(&file.content)
    }

    #[test]
    fn every_habit_of_asking_the_network_is_off_and_retries_end() {
        let command = command(&task(), false);
        for setting in SETTINGS {
            assert!(command.arguments.contains(&setting.to_owned()), "{setting}");
        }
        assert!(command.arguments.contains(&"web_search=\"disabled\"".to_owned()));
        for feature in OFF {
            let at = command.arguments.iter().position(|argument| argument == feature);
            assert_eq!(command.arguments[at.unwrap() - 1], "--disable", "{feature}");
        }
        let gateway = command.arguments.iter().find(|argument| argument.contains("base_url"));
        assert!(gateway.unwrap().contains("http://127.0.0.1:4000/v1"));
        assert!(gateway.unwrap().contains("stream_max_retries=3"));
    }

    #[test]
    fn the_web_is_searched_where_it_may_be() {
        let searching = command(&Launch { web: true, ..task() }, false);
        assert!(searching.arguments.contains(&"web_search=\"live\"".to_owned()));
        assert!(!searching.arguments.iter().any(|setting| setting.contains("disabled")));
    }

    #[test]
    fn effort_is_told_where_it_is_known() {
        let known = |command: &Command| {
            let mut settings = command.arguments.iter();
            settings.find(|setting| setting.starts_with("model_reasoning_effort")).cloned()
        };
        assert_eq!(known(&command(&task(), false)), None);
        let task = Launch { effort: Some(Effort::Medium), ..task() };
        let told = known(&command(&task, true));
        assert_eq!(told.as_deref(), Some("model_reasoning_effort=\"medium\""));
    }

    #[test]
    fn a_session_is_begun_once_under_its_id_and_then_goes_on() {
        let task = task();
        let id = task.session.to_string();
        let first = command(&task, false);
        assert_eq!(value_of(&first, "resume"), Some(id.as_str()));
        let line = file(&first, first.session_file.to_str().unwrap()).unwrap();
        let line: Value = serde_json::from_slice(line).unwrap();
        assert_eq!(line["payload"]["id"], json!(id));
        assert_eq!(line["payload"]["cwd"], json!("/workspace"));
        let next = command(&task, true);
        assert_eq!(value_of(&next, "resume"), Some(id.as_str()));
        assert!(next.files.iter().all(|file| file.path != next.session_file));
    }

    #[test]
    fn batons_own_tools_are_named_and_their_token_is_in_no_argument() {
        let mut task = task();
        let without = command(&task, false);
        assert!(!without.arguments.iter().any(|argument| argument.starts_with("mcp_servers")));
        assert_eq!(without.variable(SERVER_TOKEN), None);
        task.tool_server = Some(ToolServer {
            url: "http://127.0.0.1:4000/mcp".to_owned(),
            token: "its-token".into(),
            tools: vec![Tool::ReportProgress, Tool::AskHuman],
        });
        let command = command(&task, false);
        let setting = command.arguments.iter().find(|it| it.starts_with("mcp_servers")).unwrap();
        let setting: toml::Table = setting.parse().unwrap();
        let server = setting["mcp_servers"]["baton"].as_table().unwrap();
        assert_eq!(server["url"].as_str(), Some("http://127.0.0.1:4000/mcp"));
        assert_eq!(server["required"].as_bool(), Some(true));
        assert_eq!(server["enabled_tools"].to_string(), r#"["report_progress", "ask_human"]"#);
        let variable = server["bearer_token_env_var"].as_str().unwrap();
        assert_eq!(command.variable(variable), Some("its-token"));
        assert!(!command.arguments.join(" ").contains("its-token"));
        let config = std::str::from_utf8(file(&command, CONFIG_FILE).unwrap()).unwrap();
        assert!(config.contains("tool_search"));
    }

    #[test]
    fn prompt_system_words_and_token_are_in_no_argument() {
        let mut task = task();
        task.system = "You \"review\".\nAnd \u{7f} more.".to_owned();
        task.schema = Some(json!({"type": "object", "minLength": 1}));
        let command = command(&task, false);
        let shown = command.arguments.join(" ");
        for hidden in ["review", task.prompt.as_str(), "agent-token"] {
            assert!(!shown.contains(hidden), "{hidden}");
        }
        let config = std::str::from_utf8(file(&command, CONFIG_FILE).unwrap()).unwrap();
        let config: toml::Table = config.parse().unwrap();
        assert_eq!(config["developer_instructions"].as_str(), Some(task.system.as_str()));
        assert_eq!(file(&command, SCHEMA_FILE), Some(&br#"{"type":"object"}"#[..]));
        assert_eq!(value_of(&command, "--output-schema"), Some("/agent/config/baton-outcome.json"));
    }
}

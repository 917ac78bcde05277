//! The sandbox, the agent's program, and the models' APIs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpStream, process::Command, time::timeout};

use super::Check;
use crate::{
    agent::{IMAGE_CLAUDE, IMAGE_CODEX, Toolchains, try_layers},
    app::{installed_claude, installed_codex, parts},
    config::{Config, SandboxChoice, Upstream},
    provider::ProviderKind,
    sandbox::{HOME, Sandbox, SandboxError, Spec},
};

/// How long the program may take to say its version; it starts a whole runtime for that.
const SAY_VERSION: Duration = Duration::from_secs(60);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Starts one sandbox and looks around in it; where it holds, another one that lays folders over others.
pub(super) async fn sandbox(config: &Config, data: &Path, tell: &mut (dyn FnMut(Check) + Send)) {
    const NAME: &str = "sandbox";
    let sandbox = match built(config, data) {
        Ok(sandbox) => sandbox,
        Err(error) => return tell(Check::fails(NAME, format!("{error:#}"), "see what it says")),
    };
    let kind = sandbox.kind();
    match sandbox.self_test().await {
        Ok(()) => {
            tell(Check::holds(NAME, format!("{kind} holds")));
            tell(workspaces(&sandbox, data).await);
        }
        Err(SandboxError::Unavailable { problem, remedy }) => {
            tell(Check::fails(NAME, problem, remedy));
        }
        Err(error) => tell(Check::fails(
            NAME,
            error,
            "no agent is started before this holds: see docs/sandbox.md",
        )),
    }
}

fn built(config: &Config, data: &Path) -> anyhow::Result<Arc<dyn Sandbox>> {
    parts::sandbox(&config.agents, &std::env::current_exe()?, data)
}

/// How workspaces are made: slowly is no mistake.
async fn workspaces(sandbox: &Arc<dyn Sandbox>, data: &Path) -> Check {
    const NAME: &str = "workspaces";
    let tried = match parts::workspaces(data) {
        Ok(workspaces) => try_layers(sandbox, &workspaces).await,
        Err(error) => Err(error.to_string()),
    };
    match tried {
        Ok(()) => Check::holds(NAME, "laid over checkouts that they share"),
        Err(reason) => Check::holds(
            NAME,
            format!(
                "each checked out in full, which takes its time: no overlay can be mounted: {reason}"
            ),
        ),
    }
}

/// Looks whether the folders of tools can be shown.
pub(super) fn tools(config: &Config) -> Check {
    const NAME: &str = "tools";
    let folders = &config.sandbox.tools;
    let obstacles: Vec<String> =
        folders.iter().filter_map(|folder| Toolchains::obstacle(folder)).collect();
    if !obstacles.is_empty() {
        let seen = format!("{} of {} folders cannot be shown", obstacles.len(), folders.len());
        return Check::fails(NAME, seen, obstacles.join("\n"));
    }
    let shown: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let besides = if shown.is_empty() { String::new() } else { format!(", {}", shown.join(", ")) };
    let programs = match &config.agents.sandbox {
        SandboxChoice::Container(containers) => format!("the programs of {}", containers.image),
        SandboxChoice::Bubblewrap | SandboxChoice::Host => "/usr".to_owned(),
    };
    Check::holds(NAME, format!("sandboxes see {programs}{besides}"))
}

/// Says what set-ups may reach at most; nothing is asked of anybody.
pub(super) fn egress(config: &Config) -> Check {
    const NAME: &str = "egress";
    let rules = &config.limits.egress;
    if rules.is_empty() {
        return Check::holds(NAME, "set-ups reach no host at all");
    }
    let named = rules.iter().map(|rule| match rule.address {
        Some(address) => format!("{}={address}", rule.host),
        None => rule.host.to_string(),
    });
    Check::holds(NAME, format!("set-ups reach at most {}", named.collect::<Vec<_>>().join(", ")))
}

/// Looks whether the program that agents are can be started, in the version that was tested.
pub(super) async fn program(config: &Config, data: Option<&Path>) -> Check {
    const NAME: &str = "agent program";
    let agents = &config.agents;
    if agents.provider == ProviderKind::Command.name() {
        let name = agents.command.first().cloned().unwrap_or_default();
        let (place, path) = match (&agents.sandbox, data) {
            (SandboxChoice::Container(containers), Some(data)) => {
                let find = ["/bin/sh", "-c", "command -v -- \"$1\"", "sh", &name];
                (format!("in {}", containers.image), said_inside(config, data, &find).await.ok())
            }
            (_, _) => {
                ("on this machine".to_owned(), found(&name).map(|path| path.display().to_string()))
            }
        };
        return match path {
            Some(path) => Check::holds(NAME, format!("command: {path}")),
            None => Check::fails(
                NAME,
                format!("{name} is not {place}"),
                "install it, or name another program with command in [agents]",
            ),
        };
    }
    let (kind, variable, path) = if agents.provider == ProviderKind::Codex.name() {
        let path = agents.codex.clone().or_else(installed_codex);
        (ProviderKind::Codex, "BATON_CODEX", path)
    } else {
        (ProviderKind::Claude, "BATON_CLAUDE", agents.claude.clone().or_else(installed_claude))
    };
    // An image has programs of its own, for a machine that has none.
    let in_image = match (&path, &agents.sandbox, data) {
        (None, SandboxChoice::Container(containers), Some(data)) => {
            let program = if kind == ProviderKind::Codex { IMAGE_CODEX } else { IMAGE_CLAUDE };
            let said = said_inside(config, data, &[program, "--version"]).await;
            Some((format!("{program} in {}", containers.image), said))
        }
        _ => None,
    };
    pinned(kind, variable, path, in_image).await
}

/// Looks whether a program is there in the version that was tested, on this machine or in an image.
async fn pinned(
    kind: ProviderKind,
    variable: &str,
    path: Option<PathBuf>,
    in_image: Option<(String, anyhow::Result<String>)>,
) -> Check {
    const NAME: &str = "agent program";
    let (name, wanted) = (kind.name(), kind.pinned_version().unwrap_or_default());
    // What serves all but the tests of Baton leaves codex out.
    let npm = match kind {
        ProviderKind::Codex => "npm ci --ignore-scripts",
        ProviderKind::Claude | ProviderKind::Command => "npm ci --omit=dev --ignore-scripts",
    };
    let install = format!(
        "run {npm} in Baton's folder, or set {variable} to the native {name} program of version \
         {wanted}"
    );
    let (place, said) = match (path, in_image) {
        (Some(path), _) => (path.display().to_string(), said_version(&path).await),
        (None, Some((place, said))) => (place, said),
        (None, None) => return Check::fails(NAME, format!("{name} is not installed"), install),
    };
    match said {
        Ok(said) if said.split_whitespace().any(|word| word == wanted) => {
            Check::holds(NAME, format!("{name} {wanted}, {place}"))
        }
        Ok(said) => Check::fails(
            NAME,
            format!("{place} says {said:?}; Baton was tested with {wanted}"),
            install,
        ),
        Err(error) => Check::fails(NAME, format!("{place}: {error}"), install),
    }
}

/// What a command says inside.
async fn said_inside(config: &Config, data: &Path, argv: &[&str]) -> anyhow::Result<String> {
    let mut spec = Spec::new(argv.iter().map(ToString::to_string).collect());
    let variables = [("HOME", HOME), ("PATH", "/usr/local/bin:/usr/bin:/bin")];
    spec.env = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let running = built(config, data)?.start(spec).await?;
    let taken = timeout(SAY_VERSION, running.finish(4096)).await?;
    anyhow::ensure!(taken.exit.is_success(), "{}", String::from_utf8_lossy(&taken.stderr).trim());
    Ok(String::from_utf8_lossy(&taken.stdout).trim().to_owned())
}

/// What the program says of itself, with an empty environment and a home of its own.
async fn said_version(program: &Path) -> anyhow::Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.arg("--version").env_clear().env("HOME", home.path()).current_dir(home.path());
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = timeout(SAY_VERSION, command.output()).await??;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where a program is that is named by its path, or is where sandboxes look for programs.
fn found(name: &str) -> Option<PathBuf> {
    let folders = ["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new);
    let named = folders.iter().map(|folder| folder.join(name));
    named.into_iter().find(|path| path.is_file())
}

/// Looks at each model API that there is a credential for.
pub(super) async fn model_apis(config: &Config, proxy: Option<&String>) -> Vec<Check> {
    let agents = &config.agents;
    let apis = [(&agents.upstream, "ANTHROPIC_BASE_URL"), (&agents.openai, "OPENAI_BASE_URL")];
    let mut checks = Vec::new();
    for (upstream, variable) in apis.into_iter().filter(|(upstream, _)| upstream.is_open()) {
        checks.push(model_api(upstream, variable, proxy).await);
    }
    checks
}

/// Opens a connection to a model's API and closes it: nothing is asked, nothing is paid.
async fn model_api(upstream: &Upstream, variable: &str, proxy: Option<&String>) -> Check {
    const NAME: &str = "model API";
    let kind = match (upstream.api_keys.len(), upstream.oauth_tokens.len()) {
        (1, 0) => "an API key".to_owned(),
        (0, 1) => "an OAuth token".to_owned(),
        (keys, tokens) => format!("{} credentials", keys + tokens),
    };
    let proxy = proxy.filter(|proxy| !proxy.is_empty());
    let url = proxy.unwrap_or(&upstream.base_url);
    let Some((host, port)) = endpoint(url) else {
        return Check::fails(NAME, format!("{url:?} is no URL"), format!("correct {variable}"));
    };
    let seen = format!("{kind} is set (not tried, which would cost), {host}:{port}");
    let failed = match timeout(CONNECT, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => return Check::holds(NAME, format!("{seen} answers")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    let remedy = format!(
        "let this machine reach {host}:{port}, or set HTTPS_PROXY to a proxy that does; \
         {variable} names another API"
    );
    Check::fails(NAME, format!("{seen} cannot be reached: {failed}"), remedy)
}

fn endpoint(url: &str) -> Option<(String, u16)> {
    let url = reqwest::Url::parse(url).ok()?;
    Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port_or_known_default()?))
}

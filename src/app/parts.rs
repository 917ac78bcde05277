//! The parts of a server, from its configuration.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use secrecy::SecretString;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{
    Options, place,
    programs::{installed_claude, installed_codex, reachable, reachable_package},
};
use crate::{
    agent::{Programs, Prompts, Runtime, Toolchains},
    clock::Clock,
    config::{Agents, Config, SandboxChoice, Upstream},
    db,
    event::Identity,
    gateway::{self, Api, Credential, DatabaseAgents, Gateway, Price, Prices},
    github,
    logs::{DatabaseLines, LogSettings, Logs, Redactor},
    model::{Limits, Micros, Timestamp, WebTools},
    pipeline::{DeployGrant, Parts, Settings},
    queue::Wakes,
    sandbox::{Bubblewrap, Container, Host, Owner, Sandbox},
    tools::{self, Tools},
    workspace::{Account, Workspaces},
};

/// How long one request to GitHub may take.
const GITHUB_TIMEOUT: Duration = Duration::from_secs(30);

/// Builds everything that the pipeline works with.
pub(super) async fn build(
    config: &Config,
    options: &Options,
    pool: &PgPool,
    shutting_down: CancellationToken,
) -> anyhow::Result<(Parts, Gateway)> {
    let clock = &options.clock;
    let began = clock.now();
    let data = place::prepare(&config.data)?;
    let github = github(config, clock)?;
    let app = github.identity().await.context("asking GitHub who this App is")?;
    let identity = Identity {
        app_id: app.app_id,
        bot: app.bot,
        slug: app.slug.clone(),
        name: config.name.clone(),
    };
    let mut limits = config.limits.clone();
    if limits.accounts.is_empty() {
        limits.accounts.push(app.owner_login.clone());
    }
    let secrets = secrets(config);
    let redactor = Redactor::new(secrets.iter().map(secrecy::ExposeSecret::expose_secret));
    let wakes = Wakes::new();
    let redact = redactor.clone();
    let tools = Tools {
        pool: pool.clone(),
        clock: clock.clone(),
        wakes: wakes.clone(),
        redact: Arc::new(move |text: &str| redact.redact(text)),
    };
    let gateway = gateway(config, &data, &limits, tools).await?;
    let bridge = match &options.bridge {
        Some(bridge) => bridge.clone(),
        None => std::env::current_exe()?,
    };
    let shown = toolchains(&config.sandbox.tools);
    let runtime = runtime(&config.agents, shown, &bridge, &data, &gateway)?;
    let kind = runtime.kind().name().to_owned();
    let node = db::nodes::upsert(pool, &node_name(&data), &[kind], clock.now()).await?;
    let settings = Settings {
        name: config.name.clone(),
        provider: config.agents.provider.clone(),
        providers: providers(&config.agents),
        model: config.agents.model.clone(),
        limits,
        web: config.agents.web.clone(),
        keep: config.keep,
        grants: config.grants.iter().map(grant).collect(),
        secrets: secrets.clone(),
        node,
        salt: db::server::salt(pool).await?,
        began,
        minute: options.minute,
    };
    let lines = Arc::new(DatabaseLines(pool.clone()));
    let parts = Parts {
        pool: pool.clone(),
        clock: clock.clone(),
        github,
        identity,
        runtime,
        prompts: Prompts::embedded()?,
        logs: Logs::start(lines, redactor, clock.clone(), LogSettings::default()),
        wakes,
        shutting_down,
        settings,
    };
    Ok((parts, gateway))
}

/// Starts what agents reach by their one socket: the models' APIs, and Baton's own tools.
async fn gateway(
    config: &Config,
    data: &Path,
    limits: &Limits,
    tools: Tools,
) -> anyhow::Result<Gateway> {
    let (pool, clock) = (tools.pool.clone(), tools.clock.clone());
    let books = Arc::new(DatabaseAgents::new(pool.clone(), limits.clone()));
    let resting = db::provider_keys::list_resting(&pool, clock.now()).await?;
    let resting: Vec<_> =
        resting.into_iter().map(|cooldown| (cooldown.name, cooldown.until)).collect();
    let settings = gateway_settings(&config.agents, data, &resting);
    Ok(Gateway::start_beside(settings, books, clock, tools::router(tools))?)
}

fn node_name(data: &Path) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), data.display())
}

pub(super) fn github(config: &Config, clock: &Clock) -> anyhow::Result<github::App> {
    let settings = github::Settings {
        base_url: config.github.api_url.clone(),
        app_id: config.github.app_id,
        private_key_pem: config.github.private_key.clone(),
        timeout: GITHUB_TIMEOUT,
        user_agent: concat!("baton/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Ok(github::App::new(settings, clock.clone())?)
}

/// How the gateway is to be run; its socket lies in the data folder.
///
/// Of the credentials some may be known to rest, by name, until then.
pub(super) fn gateway_settings(
    agents: &Agents,
    data: &Path,
    resting: &[(String, Timestamp)],
) -> gateway::Settings {
    let prices = agents.prices.iter().map(|(model, price)| {
        let price = Price {
            input: price.input,
            output: price.output,
            cache_read: price.cache_read,
            cache_write: price.cache_write,
            cache_write_hour: Micros(price.input.0.saturating_mul(2)),
            search: Micros::ZERO,
        };
        (model.clone(), price)
    });
    gateway::Settings {
        // Alone in its folder, which containers are shown that may outlive this server.
        socket: data.join("gateway").join("gateway.sock"),
        mode: 0o666,
        anthropic: api(&agents.upstream, Credential::ApiKey, resting, &agents.web.anthropic),
        openai: api(&agents.openai, Credential::Bearer, resting, &agents.web.openai),
        prices: Prices::new(prices.collect()),
        proxy: std::env::var("HTTPS_PROXY").ok().filter(|proxy| !proxy.is_empty()),
    }
}

/// Where an API is, if there is a credential for it; `key` says how it wants a key.
fn api(
    upstream: &Upstream,
    key: impl FnMut(SecretString) -> Credential,
    resting: &[(String, Timestamp)],
    web: &WebTools,
) -> Option<Api> {
    let keys = upstream.api_keys.iter().cloned().map(key);
    let tokens = upstream.oauth_tokens.iter().cloned().map(Credential::OAuth);
    let credentials: Vec<_> = keys.chain(tokens).collect();
    let (base_url, resting) = (upstream.base_url.clone(), resting.to_vec());
    let web = web.clone();
    (!credentials.is_empty()).then_some(Api { base_url, credentials, resting, web })
}

/// The sandbox of the configured kind; nothing is started in it yet.
pub(super) fn sandbox(
    agents: &Agents,
    bridge: &Path,
    data: &Path,
) -> anyhow::Result<Arc<dyn Sandbox>> {
    let owner = Owner::default();
    let bridge = reachable(bridge, data)?;
    Ok(match &agents.sandbox {
        SandboxChoice::Bubblewrap => Arc::new(Bubblewrap::new(crate::sandbox::Settings {
            program: PathBuf::from("bwrap"),
            bridge,
            state: data.join("sandbox"),
            owner,
            nested: false,
        })?),
        SandboxChoice::Container(containers) => {
            Arc::new(Container::new(crate::sandbox::ContainerSettings {
                socket: containers.socket.clone(),
                image: containers.image.clone(),
                cpus: containers.cpus,
                bridge,
                state: data.join("sandbox"),
                owner,
                survive_seconds: containers.survive_seconds,
            })?)
        }
        SandboxChoice::Host => Arc::new(Host::new(bridge, owner)),
    })
}

/// Mirrors and worktrees, given to the account that sandboxes have.
pub(super) fn workspaces(data: &Path) -> std::io::Result<Workspaces> {
    let Owner { uid, gid } = Owner::default();
    let account = rustix::process::geteuid().is_root().then_some(Account { uid, gid });
    Workspaces::new(crate::workspace::Settings::new(data.to_owned(), account))
}

/// Where and how agents run; nothing is started yet.
pub(super) fn runtime(
    agents: &Agents,
    tools: Toolchains,
    bridge: &Path,
    data: &Path,
    gateway: &Gateway,
) -> anyhow::Result<Runtime> {
    let is_root = rustix::process::geteuid().is_root();
    let owner = Owner::default();
    let sandbox = sandbox(agents, bridge, data)?;
    let workspaces = workspaces(data)?;
    let claude = agents.claude.clone().or_else(installed_claude);
    let codex = agents.codex.clone().or_else(installed_codex);
    let programs = Programs {
        claude: claude.map(|path| reachable(&path, data)).transpose()?,
        codex: codex.map(|path| reachable_package(&path, data)).transpose()?,
        command: agents.command.clone(),
        tools,
        images: match &agents.sandbox {
            SandboxChoice::Container(containers) => containers.images.clone(),
            SandboxChoice::Bubblewrap | SandboxChoice::Host => Vec::new(),
        },
    };
    Ok(Runtime::new(
        sandbox,
        workspaces,
        programs,
        gateway.socket().to_owned(),
        is_root.then_some(owner),
        Box::new(gateway.quota_back()),
        Box::new(gateway.limited()),
    )
    .within(agents.ceiling)
    .told_of(Box::new(gateway.refused())))
}

/// The providers that agents can be of here.
fn providers(agents: &Agents) -> Vec<String> {
    // An image is taken to have both.
    let in_image = matches!(agents.sandbox, SandboxChoice::Container(_));
    let claude = in_image || agents.claude.is_some() || installed_claude().is_some();
    let codex = in_image || agents.codex.is_some() || installed_codex().is_some();
    let all = [
        ("claude", claude && agents.upstream.is_open()),
        ("codex", codex && agents.openai.is_open()),
        ("command", !agents.command.is_empty()),
    ];
    all.into_iter().filter(|(_, is_here)| *is_here).map(|(name, _)| name.to_owned()).collect()
}

/// The folders of tools that can be shown; the others are told, and not shown.
pub(super) fn toolchains(folders: &[PathBuf]) -> Toolchains {
    let shown = folders.iter().filter(|folder| {
        let obstacle = Toolchains::obstacle(folder);
        if let Some(obstacle) = &obstacle {
            tracing::error!(%obstacle, "a folder of tools is not shown to sandboxes");
        }
        obstacle.is_none()
    });
    Toolchains::new(shown.cloned().collect())
}

fn grant(grant: &crate::config::Grant) -> DeployGrant {
    DeployGrant {
        repository: grant.repository.clone(),
        environment: grant.environment.clone(),
        variables: grant.variables.clone(),
        secrets: grant.secrets.clone(),
    }
}

/// The models' keys and tokens.
pub(super) fn model_keys(agents: &Agents) -> impl Iterator<Item = &SecretString> {
    let apis = [&agents.upstream, &agents.openai];
    apis.into_iter().flat_map(|api| api.api_keys.iter().chain(&api.oauth_tokens))
}

/// Everything that must never be stored or pushed.
fn secrets(config: &Config) -> Vec<SecretString> {
    let github = &config.github;
    let agents = &config.agents;
    let own = github.webhook_secrets.iter().chain([&github.private_key]);
    let model = model_keys(agents);
    let granted = config.grants.iter().flat_map(|grant| grant.secrets.values());
    own.chain(model).chain(granted).cloned().collect()
}

//! The small world that the demo is played in: an emulated GitHub with a sample repository, a scripted
//! model, a hosting platform, and a real Baton between them. Everything listens on 127.0.0.1.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use emulators::{
    github::{AppRegistration, GitHub, RepositoryOptions, Role, generate_app_key},
    host::{self, Host},
    models::{self, AGENT_PROGRAM, Anthropic, Brain, OpenAi},
    sample,
};

use crate::{
    app::{Options, Server},
    clock::Clock,
    config::{
        self, Agents, Config, GitHub as GitHubConfig, Grant, Listen, Price, SandboxChoice,
        SandboxTools, Upstream,
    },
    model::{Ceiling, Environment, Keep, Limits, Micros, RepositoryName, Web},
};

/// The account that the sample repository belongs to.
pub const OWNER: &str = "acme";
/// The sample repository.
pub const REPOSITORY: &str = "acme/files";
/// The maintainer.
pub const MAINTAINER: &str = "mara";
/// The slug of the demo's App.
pub const SLUG: &str = "baton-demo";

const APP_ID: u64 = 4711;
const BOT_ID: u64 = 990_001;
/// The models of the two APIs; both cost the same here.
const MODELS: [&str; 2] = ["claude-sonnet-4-5", "gpt-5.5"];
const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What a world is made of.
pub struct Recipe {
    /// Where everything is kept.
    pub folder: PathBuf,
    /// `claude`, `codex` or `command`.
    pub provider: String,
    /// The native `claude` program.
    pub claude: Option<PathBuf>,
    /// The native `codex` program.
    pub codex: Option<PathBuf>,
    /// Who plays the model.
    pub brain: Arc<dyn Brain>,
    /// Where agents run.
    pub sandbox: SandboxChoice,
    /// The database; a private one where none is named.
    pub database_url: Option<String>,
    /// The sample's files, path and text; `sample::files` unless something is to be different.
    pub files: Vec<(String, String, bool)>,
    /// A repository of this machine that is copied instead of the sample. It is deployed nowhere.
    pub copy_of: Option<PathBuf>,
    /// Agents of the operator's own and what they may cost, in the place of those of the scripted
    /// model.
    pub live: Option<config::Local>,
    /// The time.
    pub clock: Clock,
}

/// The running world around Baton.
pub struct World {
    /// The repository, as `owner/name`.
    pub repository: String,
    /// Whether agents ask a real model.
    pub live: bool,
    /// The emulated GitHub.
    pub github: GitHub,
    /// The scripted model behind Anthropic's API.
    pub models: Anthropic,
    /// The same behind OpenAI's.
    pub openai: OpenAi,
    /// The hosting platform.
    pub host: Host,
    /// What Baton is configured with.
    pub config: Config,
    /// The time.
    pub clock: Clock,
}

impl Recipe {
    /// The demo's own world in a folder.
    #[must_use]
    pub fn new(folder: PathBuf, brain: Arc<dyn Brain>) -> Self {
        let files = sample::files().into_iter();
        Self {
            folder,
            provider: "command".to_owned(),
            claude: None,
            codex: None,
            brain,
            sandbox: SandboxChoice::Bubblewrap,
            database_url: None,
            files: files
                .map(|file| (file.path.to_owned(), file.contents.to_owned(), file.executable))
                .collect(),
            copy_of: None,
            live: None,
            clock: Clock::system(),
        }
    }

    /// Builds the world; Baton itself is not running yet.
    ///
    /// # Errors
    /// When a part cannot listen or write.
    pub async fn build(self) -> anyhow::Result<World> {
        fs::create_dir_all(&self.folder)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o711))?;
        let key = generate_app_key()?;
        let secret = uuid::Uuid::new_v4().to_string();
        let clock = self.clock.clone();
        let settings = emulators::github::Settings {
            data_dir: self.folder.join("github"),
            webhook_url: None,
            webhook_secret: secret.clone(),
            app: AppRegistration {
                id: APP_ID,
                slug: SLUG.to_owned(),
                public_key_pem: key.public_pem,
                bot_user_id: BOT_ID,
            },
            clock: Arc::new(move || clock.now()),
            listen: ANYWHERE,
        };
        let github = GitHub::start(settings).await.context("starting the emulated GitHub")?;
        register(&github)?;
        let repository = self.populate(&github)?;
        let model_key = uuid::Uuid::new_v4().to_string();
        let model = || models::Settings::local(model_key.clone(), Arc::clone(&self.brain));
        let models = Anthropic::start(model()).await?;
        let openai = OpenAi::start(model()).await?;
        let deploy_token = uuid::Uuid::new_v4().to_string();
        let host =
            Host::start(host::Settings::local(deploy_token.clone(), self.folder.join("host")))
                .await?;
        let program = self.folder.join("agent.mjs");
        fs::write(&program, AGENT_PROGRAM)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o644))?;
        let config = Config {
            name: "baton".to_owned(),
            data: self.folder.join("baton"),
            database_url: self.database_url.clone(),
            github: GitHubConfig {
                app_id: APP_ID,
                private_key: key.private_pem.into(),
                webhook_secrets: vec![secret.into()],
                api_url: github.api_url(),
            },
            listen: Listen { public: ANYWHERE, admin: ANYWHERE },
            agents: self.agents([models.url(), openai.url()], &model_key, &program),
            sandbox: SandboxTools::default(),
            limits: Limits { accounts: vec![OWNER.to_owned()], ..self.limits() },
            keep: Keep::default(),
            grants: match self.copy_of {
                Some(_) => Vec::new(),
                None => vec![grant(&host, deploy_token)?],
            },
        };
        let live = self.live.is_some();
        Ok(World { repository, live, github, models, openai, host, config, clock: self.clock })
    }

    /// People, the repository and the installation; gives the repository's name.
    fn populate(&self, github: &GitHub) -> anyhow::Result<String> {
        github.add_organization(OWNER);
        github.add_user(MAINTAINER);
        let (_, sample) = REPOSITORY.split_once('/').context("owner/name")?;
        let name = match &self.copy_of {
            Some(folder) => {
                let name = name_of(folder);
                github.add_copy(OWNER, &name, folder, RepositoryOptions::default())?;
                name
            }
            None => {
                let files: Vec<(&str, &[u8], bool)> = self
                    .files
                    .iter()
                    .map(|(path, text, executable)| (path.as_str(), text.as_bytes(), *executable))
                    .collect();
                github.add_repository(OWNER, sample, &files, RepositoryOptions::default())?;
                sample.to_owned()
            }
        };
        let repository = format!("{OWNER}/{name}");
        github.grant(&repository, MAINTAINER, Role::Maintain)?;
        github.install(OWNER, &[&name])?;
        Ok(repository)
    }

    fn limits(&self) -> Limits {
        self.live.as_ref().map(|live| live.limits.clone()).unwrap_or_default()
    }

    fn agents(&self, urls: [String; 2], key: &str, program: &Path) -> Agents {
        if let Some(live) = &self.live {
            return Agents { sandbox: self.sandbox.clone(), ..live.agents.clone() };
        }
        let price = Price {
            input: Micros::from_dollars(3.0),
            output: Micros::from_dollars(15.0),
            cache_read: Micros::from_dollars(0.3),
            cache_write: Micros::from_dollars(3.75),
        };
        let [upstream, openai] = urls.map(|base_url| Upstream {
            base_url,
            api_keys: vec![key.into()],
            oauth_tokens: Vec::new(),
        });
        let [claude_model, codex_model] = MODELS;
        let model = if self.provider == "codex" { codex_model } else { claude_model };
        Agents {
            provider: self.provider.clone(),
            model: model.to_owned(),
            claude: self.claude.clone(),
            codex: self.codex.clone(),
            command: vec!["node".to_owned(), program.display().to_string()],
            sandbox: self.sandbox.clone(),
            ceiling: Ceiling::default(),
            upstream,
            openai,
            prices: MODELS.map(|model| (model.to_owned(), price)).into(),
            web: Web::default(),
        }
    }
}

/// What an App made from Baton's manifest may do and hears of.
#[derive(serde::Deserialize)]
struct Manifest {
    default_events: Vec<String>,
    default_permissions: BTreeMap<String, String>,
}

/// Registers the App as a person would, from the manifest.
fn register(github: &GitHub) -> anyhow::Result<()> {
    let manifest = include_str!("../../../app-manifest.yml");
    let Manifest { default_events, default_permissions } = serde_yaml_ng::from_str(manifest)?;
    let permissions: Vec<(&str, &str)> =
        default_permissions.iter().map(|(name, level)| (name.as_str(), level.as_str())).collect();
    let events: Vec<&str> = default_events.iter().map(String::as_str).collect();
    github.register(&permissions, &events);
    Ok(())
}

/// A name that GitHub would take for a repository, after the folder it is copied from.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.trim_end_matches(".git").chars().map(plain).take(100).collect();
    if name.trim_matches('.').is_empty() { "repository".to_owned() } else { name }
}

fn grant(host: &Host, token: String) -> anyhow::Result<Grant> {
    Ok(Grant {
        repository: RepositoryName::try_from(REPOSITORY.to_owned())?,
        environment: Environment::new("production")?,
        variables: BTreeMap::from([
            ("DEPLOY_URL".to_owned(), host.url()),
            ("SERVICE_URL".to_owned(), host.service_url()),
        ]),
        secrets: BTreeMap::from([("DEPLOY_TOKEN".to_owned(), token.into())]),
    })
}

impl World {
    /// Starts Baton in this process and points GitHub at it.
    ///
    /// # Errors
    /// When a part of it cannot start.
    pub async fn start_baton(&self) -> anyhow::Result<Server> {
        self.start_baton_with(Options::default()).await
    }

    /// The same with other options; the clock is the world's.
    ///
    /// # Errors
    /// When a part of it cannot start.
    pub async fn start_baton_with(&self, options: Options) -> anyhow::Result<Server> {
        let options = Options { clock: self.clock.clone(), ..options };
        let server = Server::start(self.config.clone(), options).await?;
        self.github.set_webhook_url(&format!("http://{}/webhook", server.public));
        Ok(server)
    }

    /// Whether nothing may be deployed.
    #[must_use]
    pub fn grants_nothing(&self) -> bool {
        self.config.grants.is_empty()
    }

    /// Ends everything around Baton.
    pub async fn shutdown(self) {
        self.github.shutdown().await;
        self.models.shutdown().await;
        self.openai.shutdown().await;
        self.host.shutdown().await;
    }
}

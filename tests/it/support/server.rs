//! Baton as a process of its own, configured as an operator would: an environment and a `baton.toml`.

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use baton::{
    cli::demo::world::World,
    config::{Config, Containers, Grant, SandboxChoice},
    db::Address,
};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;

/// How long a start or a stop may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A `baton serve` that runs. Dropped, it is killed.
pub struct Process {
    child: Child,
}

/// Everything that `baton serve` is started with.
pub struct Operator {
    /// Holds the configuration and what the servers print.
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Operator {
    /// Writes the configuration of a world's Baton; the database is reached by `database_url`.
    pub fn new(world: &World, folder: &Path, database_url: &str) -> Self {
        let config = &world.config;
        let file = folder.join("baton.toml");
        fs::write(&file, configuration(config)).unwrap();
        let key = folder.join("app.pem");
        let mut options = OpenOptions::new();
        let mut key_file = options.create(true).write(true).mode(0o600).open(&key).unwrap();
        let pem = config.github.private_key.expose_secret();
        std::io::Write::write_all(&mut key_file, pem.as_bytes()).unwrap();
        let model_key = &config.agents.upstream.api_keys[0];
        let pairs = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("DATABASE_URL", database_url.to_owned()),
            ("BATON_DATA", config.data.display().to_string()),
            ("BATON_CONFIG", file.display().to_string()),
            ("BATON_LISTEN", "127.0.0.1:0".to_owned()),
            ("BATON_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("GITHUB_API_URL", config.github.api_url.clone()),
            ("GITHUB_APP_ID", config.github.app_id.to_string()),
            ("GITHUB_PRIVATE_KEY_FILE", key.display().to_string()),
            ("GITHUB_WEBHOOK_SECRET", config.github.webhook_secrets[0].expose_secret().to_owned()),
            ("ANTHROPIC_API_KEY", model_key.expose_secret().to_owned()),
            ("OPENAI_API_KEY", model_key.expose_secret().to_owned()),
            ("OPENAI_BASE_URL", config.agents.openai.base_url.clone()),
            ("BATON_MODEL", config.agents.model.clone()),
        ];
        let claude = config.agents.claude.iter();
        let claude = claude.map(|path| ("BATON_CLAUDE".to_owned(), path.display().to_string()));
        let codex = config.agents.codex.iter();
        let codex = codex.map(|path| ("BATON_CODEX".to_owned(), path.display().to_string()));
        let secrets = config.grants.iter().flat_map(|grant| &grant.secrets);
        let secrets =
            secrets.map(|(name, value)| (variable(name), value.expose_secret().to_owned()));
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value));
        Self {
            folder: folder.to_owned(),
            environment: pairs.chain(claude).chain(codex).chain(secrets).collect(),
        }
    }

    /// The same with one more variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What all servers have printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Starts the process; it is not up yet.
    pub fn spawn(&self) -> Process {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.unwrap();
        let printed = File::create(self.folder.join("printed")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .arg("serve")
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(printed)
            .stderr(log)
            .spawn();
        Process { child: child.unwrap() }
    }

    /// Where the running server takes webhooks, once it is up; none if it ended before.
    pub async fn until_up(&self, process: &mut Process) -> Option<SocketAddr> {
        let waiting = async {
            loop {
                let printed = fs::read_to_string(self.folder.join("printed")).unwrap_or_default();
                let address = printed.split_once("webhooks on ").and_then(|(_, rest)| {
                    let (address, _) = rest.split_once(',')?;
                    Some(address.parse().unwrap())
                });
                if address.is_some() || process.ended().is_some() {
                    return address;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("baton is not up in time")
    }
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it ended by SIGKILL.
    pub fn was_killed(&mut self) -> bool {
        self.ended().is_some_and(|status| status.signal() == Some(Signal::KILL.as_raw()))
    }

    /// Asks it to end as an operator does, and waits until it has.
    pub async fn stop(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let waiting = async {
            loop {
                if let Some(status) = self.ended() {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("baton does not stop in time")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a test's database, as an operator would write it.
pub fn database_url(address: &Address) -> String {
    let Address::Socket { folder, user, database } = address else {
        panic!("the tests' server is reached by its socket")
    };
    let folder = folder.display();
    format!("postgres://{user}@localhost/{database}?host={folder}&sslmode=disable")
}

/// The variable of the server's environment that holds a granted secret.
fn variable(name: &str) -> String {
    format!("GRANTED_{name}")
}

/// The file an operator would write for it.
fn configuration(config: &Config) -> String {
    let agents = &config.agents;
    let file = serde_json::json!({
        "agents": {
            "provider": agents.provider,
            "model": agents.model,
            "command": agents.command,
            "anthropic_base_url": agents.upstream.base_url,
        },
        "sandbox": sandbox(&agents.sandbox),
        "limits": { "accounts": config.limits.accounts },
        "deploy": config.grants.iter().map(granted).collect::<Vec<_>>(),
    });
    toml::to_string(&file).unwrap()
}

fn sandbox(choice: &SandboxChoice) -> serde_json::Value {
    match choice {
        SandboxChoice::Container(Containers {
            socket,
            image,
            images,
            cpus: None,
            survive_seconds,
        }) => {
            serde_json::json!({
                "kind": "container", "socket": socket, "image": image, "images": images,
                "survive_seconds": survive_seconds,
            })
        }
        SandboxChoice::Bubblewrap => serde_json::json!({ "kind": "bubblewrap" }),
        other => panic!("an operator of these tests does not write {other:?}"),
    }
}

fn granted(grant: &Grant) -> serde_json::Value {
    let secrets = grant.secrets.keys().map(|name| (name.clone(), variable(name).into()));
    serde_json::json!({
        "repository": grant.repository.to_string(),
        "environment": grant.environment.to_string(),
        "variables": grant.variables,
        "secrets": secrets.collect::<serde_json::Map<_, _>>(),
    })
}

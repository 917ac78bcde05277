//! Starts commands in containers, one each.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bollard::{
    Docker,
    query_parameters::{
        AttachContainerOptions, CreateContainerOptions, ListContainersOptions,
        StartContainerOptions,
    },
};
use tokio::{
    io::AsyncWriteExt,
    sync::{OnceCell, mpsc, watch as channel},
};

use super::{
    body::{self, Labels},
    daemon::{Account, Daemon},
    flow,
    lifeline::Lifeline,
    trial,
    watch::{self, Orders, Watch},
};
use crate::sandbox::{
    BoxFuture, Kind, Owner, Running, Sandbox, SandboxError, Spec, bridge::environment_header, etc,
    is_alive, proc,
};

/// How containers are used on this machine.
#[derive(Debug, Clone)]
pub struct ContainerSettings {
    /// The daemon's Unix socket.
    pub socket: PathBuf,
    /// The image; it has to be there already.
    pub image: String,
    /// How many processors one container may use; all of them where nothing is said.
    pub cpus: Option<f64>,
    /// Baton's own executable; readable by every account, with every folder above it.
    pub bridge: PathBuf,
    /// A folder for a few small files and sockets; every folder above it has to have its `x` bit for others.
    /// It also names this Baton's containers among others.
    pub state: PathBuf,
    /// The account that commands get when Baton is root.
    pub owner: Owner,
}

/// Starts commands in containers.
pub struct Container {
    settings: ContainerSettings,
    daemon: OnceCell<Daemon>,
}

impl Container {
    /// Writes the files that every container sees. Starts nothing: see [`Sandbox::self_test`].
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn new(settings: ContainerSettings) -> io::Result<Self> {
        for folder in [&settings.state, &settings.state.join(LINES)] {
            fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
        }
        let Account { uid, gid, .. } = Account::of(&settings);
        etc::write(&settings.state, uid, gid)?;
        Ok(Self { settings, daemon: OnceCell::new() })
    }

    pub(super) fn settings(&self) -> &ContainerSettings {
        &self.settings
    }

    /// The daemon; it is asked who it is once.
    pub(super) async fn daemon(&self) -> Result<&Daemon, SandboxError> {
        self.daemon.get_or_try_init(|| Daemon::connect(&self.settings)).await
    }

    /// What is written on a container of this Baton.
    fn labels(&self, name: &str) -> Labels {
        Labels {
            installation: self.settings.state.display().to_string(),
            process: proc::reference(rustix::process::getpid()),
            name: name.to_owned(),
        }
    }
}

/// The folder of lifelines in the state folder.
const LINES: &str = "lines";

impl Sandbox for Container {
    fn kind(&self) -> Kind {
        Kind::Container
    }

    fn image(&self) -> Option<&str> {
        Some(&self.settings.image)
    }

    fn self_test(&self) -> BoxFuture<'_, Result<(), SandboxError>> {
        Box::pin(trial::run(self))
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(async move {
            spec.check()?;
            if !spec.overlays.is_empty() {
                let what = "containers lay no folder over another".to_owned();
                return Err(SandboxError::InvalidSpec(what));
            }
            let account = Account::of(&self.settings);
            let daemon = self.daemon().await?;
            let mut body = body::of(&self.settings, &account, &spec, &self.labels(&spec.name))?;
            if let Some(profile) = &daemon.seccomp {
                body::restrict(&mut body, profile);
            }
            let header = environment_header(&spec.env)?;
            let lines = self.settings.state.join(LINES);
            let beginning = Beginning { docker: daemon.docker.clone(), header, lines };
            let image = spec.image.as_ref().unwrap_or(&self.settings.image).clone();
            // In a task of its own, so that nothing is forgotten half-way when nobody waits any more.
            let begun = tokio::spawn(beginning.begin(body));
            let begun = begun.await.map_err(io::Error::other)?;
            begun.map_err(|error| trial::explain(error, &image))
        })
    }

    fn clear(&self) -> BoxFuture<'_, Result<usize, SandboxError>> {
        Box::pin(async {
            let docker = &self.daemon().await?.docker;
            let Labels { installation, .. } = self.labels("");
            let ours = format!("{}={installation}", body::INSTALLATION);
            let options = ListContainersOptions {
                all: true,
                filters: Some(HashMap::from([("label".to_owned(), vec![ours])])),
                ..ListContainersOptions::default()
            };
            let listed = docker.list_containers(Some(options)).await;
            let listed = listed.map_err(|error| trial::explain(error, &self.settings.image))?;
            let mut cleared = 0;
            let mut living = Vec::new();
            for found in listed {
                let process = found.labels.as_ref().and_then(|labels| labels.get(body::PROCESS));
                if process.is_some_and(|process| is_alive(process)) {
                    living.extend(found.names.unwrap_or_default());
                    continue;
                }
                if let Some(id) = found.id {
                    watch::remove(docker, &id).await;
                    cleared += 1;
                }
            }
            clear_lines(&self.settings.state.join(LINES), &living)?;
            Ok(cleared)
        })
    }
}

/// Takes away the lifelines on which nobody called before their Baton was killed.
fn clear_lines(lines: &Path, living: &[String]) -> io::Result<()> {
    for entry in fs::read_dir(lines)? {
        let entry = entry?;
        let container = format!("baton-{}", entry.file_name().to_string_lossy());
        // The daemon's names begin with a slash.
        if !living.iter().any(|name| name.trim_start_matches('/') == container) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What one start needs.
struct Beginning {
    docker: Docker,
    header: Vec<u8>,
    lines: PathBuf,
}

impl Beginning {
    async fn begin(
        self,
        mut body: bollard::models::ContainerCreateBody,
    ) -> Result<Running, bollard::errors::Error> {
        let lifeline = Lifeline::open(&self.lines)?;
        body::show_lifeline(&mut body, lifeline.path());
        let options = CreateContainerOptions {
            name: Some(format!("baton-{}", lifeline.name())),
            ..CreateContainerOptions::default()
        };
        let made = self.docker.create_container(Some(options), body).await?;
        let begun = self.run(&made.id, lifeline).await;
        if begun.is_err() {
            watch::remove(&self.docker, &made.id).await;
        }
        begun
    }

    async fn run(&self, id: &str, lifeline: Lifeline) -> Result<Running, bollard::errors::Error> {
        let options = AttachContainerOptions {
            stream: true,
            stdin: true,
            stdout: true,
            stderr: true,
            ..AttachContainerOptions::default()
        };
        let attached = self.docker.attach_container(id, Some(options)).await?;
        self.docker.start_container(id, None::<StartContainerOptions>).await?;
        let (streams, flowing) = flow::split(attached);
        let (orders, taken) = mpsc::unbounded_channel();
        let (exit_sender, exit) = channel::channel(None);
        let reference = format!("container:{id}");
        let ordered = Arc::new(Orders::new(orders));
        let control = Arc::clone(&ordered);
        let mut running = Running::new(streams, control, reference, exit);
        let docker = self.docker.clone();
        let watch = Watch { docker, id: id.to_owned(), orders: taken, ordered, exit: exit_sender };
        tokio::spawn(watch.follow(lifeline, flowing));
        if let Some(stdin) = &mut running.stdin {
            // A container that fails at once closes its input: its complaint and exit say why, not this.
            let _ = stdin.write_all(&self.header).await;
        }
        Ok(running)
    }
}

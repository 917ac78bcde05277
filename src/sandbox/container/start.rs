//! Starts commands in containers, one each.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bollard::{
    Docker,
    query_parameters::{
        AttachContainerOptions, CreateContainerOptions, InspectContainerOptions,
        ListContainersOptions, StartContainerOptions,
    },
};
use tokio::{
    io::AsyncWriteExt,
    sync::{OnceCell, mpsc, watch as channel},
    task::JoinHandle,
    time::timeout,
};

use super::{
    body::{self, Labels},
    daemon::{Account, Daemon},
    flow,
    lifeline::Lifeline,
    record::{Filed, Record, Records},
    talk::{self, Met},
    trial,
    watch::{self, Orders, Watch},
};
use crate::sandbox::{
    BoxFuture, Exit, Kept, Kind, Owner, Running, Sandbox, SandboxError, Spec,
    bridge::environment_header,
    etc, is_alive, proc,
    running::{Bond, Input, Output},
    wire::{Key, NO_KEY},
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
    /// For how long those that may survive go on without a Baton, in seconds; 0 for not at all.
    pub survive_seconds: u64,
}

impl ContainerSettings {
    /// For how many seconds a command goes on without a Baton, if it does.
    pub(super) fn survival(&self, spec: &Spec) -> Option<u64> {
        Some(self.survive_seconds).filter(|seconds| spec.may_survive && *seconds > 0)
    }
}

/// Starts commands in containers.
pub struct Container {
    settings: ContainerSettings,
    daemon: OnceCell<Daemon>,
    records: Records,
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
        let records = Records::new(&settings.state, settings.state.join(LINES))?;
        Ok(Self { settings, daemon: OnceCell::new(), records })
    }

    pub(super) fn settings(&self) -> &ContainerSettings {
        &self.settings
    }

    /// The daemon; it is asked who it is once.
    pub(super) async fn daemon(&self) -> Result<&Daemon, SandboxError> {
        self.daemon.get_or_try_init(|| Daemon::connect(&self.settings)).await
    }

    /// Whether a container is there and runs.
    async fn runs(&self, docker: &Docker, id: &str) -> Result<bool, SandboxError> {
        match docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(seen) => Ok(seen.state.and_then(|state| state.running).unwrap_or(false)),
            Err(error) if watch::is_gone(&error) => Ok(false),
            Err(error) => Err(trial::explain(error, &self.settings.image)),
        }
    }

    /// Waits for the call of a bridge that survived.
    async fn called(&self, record: &Record, kept: Kept) -> io::Result<Met> {
        let lines = self.settings.state.join(LINES);
        let lifeline = Lifeline::open_apart(&lines, Some(&record.name))?;
        let meeting = Met::at(lifeline, record.key, record.key, kept);
        timeout(CALL, meeting).await.map_err(|_| io::Error::other("it does not call"))?
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
            let beginning = Beginning {
                docker: daemon.docker.clone(),
                header,
                lines: self.settings.state.join(LINES),
                records: self.settings.survival(&spec).map(|_| self.records.clone()),
            };
            let image = spec.image.as_ref().unwrap_or(&self.settings.image).clone();
            // In a task of its own, so that nothing is forgotten half-way when nobody waits any more.
            let begun = tokio::spawn(beginning.begin(body));
            let begun = begun.await.map_err(io::Error::other)?;
            begun.map_err(|error| trial::explain(error, &image))
        })
    }

    fn survives(&self) -> Duration {
        Duration::from_secs(self.settings.survive_seconds)
    }

    fn resume<'a>(
        &'a self,
        reference: &'a str,
        kept: Kept,
    ) -> BoxFuture<'a, Result<Option<Running>, SandboxError>> {
        Box::pin(async move {
            let Some(id) = reference.strip_prefix(REFERENCE) else { return Ok(None) };
            let Some(record) = self.records.read(id) else { return Ok(None) };
            if let Some(code) = record.code {
                return Ok(Some(over(reference, code)));
            }
            let docker = self.daemon().await?.docker.clone();
            let called = match self.runs(&docker, id).await? {
                true => self.called(&record, kept).await,
                false => Err(io::Error::other("it has ended")),
            };
            match called {
                Ok(met) => {
                    let filed = Arc::new(self.records.file(id, record)?);
                    Ok(Some(taken_up(docker, id, met, filed)))
                }
                Err(error) => {
                    tracing::warn!(container = id, %error, "nobody can go on with a container");
                    watch::remove(&docker, id).await;
                    self.records.forget(id, &record.name);
                    Ok(None)
                }
            }
        })
    }

    fn clear<'a>(&'a self, keep: &'a [String]) -> BoxFuture<'a, Result<usize, SandboxError>> {
        Box::pin(async move {
            let kept = keep.iter().filter_map(|reference| reference.strip_prefix(REFERENCE));
            let kept: Vec<&str> = kept.collect();
            self.records.retain(&kept)?;
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
                let id = found.id.as_deref().unwrap_or_default();
                let process = found.labels.as_ref().and_then(|labels| labels.get(body::PROCESS));
                if process.is_some_and(|process| is_alive(process)) || kept.contains(&id) {
                    living.extend(found.names.unwrap_or_default());
                    continue;
                }
                watch::remove(docker, id).await;
                cleared += 1;
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
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    Ok(())
}

/// What is before a container's id in its reference.
const REFERENCE: &str = "container:";
/// How long the bridge of a container that survived may take to call: it tries ten times a second.
const CALL: Duration = Duration::from_secs(30);

/// A command that ended, and whose end was written down.
fn over(reference: &str, code: i32) -> Running {
    let streams: (Input, Output, Output) =
        (Box::new(tokio::io::sink()), Box::new(tokio::io::empty()), Box::new(tokio::io::empty()));
    let (_, exit) = channel::channel(Some(Exit::Code(code)));
    let (orders, _) = mpsc::unbounded_channel();
    Running::new(streams, Arc::new(Orders::new(orders)), reference.to_owned(), exit)
}

/// Begins to talk with a bridge, and to follow its container.
fn taken_up(docker: Docker, id: &str, met: Met, filed: Arc<Filed>) -> Running {
    let (orders, taken) = mpsc::unbounded_channel();
    let ordered = Arc::new(Orders::new(orders));
    ordered.met(met.pid());
    let (exit_sender, exit) = channel::channel(None);
    let (streams, kept, hearing) = talk::begin(met, Arc::clone(&filed));
    let control = Arc::clone(&ordered);
    let running = Running::new(streams, control, format!("{REFERENCE}{id}"), exit);
    let watch = Watch { docker, id: id.to_owned(), orders: taken, ordered, exit: exit_sender };
    tokio::spawn(watch.follow_talk(hearing));
    running.bound(Bond { kept, _record: Box::new(filed) })
}

/// What one start needs.
struct Beginning {
    docker: Docker,
    header: Vec<u8>,
    lines: PathBuf,
    /// Where a container that may outlive this Baton is written down.
    records: Option<Records>,
}

impl Beginning {
    async fn begin(
        self,
        mut body: bollard::models::ContainerCreateBody,
    ) -> Result<Running, bollard::errors::Error> {
        let lifeline = match &self.records {
            None => {
                let lifeline = Lifeline::open(&self.lines)?;
                body::show_lifeline(&mut body, lifeline.path());
                lifeline
            }
            Some(_) => {
                let lifeline = Lifeline::open_apart(&self.lines, None)?;
                body::show_line(&mut body, &self.lines.join(lifeline.name()));
                lifeline
            }
        };
        let options = CreateContainerOptions {
            name: Some(format!("baton-{}", lifeline.name())),
            ..CreateContainerOptions::default()
        };
        let folder = self.records.as_ref().map(|_| self.lines.join(lifeline.name()));
        let begun = match self.docker.create_container(Some(options), body).await {
            Ok(made) => {
                let begun = self.run(&made.id, lifeline).await;
                if begun.is_err() {
                    watch::remove(&self.docker, &made.id).await;
                }
                begun
            }
            Err(error) => Err(error),
        };
        if let (Err(_), Some(folder)) = (&begun, folder) {
            let _ = fs::remove_dir_all(folder);
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
        let (mut streams, mut flowing) = flow::split(attached);
        // A container that fails at once closes its input: its complaint and exit say why, not this.
        let _ = streams.0.write_all(&self.header).await;
        let Some(records) = &self.records else {
            return Ok(self.attended(id, streams, flowing, Some(lifeline)));
        };
        let (name, key) = (lifeline.name().to_owned(), rand::random::<Key>());
        tokio::select! {
            met = Met::at(lifeline, NO_KEY, key, Kept::default()) => {
                let filed = Arc::new(records.file(id, Record { name, key, code: None })?);
                Ok(taken_up(self.docker.clone(), id, met?, filed))
            }
            _ = &mut flowing => {
                let _ = fs::remove_dir_all(self.lines.join(name));
                Ok(self.attended(id, streams, flowing, None))
            }
        }
    }

    /// A container that ends with this Baton; without a lifeline it has ended already.
    fn attended(
        &self,
        id: &str,
        streams: (Input, Output, Output),
        flowing: JoinHandle<()>,
        lifeline: Option<Lifeline>,
    ) -> Running {
        let (orders, taken) = mpsc::unbounded_channel();
        let (exit_sender, exit) = channel::channel(None);
        let ordered = Arc::new(Orders::new(orders));
        let control = Arc::clone(&ordered);
        let running = Running::new(streams, control, format!("{REFERENCE}{id}"), exit);
        let docker = self.docker.clone();
        let watch = Watch { docker, id: id.to_owned(), orders: taken, ordered, exit: exit_sender };
        tokio::spawn(watch.follow(lifeline, flowing));
        running
    }
}

//! The small program inside a sandbox, between Baton and the agent's command.
//!
//! It is Baton's own executable, started as `baton bridge … -- command`. It reads the command's
//! environment from its input (a command line would show it to every account of the machine), lowers
//! the resource limits, carries each connection to a loopback port to the gateway's Unix socket, starts
//! the command with the remaining input, hands SIGINT and SIGTERM on to it, reaps what it leaves
//! behind, and ends with its code. It trusts nothing inside and holds no secret but the environment.
//!
//! Under bubblewrap, which reaps and ends everything itself, it hands its ports to Baton and becomes the command
//! (`handing`). Where no parent-death signal reaches it, in a container, it holds a lifeline: a connection to
//! Baton, over which it says its code, and whose end is the end of everything inside. One that may outlive its
//! Baton has the command's streams on that line too, and calls again for a while when it broke (`tether`).

mod carry;
mod handing;
mod outlive;
mod tether;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::{
        fd::AsFd,
        unix::{net::UnixStream as Line, process::CommandExt},
    },
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getrlimit, kill_process,
    kill_process_group, set_child_subreaper, set_dumpable_behavior, setrlimit, wait,
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, UnixStream},
    signal::unix::{SignalKind, signal},
};

use super::{Gateway, ResourceLimits, Spec, proc};
pub(super) use carry::carry;
pub(super) use handing::receive;

/// Where the bridge's executable is inside a sandbox that has a file system of its own.
pub(super) const BRIDGE: &str = "/baton/baton";

/// Where the gateway's socket is there.
pub(super) const SOCKET: &str = "/baton/gateway.sock";

/// Where the egress proxy's socket is there.
pub(super) const EGRESS: &str = "/baton/egress.sock";

/// Where the lifeline's socket is in a container.
pub(super) const LIFELINE: &str = "/baton/lifeline.sock";

/// Where the socket is at which Baton takes the ports over.
pub(super) const PORTS: &str = "/baton/ports.sock";

/// Where these are in a container that may outlive its Baton: a folder each, as whoever comes after it makes
/// a socket of its own there.
pub(super) const LINE_FOLDER: &str = "/baton/line";
/// The folder of the gateway's socket.
pub(super) const SOCKET_FOLDER: &str = "/baton/gateway";
/// The folder of the egress proxy's socket.
pub(super) const EGRESS_FOLDER: &str = "/baton/egress";

/// The longest environment that is read, in bytes; Linux allows a command about 2 MiB in all.
const MAX_ENVIRONMENT: u32 = 2 << 20;

/// What the bridge is to do, as on its command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Port to serve and socket to lead to.
    pub gateway: Option<Gateway>,
    /// The same for the egress proxy.
    pub egress: Option<Gateway>,
    /// The socket of the lifeline.
    pub lifeline: Option<PathBuf>,
    /// For how many seconds everything goes on while nobody is at the other end of it.
    pub survive_seconds: Option<u64>,
    /// The socket at which Baton takes the ports over, where the bridge becomes the command.
    pub ports_to: Option<PathBuf>,
    /// Limits for the command.
    pub limits: ResourceLimits,
    /// The command.
    pub argv: Vec<OsString>,
}

/// Why the command was not started.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The command line is not one that Baton writes.
    #[error("read the command line: {0}")]
    Usage(String),
    /// The environment could not be read from the input.
    #[error("read the environment: {0}")]
    Environment(io::Error),
    /// The sandbox lacks something that the bridge needs.
    #[error("prepare the sandbox: {0}")]
    Prepare(#[from] io::Error),
    /// The command cannot be started.
    #[error("start {program:?}: {error}")]
    Command {
        /// Its name.
        program: OsString,
        /// Why.
        error: io::Error,
    },
}

impl BridgeError {
    /// The exit code, as shells have it: 127 for a missing command, 126 for one that cannot be run.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Command { error, .. } if error.kind() == io::ErrorKind::NotFound => 127,
            Self::Command { .. } => 126,
            Self::Usage(_) | Self::Environment(_) | Self::Prepare(_) => 125,
        }
    }
}

impl Bridge {
    /// What the bridge of a spec is told, with the paths as they are in a file system of its own.
    pub(super) fn of(spec: &Spec) -> Self {
        let inside = |way: &Option<Gateway>, socket: &str| {
            way.as_ref().map(|way| Gateway { socket: socket.into(), port: way.port })
        };
        Self {
            gateway: inside(&spec.gateway, SOCKET),
            egress: inside(&spec.egress, EGRESS),
            lifeline: None,
            survive_seconds: None,
            ports_to: None,
            limits: spec.limits.clone(),
            argv: spec.argv.iter().map(OsString::from).collect(),
        }
    }

    /// The arguments after `baton`; [`Bridge::parse`] reads them back (without the first).
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["bridge".into()];
        let mut flag = |name: &str, value: OsString| arguments.extend([name.into(), value]);
        for (way, [listen, to]) in [(&self.gateway, GATEWAY_FLAGS), (&self.egress, EGRESS_FLAGS)] {
            if let Some(Gateway { socket, port }) = way {
                flag(listen, format!("127.0.0.1:{port}").into());
                flag(to, socket.clone().into());
            }
        }
        if let Some(socket) = &self.lifeline {
            flag(LIFELINE_FLAG, socket.clone().into());
        }
        if let Some(seconds) = self.survive_seconds {
            flag(SURVIVE_FLAG, seconds.to_string().into());
        }
        if let Some(socket) = &self.ports_to {
            flag(PORTS_FLAG, socket.clone().into());
        }
        for (name, _, value) in limits(&self.limits) {
            if let Some(value) = value {
                flag(name, value.to_string().into());
            }
        }
        arguments.push("--".into());
        arguments.extend(self.argv.iter().cloned());
        arguments
    }

    /// Reads what [`Bridge::arguments`] wrote, from after the word `bridge`.
    ///
    /// # Errors
    /// [`BridgeError::Usage`] for anything else, a missing command included.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, BridgeError> {
        let usage = |what: &str| BridgeError::Usage(what.to_owned());
        let mut arguments = arguments.into_iter();
        let mut flags = BTreeMap::new();
        while let Some(flag) = arguments.next() {
            if flag == "--" {
                break;
            }
            let flag = flag.into_string().map_err(|_| usage("a flag is no text"))?;
            let value = arguments.next().ok_or_else(|| usage("a flag has no value"))?;
            flags.insert(flag, value);
        }
        let argv: Vec<OsString> = arguments.collect();
        if argv.is_empty() {
            return Err(usage("there is no command"));
        }
        let mut number = |name: &str| match flags.remove(name) {
            None => Ok(None),
            Some(value) => {
                let number = value.to_str().and_then(|value| value.parse().ok());
                number.map(Some).ok_or_else(|| usage("a limit is no number"))
            }
        };
        let survive_seconds = number(SURVIVE_FLAG)?;
        let limits = ResourceLimits {
            processes: number("--processes")?,
            memory_bytes: number("--memory-bytes")?,
            file_bytes: number("--file-bytes")?,
            open_files: number("--open-files")?,
            cpu_seconds: number("--cpu-seconds")?,
        };
        let gateway = way(&mut flags, GATEWAY_FLAGS)?;
        let egress = way(&mut flags, EGRESS_FLAGS)?;
        let lifeline = flags.remove(LIFELINE_FLAG).map(PathBuf::from);
        let ports_to = flags.remove(PORTS_FLAG).map(PathBuf::from);
        match flags.into_keys().next() {
            Some(flag) => Err(usage(&format!("{flag} is unknown"))),
            None => Ok(Self { gateway, egress, lifeline, survive_seconds, ports_to, limits, argv }),
        }
    }

    /// Runs the command to its end and gives back its code, 128 + n after signal n; or becomes it.
    ///
    /// # Errors
    /// When the command was not started; [`BridgeError::code`] is the code to end with.
    pub fn run(self) -> Result<u8, BridgeError> {
        if let Some(ports_to) = &self.ports_to {
            return Err(self.become_command(ports_to));
        }
        let lifeline = self.lifeline.as_ref().map(Line::connect).transpose()?;
        let survive = self.survive_seconds.map(Duration::from_secs);
        if let (Some(path), Some(line), Some(grace)) = (self.lifeline.clone(), &lifeline, survive) {
            let line = line.try_clone()?;
            let (env, runtime) = self.prepare()?;
            return runtime.block_on(self.outlive(env, path, line, grace));
        }
        let spoken = lifeline.as_ref().map(Line::try_clone).transpose()?;
        let ended = self.attend(lifeline);
        if let Some(mut lifeline) = spoken {
            let code = ended.as_ref().map_or_else(BridgeError::code, |code| *code);
            // Nobody may be there any more to hear it.
            let _ = lifeline.write_all(&[code]);
            let_look(lifeline);
        }
        ended
    }

    fn attend(self, lifeline: Option<Line>) -> Result<u8, BridgeError> {
        let (env, runtime) = self.prepare()?;
        runtime.block_on(self.serve(env, lifeline))
    }

    /// Reads the environment and makes this process what it has to be before the command starts.
    fn prepare(&self) -> Result<(Environment, tokio::runtime::Runtime), BridgeError> {
        let env = read_environment().map_err(BridgeError::Environment)?;
        set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
        // The command has the same account: it shall not reach into this process.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(io::Error::from)?;
        self.restrict()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok((env, runtime))
    }

    /// Lowers what this process and all that it starts may take.
    fn restrict(&self) -> io::Result<()> {
        // The kernel shall rather end an agent than Baton when memory runs out (proc(5)).
        let _ = std::fs::write("/proc/self/oom_score_adj", "800");
        for (_, resource, value) in limits(&self.limits) {
            if let Some(value) = value {
                lower(resource, value)?;
            }
        }
        lower(Resource::Core, 0)
    }

    /// Carries the ports; a socket that nobody listens at is waited for so long.
    async fn carry_ports(&self, patience: Duration) -> Result<(), BridgeError> {
        for Gateway { socket, port } in self.gateway.iter().chain(&self.egress) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).await?;
            tokio::spawn(carry(listener, socket.clone(), patience, unreached));
        }
        Ok(())
    }

    async fn serve(self, env: Environment, lifeline: Option<Line>) -> Result<u8, BridgeError> {
        self.carry_ports(Duration::ZERO).await?;
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let mut children = signal(SignalKind::child())?;
        let mut cut = pin!(cut(lifeline));
        let command = Pid::from_child(&start(&self.argv, env, Stdio::inherit)?);
        loop {
            tokio::select! {
                _ = children.recv() => if let Some(code) = reap(command) {
                    end_the_rest();
                    return Ok(code);
                },
                _ = interrupts.recv() => hand_on(command, Signal::INT),
                _ = terminations.recv() => hand_on(command, Signal::TERM),
                () = &mut cut => {
                    end_the_rest();
                    return Ok(KILLED);
                }
            }
        }
    }
}

/// A command's environment.
type Environment = Vec<(String, String)>;

/// Says in the command's own complaints why it reaches nobody.
fn unreached(socket: &Path, error: &io::Error) {
    // Whoever read that may be gone.
    let _ = writeln!(io::stderr(), "baton bridge: reach {}: {error}", socket.display());
}

/// The code of what was killed, as shells have it.
const KILLED: u8 = 128 + 9;

/// Stays until Baton has looked once more at what all this used, and hangs up; not for long.
fn let_look(mut lifeline: Line) {
    let waits = lifeline.set_nonblocking(false);
    if waits.and_then(|()| lifeline.set_read_timeout(Some(LOOK))).is_ok() {
        let _ = lifeline.read(&mut [0]);
    }
}

/// Waits until Baton lets go of the lifeline; for ever where there is none.
async fn cut(lifeline: Option<Line>) {
    let Some(line) = lifeline else { return std::future::pending().await };
    let followed = line.set_nonblocking(true).and_then(|()| UnixStream::from_std(line));
    if let Ok(mut line) = followed {
        // Baton never says anything: whatever is read is the end.
        let _ = line.read_u8().await;
    }
}

/// How long the bridge stays for a last look.
const LOOK: Duration = Duration::from_secs(1);

/// The lifeline's socket, as a flag.
const LIFELINE_FLAG: &str = "--lifeline";
/// For how long it may be broken.
const SURVIVE_FLAG: &str = "--survive-seconds";
/// Where Baton takes the ports over.
const PORTS_FLAG: &str = "--ports-to";
/// The port to serve and the socket behind it, as flags.
const GATEWAY_FLAGS: [&str; 2] = ["--listen", "--socket"];
/// The same for the egress proxy.
const EGRESS_FLAGS: [&str; 2] = ["--egress-listen", "--egress-socket"];

/// Reads one way out of the flags; both parts or none.
fn way(
    flags: &mut BTreeMap<String, OsString>,
    [listen, socket]: [&str; 2],
) -> Result<Option<Gateway>, BridgeError> {
    let usage = |what: String| BridgeError::Usage(what);
    match (flags.remove(listen), flags.remove(socket)) {
        (None, None) => Ok(None),
        (Some(address), Some(socket)) => {
            let address = address.to_str().and_then(|text| text.parse::<SocketAddr>().ok());
            let address = address.filter(|address| address.ip() == Ipv4Addr::LOCALHOST);
            let address =
                address.ok_or_else(|| usage(format!("{listen} is no loopback address")))?;
            Ok(Some(Gateway { socket: PathBuf::from(socket), port: address.port() }))
        }
        _ => Err(usage(format!("{listen} and {socket} belong together"))),
    }
}

/// What goes before the command's own input: its environment, as a length and JSON.
pub(super) fn environment_header(env: &[(String, String)]) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(env)?;
    let length = u32::try_from(json.len()).ok().filter(|length| *length <= MAX_ENVIRONMENT);
    let length = length.ok_or_else(|| io::Error::other("environment is too large"))?;
    Ok([&length.to_be_bytes()[..], &json].concat())
}

/// Reads exactly the header, so that the command finds its input untouched.
fn read_environment() -> io::Result<Vec<(String, String)>> {
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > MAX_ENVIRONMENT {
        return Err(io::Error::other("it is too large"));
    }
    let mut json = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Each limit with its flag and the kernel's name for it.
fn limits(limits: &ResourceLimits) -> [(&'static str, Resource, Option<u64>); 5] {
    let ResourceLimits { processes, memory_bytes, file_bytes, open_files, cpu_seconds } = *limits;
    [
        ("--processes", Resource::Nproc, processes),
        ("--memory-bytes", Resource::Data, memory_bytes),
        ("--file-bytes", Resource::Fsize, file_bytes),
        ("--open-files", Resource::Nofile, open_files),
        ("--cpu-seconds", Resource::Cpu, cpu_seconds),
    ]
}

/// Lowers a limit for good; one that is lower already stays.
fn lower(resource: Resource, wanted: u64) -> io::Result<()> {
    let value = Some(getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    Ok(setrlimit(resource, Rlimit { current: value, maximum: value })?)
}

fn start(argv: &[OsString], env: Environment, stream: fn() -> Stdio) -> Result<Child, BridgeError> {
    let mut command = command(argv, env);
    command.stdin(stream()).stdout(stream()).stderr(stream());
    // A group of its own, so that a signal reaches all of a shell's pipeline, as in a terminal.
    command
        .process_group(0)
        .spawn()
        .map_err(|error| BridgeError::Command { program: argv[0].clone(), error })
}

/// The command with nothing but its environment.
fn command(argv: &[OsString], env: Environment) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]).env_clear().envs(env);
    command
}

/// Reaps all that has ended; gives the command's code once it is among them.
fn reap(command: Pid) -> Option<u8> {
    let mut code = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == command {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            let status = status.exit_status().or(signal).unwrap_or(1);
            code = Some(u8::try_from(status).unwrap_or(u8::MAX));
        }
    }
    code
}

/// Kills what the command left behind; where there is a namespace, its end does so too.
fn end_the_rest() {
    for pid in proc::descendants(getpid()) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn hand_on(command: Pid, signal: Signal) {
    // The command may have ended a moment ago.
    let _ = kill_process_group(command, signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read_back_as_it_was_written() {
        let bridge = Bridge {
            gateway: Some(Gateway { socket: PathBuf::from(SOCKET), port: 8088 }),
            egress: Some(Gateway { socket: PathBuf::from(EGRESS), port: 8089 }),
            lifeline: Some(PathBuf::from(LIFELINE)),
            survive_seconds: Some(120),
            ports_to: Some(PathBuf::from(PORTS)),
            limits: ResourceLimits { cpu_seconds: Some(7), ..ResourceLimits::default() },
            argv: vec!["sh".into(), "-c".into(), "--".into()],
        };
        assert_eq!(Bridge::parse(bridge.arguments().into_iter().skip(1)).unwrap(), bridge);
    }

    #[test]
    fn a_command_line_of_somebody_else_is_refused() {
        for bad in [
            &["--"][..],
            &["--listen", "0.0.0.0:1", "--socket", "/s", "--", "sh"],
            &["--listen", "127.0.0.1:1", "--", "sh"],
            &["--egress-listen", "192.0.2.1:1", "--egress-socket", "/s", "--", "sh"],
            &["--egress-socket", "/s", "--", "sh"],
            &["--processes", "many", "--", "sh"],
            &["--unknown", "1", "--", "sh"],
            &["sh"],
        ] {
            let arguments = bad.iter().map(OsString::from);
            assert!(Bridge::parse(arguments).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn an_environment_that_the_bridge_would_refuse_is_not_sent() {
        let env = [("A".to_owned(), "x".repeat(3 << 20))];
        assert!(environment_header(&env).is_err());
    }
}

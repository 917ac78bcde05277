//! Sandboxes of Linux namespaces, by way of the program bubblewrap.
//!
//! A root Baton drops to an unprivileged account *before* bubblewrap: started by uid 0, the files of
//! `/proc/sys` could be written from inside. Whatever the account outside, inside it is uid 1000.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    BoxFuture, HOME, Kind, Mount, Network, Owner, Running, Sandbox, SandboxError, Spec,
    bridge::{BRIDGE, Bridge, PORTS},
    etc,
    layers::Layers,
    ports::{self, Ports},
    self_test,
    spawner::{self, Inside},
};

/// How bubblewrap is used on this machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, `bwrap` to look it up in `PATH`.
    pub program: PathBuf,
    /// Baton's own executable; readable by every account, with every folder above it.
    pub bridge: PathBuf,
    /// A folder for a few small files that every sandbox sees; every folder above it has to have its
    /// `x` bit for others.
    pub state: PathBuf,
    /// The account to drop to; only used, and then needed, when Baton is root.
    pub owner: Owner,
    /// Whether commands may make user namespaces of their own (browsers, nested sandboxes). It opens
    /// more of the kernel to them.
    pub nested: bool,
}

/// Starts commands under bubblewrap.
#[derive(Debug, Clone)]
pub struct Bubblewrap {
    settings: Settings,
    is_root: bool,
}

/// The uid and gid inside.
const INSIDE: u32 = 1000;

/// What of the machine's own `/etc` is shown, where it exists: certificates, the linker's cache,
/// the targets of `/usr/bin`'s links. No private key lies in these.
const ETC_SHOWN: [&str; 12] = [
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

impl Bubblewrap {
    /// Writes the files that every sandbox sees. Starts nothing: see [`Sandbox::self_test`].
    ///
    /// # Errors
    /// When the state folder cannot be written.
    pub fn new(settings: Settings) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&settings.state)?;
        fs::set_permissions(&settings.state, fs::Permissions::from_mode(0o755))?;
        etc::write(&settings.state, INSIDE, INSIDE)?;
        ports::prepare(&settings.state)?;
        Ok(Self { settings, is_root: rustix::process::geteuid().is_root() })
    }

    /// The uid that sandboxes have outside.
    pub(super) fn outer_uid(&self) -> u32 {
        if self.is_root { self.settings.owner.uid } else { rustix::process::geteuid().as_raw() }
    }

    /// The uid that they have inside.
    pub(super) fn inner_uid(&self) -> u32 {
        INSIDE
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn command(&self, spec: &Spec, ports: Option<&Path>) -> Command {
        let mut command = self.program(spec, ports);
        command.env_clear().current_dir("/");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        if self.is_root {
            // Supplementary groups go too: std drops them with a uid when it is root.
            command.uid(self.settings.owner.uid).gid(self.settings.owner.gid);
        }
        command
    }

    /// Bubblewrap itself, or what becomes bubblewrap once the overlays are there.
    fn program(&self, spec: &Spec, ports: Option<&Path>) -> Command {
        let bubblewrap = self.arguments(spec, ports);
        if spec.overlays.is_empty() {
            let mut command = Command::new(&self.settings.program);
            command.args(bubblewrap);
            return command;
        }
        let mut argv = vec![self.settings.program.clone().into_os_string()];
        argv.extend(bubblewrap);
        let layers = Layers { overlays: spec.overlays.clone(), argv };
        let mut command = Command::new(&self.settings.bridge);
        command.args(layers.arguments());
        command
    }

    fn arguments(&self, spec: &Spec, ports: Option<&Path>) -> Vec<OsString> {
        let mut arguments = Arguments::default();
        arguments.add(&["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session"]);
        arguments.add(&["--clearenv", "--cap-drop", "ALL", "--hostname", "baton"]);
        let inside = INSIDE.to_string();
        arguments.add(&["--uid", &inside, "--gid", &inside]);
        if !self.settings.nested {
            arguments.add(&["--disable-userns"]);
        }
        if spec.network == Network::Host {
            arguments.add(&["--share-net"]);
        }
        self.add_system(&mut arguments, spec.network);
        arguments.add(&["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev"]);
        let bytes = spec.tmp_bytes.to_string();
        for scratch in ["/dev/shm", "/tmp", HOME] {
            arguments.add(&["--size", &bytes, "--tmpfs", scratch]);
        }
        arguments.bind(false, &self.settings.bridge, BRIDGE.as_ref());
        if let Some(ports) = ports {
            arguments.bind(true, ports, PORTS.as_ref());
        }
        arguments.bind_all(&spec.mounts);
        arguments.add(&["--remount-ro", "/dev", "--remount-ro", "/", "--chdir"]);
        arguments.0.push(spec.workdir.clone().into());
        arguments.add(&["--", BRIDGE]);
        let bridge = Bridge { ports_to: Some(PORTS.into()), ..Bridge::of(spec) };
        arguments.0.extend(bridge.arguments());
        arguments.0
    }

    /// The machine's programs and libraries, and a small `/etc`.
    fn add_system(&self, arguments: &mut Arguments, network: Network) {
        arguments.bind(false, "/usr".as_ref(), "/usr".as_ref());
        for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            match fs::read_link(folder) {
                Ok(target) => {
                    arguments.add(&["--symlink"]);
                    arguments.0.extend([target.into(), folder.into()]);
                }
                Err(_) => arguments.add(&["--ro-bind-try", folder, folder]),
            }
        }
        for path in ETC_SHOWN {
            arguments.add(&["--ro-bind-try", path, path]);
        }
        for name in etc::FILES {
            let inside = Path::new("/etc").join(name);
            // With the machine's network come the names that it knows.
            if network == Network::Host && name == "hosts" {
                arguments.bind(false, &inside, &inside);
            } else {
                arguments.bind(false, &self.settings.state.join("etc").join(name), &inside);
            }
        }
        if network == Network::Host {
            arguments.add(&["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]);
        }
    }
}

impl Sandbox for Bubblewrap {
    fn kind(&self) -> Kind {
        Kind::Bubblewrap
    }

    fn self_test(&self) -> BoxFuture<'_, Result<(), SandboxError>> {
        Box::pin(self_test::run(self))
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(async move {
            spec.check()?;
            if let Some(image) = &spec.image {
                let what = format!("bubblewrap shows the machine's programs, and no image {image}");
                return Err(SandboxError::InvalidSpec(what));
            }
            let ports = Ports::open(&self.settings.state, &spec)?;
            let command = self.command(&spec, ports.as_ref().map(Ports::path));
            let inside = Inside::Command { generations: 2 };
            let running = spawner::spawn(command, inside, &spec.env, ports).await;
            running.map_err(self_test::explain_start)
        })
    }
}

/// A command line in the making.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add(&mut self, arguments: &[&str]) {
        self.0.extend(arguments.iter().map(OsString::from));
    }

    fn bind(&mut self, writable: bool, host: &Path, inside: &Path) {
        let flag = if writable { "--bind" } else { "--ro-bind" };
        self.0.extend([flag.into(), host.into(), inside.into()]);
    }

    /// Shows folders and files. One that is read-only and holds another becomes so in the end, since
    /// bubblewrap makes the place of the inner one first.
    fn bind_all(&mut self, mounts: &[Mount]) {
        let mut closed_late = Vec::new();
        for mount in mounts {
            let inside = &mount.inside;
            let holds = |inner: &Mount| inner.inside != *inside && inner.inside.starts_with(inside);
            let late = !mount.writable && mounts.iter().any(holds);
            self.bind(mount.writable || late, &mount.host, inside);
            closed_late.extend(late.then_some(inside));
        }
        for inside in closed_late {
            self.0.extend(["--remount-ro".into(), inside.into()]);
        }
    }
}

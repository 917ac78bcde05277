//! Sandboxes: what comes out, what cannot be seen from inside, and that nothing is left behind.

#![expect(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod usage;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use baton::sandbox::{
    Bubblewrap, Exit, Gateway, Host, Mount, Network, Owner, Running, Sandbox, SandboxError,
    Settings, Spec, Taken, is_alive, own,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Everything one test needs; the folder is passable for the account that sandboxes run as.
struct House {
    folder: TempDir,
    sandbox: Box<dyn Sandbox>,
}

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_baton");

fn house(settings: impl FnOnce(&mut Settings)) -> House {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let mut wanted = Settings {
        program: "bwrap".into(),
        bridge: EXECUTABLE.into(),
        state: folder.path().join("sandbox"),
        owner: Owner::default(),
        nested: false,
    };
    settings(&mut wanted);
    let sandbox = Box::new(Bubblewrap::new(wanted).unwrap());
    House { folder, sandbox }
}

/// A house with bubblewrap, or `None`, loudly, where it is not installed.
fn bubblewrap() -> Option<House> {
    if Command::new("bwrap").arg("--version").output().is_err() {
        eprintln!("SKIPPED: bubblewrap is not installed, this test showed nothing");
        return None;
    }
    Some(house(|_| ()))
}

fn bare_machine() -> House {
    let folder = tempfile::tempdir().unwrap();
    House { folder, sandbox: Box::new(Host::new(EXECUTABLE.into(), Owner::default())) }
}

/// The conformance suite's kinds.
fn every_kind() -> Vec<House> {
    bubblewrap().into_iter().chain([bare_machine()]).collect()
}

fn shell(script: &str) -> Spec {
    let mut spec = Spec::new(vec!["sh".into(), "-c".into(), script.into()]);
    spec.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    spec
}

impl House {
    async fn run(&self, spec: Spec) -> Taken {
        self.sandbox.start(spec).await.unwrap().finish(1 << 20).await
    }

    /// A folder that the sandbox's account may write to.
    fn writable(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).unwrap();
        if rustix::process::geteuid().is_root() {
            own(&path, Owner::default()).unwrap();
        }
        path
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim_end()
}

/// Whether a process runs that has the mark as one of its arguments.
fn somebody_has(mark: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok()).any(|line| {
        let mut arguments = line.split(|byte| *byte == 0);
        arguments.next().is_some_and(|program| program.ends_with(b"sleep"))
            && arguments.any(|argument| argument == mark.as_bytes())
    })
}

/// Waits, at most half a minute, for what has to come true.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A number of seconds that no other test sleeps.
fn mark(test: u32) -> String {
    format!("{}.{}", 70_000 + test, std::process::id())
}

#[tokio::test]
async fn exit_codes_and_signals_come_out() {
    for house in every_kind() {
        for (script, code) in
            [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
        {
            assert_eq!(house.run(shell(script)).await.exit, Exit::Code(code), "{script}");
        }
        let missing = house.run(Spec::new(vec!["/no/such/program".into()])).await;
        assert_eq!(missing.exit, Exit::Code(127));
        assert!(text(&missing.stderr).contains("/no/such/program"), "{missing:?}");
    }
}

#[tokio::test]
async fn the_environment_is_what_the_spec_names_and_nothing_else() {
    for house in every_kind() {
        let mut spec = Spec::new(vec!["/usr/bin/env".into()]);
        spec.env = vec![("ONE".into(), "1 \"ü\"".into()), ("TOKEN".into(), "gate-123".into())];
        let taken = house.run(spec).await;
        assert_eq!(text(&taken.stdout), "ONE=1 \"ü\"\nTOKEN=gate-123", "{taken:?}");
    }
}

#[tokio::test]
async fn no_command_line_on_the_machine_shows_the_environment() {
    for house in every_kind() {
        let mut spec = shell("read line");
        let secret = format!("gate-token-{}", mark(1));
        spec.env.push(("TOKEN".into(), secret.clone()));
        let running = house.sandbox.start(spec).await.unwrap();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&line).contains(&secret));
        }
        assert_eq!(running.finish(100).await.exit, Exit::Code(1));
    }
}

#[tokio::test]
async fn ten_megabytes_in_one_line_and_broken_text_pass_unchanged_and_in_order() {
    for house in every_kind() {
        let mut running = house.sandbox.start(shell("exec cat")).await.unwrap();
        let mut stdin = running.stdin.take().unwrap();
        let mut stdout = running.stdout.take().unwrap();
        let mut sent = vec![b'x'; 10 << 20];
        sent.extend(b"\xff\xfe\x00 first\nsecond\r\n");
        sent.extend((0..50_000).flat_map(|n: u32| format!("{n}\n").into_bytes()));
        let copy = sent.clone();
        let writer = tokio::spawn(async move { stdin.write_all(&copy).await.unwrap() });
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap();
        assert!(received == sent, "{} bytes of {} came back", received.len(), sent.len());
        assert_eq!(running.wait().await, Exit::Code(0));
    }
}

#[tokio::test]
async fn what_ignores_signals_and_left_the_session_dies_when_it_is_killed_dropped_or_done() {
    for house in every_kind() {
        for (way, end) in ["kill", "drop", "done"].into_iter().enumerate() {
            let mark = mark(10 + u32::try_from(way).unwrap());
            let script = format!(
                "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM INT HUP; sleep {mark}' & \
                 (setsid setsid sleep {mark} >/dev/null 2>&1 </dev/null &) ; \
                 read line"
            );
            let mut running = house.sandbox.start(shell(&script)).await.unwrap();
            eventually("children are up", || somebody_has(&mark)).await;
            let reference = running.reference().to_owned();
            assert!(is_alive(&reference));
            match end {
                "kill" => {
                    running.stopper().kill();
                    assert_eq!(running.wait().await, Exit::Signal(9));
                    assert!(!somebody_has(&mark), "wait returned before all were gone");
                }
                "done" => {
                    drop(running.stdin.take());
                    assert_eq!(running.wait().await, Exit::Code(1));
                    assert!(!somebody_has(&mark), "wait returned before all were gone");
                }
                _ => drop(running),
            }
            eventually("nothing is left", || !somebody_has(&mark)).await;
            eventually("the reference is dead", || !is_alive(&reference)).await;
        }
    }
}

#[tokio::test]
async fn an_interrupt_reaches_the_whole_pipeline_and_the_command_may_end_in_its_own_way() {
    for house in every_kind() {
        let mark = mark(20);
        let script = format!("trap 'echo stopping; exit 5' INT; echo up; sleep {mark}");
        let mut running = house.sandbox.start(shell(&script)).await.unwrap();
        let mut up = [0; 3];
        running.stdout.as_mut().unwrap().read_exact(&mut up).await.unwrap();
        // A shell that gets the signal before it sleeps would sleep all the same.
        eventually("it sleeps", || somebody_has(&mark)).await;
        running.stopper().interrupt();
        let taken = running.finish(100).await;
        assert_eq!((taken.exit, text(&taken.stdout)), (Exit::Code(5), "stopping"));
    }
}

#[tokio::test]
async fn the_self_test_passes_where_bubblewrap_works_and_never_on_the_bare_machine() {
    if let Some(house) = bubblewrap() {
        house.sandbox.self_test().await.unwrap();
    }
    let error = bare_machine().sandbox.self_test().await.unwrap_err();
    assert!(matches!(error, SandboxError::Leaky { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_bubblewrap_and_a_hidden_bridge_are_explained() {
    let missing = house(|settings| settings.program = "/no/bwrap".into());
    let error = missing.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("apt-get install bubblewrap"), "{error}");

    let hidden = tempfile::tempdir().unwrap();
    fs::set_permissions(hidden.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(hidden.path().join("baton"), "").unwrap();
    let path = hidden.path().join("baton");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let house = house(|settings| settings.bridge = path);
    let error = house.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("chmod o+x"), "{error}");
}

#[tokio::test]
async fn root_is_no_account_for_a_sandbox() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = house(|settings| settings.owner = Owner { uid: 0, gid: 0 });
    let error = house.sandbox.self_test().await.unwrap_err();
    assert!(matches!(error, SandboxError::Leaky { .. }), "{error}");
}

#[tokio::test]
async fn files_of_the_machine_cannot_be_seen() {
    let Some(house) = bubblewrap() else { return };
    let (own, other) = (house.writable("own"), house.writable("other"));
    fs::write(other.join("secret"), "x").unwrap();
    let mut spec = shell(
        r#"for path in /root /home/user /etc/shadow /var /run /sys /work "$1"; do
             test -e "$path" && echo "sees $path"; done
           ls -A /home /tmp /baton; touch "$2/mine" && echo wrote; touch / /etc/x /usr/x"#,
    );
    spec.argv.extend(["sh".into(), other.display().to_string(), own.display().to_string()]);
    spec.mounts = vec![Mount { host: own.clone(), inside: own.clone(), writable: true }];
    let taken = house.run(spec).await;
    let seen = text(&taken.stdout);
    assert!(!seen.contains("sees"), "{seen}");
    assert!(seen.contains("/home:\nbaton\n") && seen.ends_with("wrote"), "{seen}");
    assert!(own.join("mine").exists());
    assert_eq!(text(&taken.stderr).lines().count(), 3, "{taken:?}");
}

#[tokio::test]
async fn settings_of_the_kernel_cannot_be_written_and_nothing_is_privileged() {
    let Some(house) = bubblewrap() else { return };
    let before = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let taken = house
        .run(shell(
            "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo written; \
             unshare --user true 2>/dev/null && echo nested; \
             id -u; grep CapEff /proc/self/status; ls /proc | grep -c '^[0-9]*$'",
        ))
        .await;
    let lines: Vec<_> = text(&taken.stdout).lines().collect();
    assert_eq!(lines[..2], ["1000", "CapEff:\t0000000000000000"], "{taken:?}");
    assert!(lines[2].parse::<u32>().unwrap() < 8, "it sees other processes: {taken:?}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[tokio::test]
async fn the_process_outside_belongs_to_an_account_without_rights() {
    let Some(house) = bubblewrap() else { return };
    let running = house.sandbox.start(shell("read line")).await.unwrap();
    let pid = running.reference().split(':').next().unwrap().to_owned();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    if rustix::process::geteuid().is_root() {
        assert_eq!(field("Uid:"), "Uid:\t65534\t65534\t65534\t65534");
        assert_eq!(field("Groups:").trim_end(), "Groups:");
    } else {
        assert!(!field("Uid:").contains("\t0\t"));
    }
    drop(running);
}

#[tokio::test]
async fn a_read_only_mount_can_be_read_and_not_written() {
    let Some(house) = bubblewrap() else { return };
    let mirror = house.writable("mirror");
    fs::write(mirror.join("file"), "content").unwrap();
    let mut spec = shell("cat file; touch new || echo refused");
    spec.mounts = vec![Mount { host: mirror.clone(), inside: "/mirror".into(), writable: false }];
    spec.workdir = "/mirror".into();
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "contentrefused", "{taken:?}");
    assert!(!mirror.join("new").exists());
}

#[tokio::test]
async fn a_folder_is_shown_inside_a_read_only_one_that_does_not_have_it() {
    let Some(house) = bubblewrap() else { return };
    let (tree, kept) = (house.writable("tree"), house.writable("kept"));
    fs::write(kept.join("file"), "content").unwrap();
    let mut spec = shell(
        "cat web/kept/file; for new in new web/new web/kept/new; do touch $new || echo refused; done",
    );
    let mount = |host: &PathBuf, inside: &str| Mount {
        host: host.clone(),
        inside: inside.into(),
        writable: false,
    };
    spec.mounts = vec![mount(&tree, "/tree"), mount(&kept, "/tree/web/kept")];
    spec.workdir = "/tree".into();
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "contentrefused\nrefused\nrefused", "{taken:?}");
    assert!(!tree.join("new").exists() && !kept.join("new").exists());
}

/// Asks a loopback port for a line, with what every machine with bash has.
fn ask(port: u16) -> Spec {
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo ping >&3 && head -n 1 <&3");
    let mut spec = shell(&script);
    spec.argv[0] = "bash".into();
    spec
}

#[tokio::test]
async fn a_server_on_the_machine_is_out_of_reach_unless_the_machines_network_is_given() {
    let Some(house) = bubblewrap() else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"host\n").await.unwrap();
        }
    });
    let taken = house.run(ask(port)).await;
    assert_eq!(text(&taken.stdout), "", "{taken:?}");
    assert!(!taken.exit.is_success());

    let open = Spec { network: Network::Host, ..ask(port) };
    assert_eq!(text(&house.run(open).await.stdout), "host");
    server.abort();
}

#[tokio::test]
async fn the_gateway_is_reached_through_its_socket_by_many_at_once() {
    let Some(house) = bubblewrap() else { return };
    let socket = house.folder.path().join("gateway.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut line = [0; 5];
                stream.read_exact(&mut line).await.unwrap();
                stream.write_all(b"pong\n").await.unwrap();
            });
        }
    });
    let mut spec = ask(8088);
    let script = spec.argv[2].clone();
    spec.argv[2] = format!("for n in 1 2 3 4 5; do ({script}) & done; wait");
    spec.gateway = Some(Gateway { socket, port: 8088 });
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "pong\npong\npong\npong\npong", "{taken:?}");
    server.abort();
}

#[tokio::test]
async fn limits_hold() {
    let Some(house) = bubblewrap() else { return };
    let mut spec = shell(
        "ulimit -u; ulimit -n; ulimit -c; head -c 3000000 /dev/zero > /tmp/big; \
         wc -c < /tmp/big; (for n in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 2 & done; wait) || echo full",
    );
    spec.argv[0] = "bash".into();
    spec.limits.processes = Some(8);
    spec.limits.open_files = Some(64);
    spec.limits.file_bytes = Some(1 << 20);
    let taken = house.run(spec).await;
    let lines: Vec<_> = text(&taken.stdout).lines().collect();
    assert_eq!(lines[..4], ["8", "64", "0", "1048576"], "{taken:?}");
    assert!(text(&taken.stderr).contains("fork"), "{taken:?}");

    let mut spec = shell("head -c 3000000 /dev/zero > /tmp/big || echo full");
    spec.tmp_bytes = 1 << 20;
    assert_eq!(text(&house.run(spec).await.stdout), "full");

    let mut spec = shell("head -c 200000000 /dev/zero | tail -n 1 | wc -c");
    spec.limits.memory_bytes = Some(64 << 20);
    let taken = house.run(spec).await;
    assert!(text(&taken.stderr).contains("memory"), "{taken:?}");
}

#[tokio::test]
async fn a_spec_that_cannot_be_honoured_is_refused_before_anything_starts() {
    let mount = Mount { host: "/usr".into(), inside: "/elsewhere".into(), writable: false };
    let moved = Spec { mounts: vec![mount], ..shell("true") };
    assert!(matches!(bare_machine().sandbox.start(moved).await, Err(SandboxError::InvalidSpec(_))));
    for house in every_kind() {
        let mut spec = shell("true");
        spec.env.push(("A=B".into(), "c".into()));
        for bad in [spec, Spec::new(vec![]), Spec { workdir: "x".into(), ..shell("true") }] {
            assert!(matches!(house.sandbox.start(bad).await, Err(SandboxError::InvalidSpec(_))));
        }
    }
}

/// Not a test by itself: what the next one starts in a process of its own, to kill that.
#[tokio::test]
#[ignore = "holds sandboxes until it is killed; started by the test below"]
async fn holds_sandboxes_until_it_is_killed() {
    let Ok(mark) = std::env::var("BATON_TEST_MARK") else { return };
    let houses = every_kind();
    let mut held: Vec<Running> = Vec::new();
    for house in &houses {
        let script = format!(
            "trap '' TERM; (setsid setsid sleep {mark} >/dev/null 2>&1 </dev/null &); sleep {mark}"
        );
        held.push(house.sandbox.start(shell(&script)).await.unwrap());
    }
    std::future::pending::<()>().await;
}

/// Kills the holder when the test fails before it does.
struct Holder(std::process::Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn nothing_survives_when_baton_itself_is_killed() {
    let mark = mark(30);
    let mut holder = Holder(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::holds_sandboxes_until_it_is_killed", "--ignored"])
            .env("BATON_TEST_MARK", &mark)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let sleepers = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let line = format!("sleep\0{mark}\0");
        lines.filter(|found| found == line.as_bytes()).count()
    };
    let expected = 2 * every_kind().len();
    eventually("all sleep", || sleepers() == expected).await;
    holder.0.kill().unwrap();
    holder.0.wait().unwrap();
    eventually("nobody sleeps", || sleepers() == 0).await;
}

#[tokio::test]
async fn starting_is_a_matter_of_milliseconds() {
    for house in every_kind() {
        let mut times = Vec::new();
        for _ in 0..10 {
            let start = Instant::now();
            let mut running = house.sandbox.start(shell("echo up")).await.unwrap();
            let mut up = [0; 3];
            running.stdout.as_mut().unwrap().read_exact(&mut up).await.unwrap();
            times.push(start.elapsed());
            running.wait().await;
        }
        times.sort();
        println!("{}: first output after {:?} (median of 10)", house.sandbox.kind(), times[5]);
    }
    assert!(Path::new(EXECUTABLE).exists());
}

//! Containers that outlive the Baton that started them.

use std::{path::Path, sync::Arc, time::Duration};

use baton::sandbox::{BoxFuture, Exit, Kept, Kind, Running, Sandbox, SandboxError, Spec};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{
    endings::Holder,
    house::{House, container_at, containers, eventually, mark, shell, sleepers, text},
    streams,
};
use crate::support::{
    containers::{Daemon, Podman},
    docker::Docker,
};

/// What one Baton left to another: a container's reference, and the folder that it is found by.
struct Left {
    daemon: Box<dyn Daemon>,
    folder: tempfile::TempDir,
    reference: String,
}

impl Left {
    /// Lets a process start a script in a container, give it some input, and be killed once it has printed
    /// so many lines.
    async fn of(script: &str, input: &str, lines: usize, seconds: u64) -> Option<Self> {
        Some(Self::under(Box::new(Podman::start()?), script, input, lines, seconds).await)
    }

    async fn under(
        daemon: Box<dyn Daemon>,
        script: &str,
        input: &str,
        lines: usize,
        seconds: u64,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, place) = (daemon.socket(), folder.path().join("left"));
        let environment = [
            ("BATON_TEST_SOCKET", socket.to_str().unwrap()),
            ("BATON_TEST_FOLDER", folder.path().to_str().unwrap()),
            ("BATON_TEST_SCRIPT", script),
            ("BATON_TEST_INPUT", input),
            ("BATON_TEST_LINES", &lines.to_string()),
            ("BATON_TEST_SECONDS", &seconds.to_string()),
        ];
        let mut holder =
            Holder::start("sandbox::surviving::starts_what_survives_it_and_waits", &environment);
        eventually("it has printed that", || place.exists()).await;
        holder.kill();
        let reference = std::fs::read_to_string(place).unwrap();
        Self { daemon, folder, reference }
    }

    fn sandbox(&self, seconds: u64) -> impl Sandbox + use<> {
        container_at(self.daemon.socket(), self.folder.path(), seconds)
    }

    async fn resumed(&self, kept: Kept) -> Option<Running> {
        self.sandbox(60).resume(&self.reference, kept).await.unwrap()
    }

    fn is_gone(&self) -> bool {
        self.daemon.containers().is_empty()
    }
}

fn variable(name: &str) -> String {
    std::env::var(format!("BATON_TEST_{name}")).unwrap()
}

/// Not a test by itself: what the others start in a process of its own, to kill that.
#[tokio::test]
#[ignore = "holds a container until it is killed; started by the tests below"]
async fn starts_what_survives_it_and_waits() {
    let Ok(socket) = std::env::var("BATON_TEST_SOCKET") else { return };
    let folder = variable("FOLDER");
    let folder = Path::new(&folder);
    let sandbox = container_at(socket.into(), folder, variable("SECONDS").parse().unwrap());
    let mut spec = shell(&variable("SCRIPT"));
    spec.may_survive = true;
    let mut running = sandbox.start(spec).await.unwrap();
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(variable("INPUT").as_bytes()).await.unwrap();
    stdin.flush().await.unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let mut read = 0;
    for _ in 0..variable("LINES").parse::<usize>().unwrap() {
        read += lines.next_line().await.unwrap().unwrap().len() as u64 + 1;
    }
    running.keep(Kept { out: read, err: 0 });
    let left = folder.join("left.new");
    std::fs::write(&left, running.reference()).unwrap();
    std::fs::rename(left, folder.join("left")).unwrap();
    std::future::pending::<()>().await;
}

/// A script that prints each line that it reads, numbered, and a complaint.
const ECHO: &str = "echo up; n=0; while read -r line; do n=$((n+1)); echo \"$n $line\"; \
                    echo \"bad $n\" >&2; done; echo end; exit 3";

#[tokio::test(flavor = "multi_thread")]
async fn a_command_goes_on_where_its_baton_was_killed_and_reads_nothing_twice() {
    let Some(left) = Left::of(ECHO, "one\ntwo\n", 1, 60).await else { return };
    goes_on(left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_a_container_of_docker_goes_on_where_its_baton_was_killed() {
    let Some(docker) = Docker::start() else { return };
    goes_on(Left::under(Box::new(docker), ECHO, "one\ntwo\n", 1, 60).await).await;
}

async fn goes_on(left: Left) {
    let before = left.daemon.containers();
    let kept = Kept { out: 3, err: 0 };
    let mut running = left.resumed(kept).await.expect("it is found");
    assert_eq!(running.reference(), left.reference);
    assert_eq!(left.daemon.containers(), before, "the same container");
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\nthree\n").await.unwrap();
    drop(stdin);
    let taken = running.finish(1000).await;
    assert_eq!(text(&taken.stdout), "1 one\n2 two\n3 three\nend", "{taken:?}");
    assert_eq!(text(&taken.stderr), "bad 1\nbad 2\nbad 3", "{taken:?}");
    assert_eq!(taken.exit, Exit::Code(3));
    eventually("it is gone", || left.is_gone()).await;
    assert!(left.resumed(kept).await.is_none(), "its record is gone too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_nobody_was_there_is_told_in_full() {
    let script = "echo up; read -r line; seq 200000; exit 4";
    let Some(left) = Left::of(script, "", 1, 60).await else { return };
    // It is at work, or waits for its input: which is given by whoever comes back.
    let mut running = left.resumed(Kept { out: 3, err: 0 }).await.unwrap();
    running.stdin.as_mut().unwrap().write_all(b"go\n").await.unwrap();
    let mut some = vec![0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"1\n2\n3\n");
    let taken = running.finish(2 << 20).await;
    let numbers: Vec<String> = (4..=200_000).map(|n: u32| n.to_string()).collect();
    assert_eq!(text(&taken.stdout), numbers.join("\n"));
    assert_eq!(taken.exit, Exit::Code(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_comes_back_a_container_is_gone_after_its_grace() {
    let mark = mark();
    let script =
        format!("(setsid sleep {mark} >/dev/null 2>&1 </dev/null &) ; echo up; sleep {mark}");
    let Some(left) = Left::of(&script, "", 1, 1).await else { return };
    eventually("nobody sleeps", || sleepers(&mark) == 0).await;
    eventually("the container is gone", || left.is_gone()).await;
    assert!(left.resumed(Kept { out: 3, err: 0 }).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_on_with_what_cannot_be_had_exactly() {
    let Some(left) = Left::of("echo up; sleep 1000", "", 1, 60).await else { return };
    // The first one said that it has all three bytes.
    assert!(left.resumed(Kept { out: 1, err: 0 }).await.is_none());
    eventually("it was ended", || left.is_gone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_beside_the_bridge_cannot_pass_for_it() {
    // Calls on the line whenever somebody listens there, sooner than the bridge, and says that it is the bridge.
    let script = "echo up; IFS= read -r code; printf '%s' \"$code\" > /tmp/call.pl; \
                  perl /tmp/call.pl & read -r line; echo \"heard $line\"";
    let caller = "use IO::Socket::UNIX; while (1) { my $s = IO::Socket::UNIX->new('/baton/line/line.sock'); \
                  if ($s) { print $s pack('C N', 1, 56), \"\\0\" x 56; $s->flush; sleep 2; } \
                  select(undef, undef, undef, 0.005); }\n";
    let Some(left) = Left::of(script, caller, 1, 60).await else { return };
    let mut running = left.resumed(Kept { out: 3, err: 0 }).await.expect("the bridge is heard");
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(caller.as_bytes()).await.unwrap();
    stdin.write_all(b"a word\n").await.unwrap();
    let taken = running.finish(1000).await;
    assert_eq!(text(&taken.stdout), "heard a word", "{taken:?}");
    assert_eq!(taken.exit, Exit::Code(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_looked_for_is_ended_and_what_is_looked_for_is_left() {
    let Some(left) = Left::of("echo up; read -r line", "", 1, 60).await else { return };
    let sandbox = left.sandbox(60);
    let keep = [left.reference.clone()];
    assert_eq!(sandbox.clear(&keep).await.unwrap(), 0);
    assert_eq!(left.daemon.containers().len(), 1);
    assert_eq!(sandbox.clear(&[]).await.unwrap(), 1);
    assert!(left.is_gone() && left.resumed(Kept { out: 3, err: 0 }).await.is_none());
}

/// Lets every command survive, though nobody kills anything.
struct Surviving(Box<dyn Sandbox>);

impl Sandbox for Surviving {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn self_test(&self) -> BoxFuture<'_, Result<(), SandboxError>> {
        self.0.self_test()
    }

    fn start(&self, spec: Spec) -> BoxFuture<'_, Result<Running, SandboxError>> {
        Box::pin(async move {
            let running = self.0.start(Spec { may_survive: true, ..spec }).await?;
            // These cases write nothing down.
            running.keep(Kept::ALL);
            Ok(running)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_ends_of_what_could_survive_are_those_of_every_other() {
    let Some(House { folder, sandbox, podman, docker }) = containers() else { return };
    let house = House { folder, sandbox: Box::new(Surviving(sandbox)), podman, docker };
    streams::exit_codes_and_signals_come_out(&house).await;
    streams::the_environment_is_what_the_spec_names_and_nothing_else(&house).await;
    streams::ten_megabytes_in_one_line_and_broken_text_pass_unchanged_and_in_order(&house).await;
    streams::both_outputs_stay_apart_and_each_in_its_order(&house).await;
    streams::a_flood_of_complaints_is_cut_and_holds_nothing_up(&house).await;
    streams::many_commands_at_once_keep_their_own_streams(&house).await;
    super::endings::what_takes_no_notice_of_an_interrupt_is_killed_in_the_second_step(&house).await;
    super::endings::the_bridge_is_closed_to_its_command(&house).await;
    super::usage::what_a_killed_process_took_is_kept(&house).await;
    let podman = Arc::clone(house.podman.as_ref().unwrap());
    drop(house);
    tokio::time::timeout(Duration::from_secs(60), async {
        while !podman.containers().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("nothing is left");
}

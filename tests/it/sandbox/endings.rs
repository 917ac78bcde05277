//! Stopping, killing, and what is left.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use baton::sandbox::{Exit, Kind, Running, is_alive};
use tokio::io::AsyncReadExt;

use super::house::{self, House, eventually, mark, shell, sleepers, somebody_has, text};

pub async fn what_ignores_signals_and_left_the_session_dies_when_it_is_killed_dropped_or_done(
    house: &House,
) {
    for end in ["kill", "drop", "done"] {
        let mark = mark();
        let script = format!(
            "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM INT HUP; sleep {mark}' & \
             (setsid setsid sleep {mark} >/dev/null 2>&1 </dev/null &) ; \
             read line"
        );
        let mut running = house.sandbox.start(shell(&script)).await.unwrap();
        eventually("children are up", || sleepers(&mark) == 2).await;
        let reference = running.reference().to_owned();
        assert!(is_alive(&reference) != reference.starts_with("container:"), "{reference}");
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

pub async fn an_interrupt_reaches_the_whole_pipeline_and_the_command_may_end_in_its_own_way(
    house: &House,
) {
    let mark = mark();
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

pub async fn what_takes_no_notice_of_an_interrupt_is_killed_in_the_second_step(house: &House) {
    let mark = mark();
    let script = format!("trap 'echo heard' INT; echo up; while true; do sleep {mark}; done");
    let mut running = house.sandbox.start(shell(&script)).await.unwrap();
    let mut said = [0; 3];
    running.stdout.as_mut().unwrap().read_exact(&mut said).await.unwrap();
    eventually("it sleeps", || somebody_has(&mark)).await;
    running.stopper().interrupt();
    let mut heard = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"heard\n");
    running.stopper().kill();
    assert_eq!(running.wait().await, Exit::Signal(9));
    assert!(!somebody_has(&mark));
}

/// The bridge has the same account as its command and holds the environment. Under bubblewrap it is gone, and what
/// is left beside the command is bubblewrap's own process, which was given a path to look programs up in.
pub async fn the_bridge_is_closed_to_its_command(house: &House) {
    let script = "for file in environ mem maps; do \
                    head -c 1 /proc/$PPID/$file >/dev/null 2>&1 && echo read $file; \
                  done; ls /proc/$PPID/fd >/dev/null 2>&1 && echo listed; \
                  head -c 1 /proc/$$/environ >/dev/null && echo looked";
    let gone = "tr '\\0' '\\n' </proc/$PPID/environ | grep -v ^PATH=; \
                for process in /proc/[0-9]*; do \
                  tr '\\0' ' ' <$process/cmdline | grep -q '^/baton/baton ' && echo a bridge; \
                done; head -c 1 /proc/$$/environ >/dev/null && echo looked";
    let script = if house.kind() == Kind::Bubblewrap { gone } else { script };
    let mut spec = shell(script);
    spec.env.push(("SECRET".into(), "of the command".into()));
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "looked", "{taken:?}");
}

pub async fn starts_in_a_row_answer_and_their_time_is_told(house: &House) {
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let mut running = house.sandbox.start(shell("echo up")).await.unwrap();
        let mut up = [0; 3];
        running.stdout.as_mut().unwrap().read_exact(&mut up).await.unwrap();
        let first = start.elapsed();
        let ended = running.wait().await;
        assert_eq!((&up, ended), (b"up\n", Exit::Code(0)));
        times.push((first, start.elapsed()));
    }
    times.sort();
    let (first, whole) = times[times.len() / 2];
    println!("{}: first output after {first:?}, over after {whole:?} (median of 5)", house.kind());
}

/// Every kind that ends with the process that started it.
fn mortal() -> Vec<House> {
    house::bubblewrap().into_iter().chain([house::bare_machine()]).collect()
}

/// Starts what shall not survive, and holds it.
pub async fn hold(houses: &[House], mark: &str) -> Vec<Running> {
    let mut held = Vec::new();
    for house in houses {
        let script = format!(
            "trap '' TERM; (setsid setsid sleep {mark} >/dev/null 2>&1 </dev/null &); sleep {mark}"
        );
        held.push(house.sandbox.start(shell(&script)).await.unwrap());
    }
    held
}

/// Not a test by itself: what the next one starts in a process of its own, to kill that.
#[tokio::test]
#[ignore = "holds sandboxes until it is killed; started by the test below"]
async fn holds_sandboxes_until_it_is_killed() {
    let Ok(mark) = std::env::var("BATON_TEST_MARK") else { return };
    let houses = mortal();
    let _held = hold(&houses, &mark).await;
    std::future::pending::<()>().await;
}

/// A process that holds sandboxes. Killed when the test fails before it does that.
pub struct Holder(std::process::Child);

impl Holder {
    /// Starts a test of this binary that waits for its end.
    pub fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored"])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn nothing_survives_when_baton_itself_is_killed() {
    let mark = mark();
    let environment = [("BATON_TEST_MARK", mark.as_str())];
    let mut holder =
        Holder::start("sandbox::endings::holds_sandboxes_until_it_is_killed", &environment);
    let expected = 2 * mortal().len();
    eventually("all sleep", || sleepers(&mark) == expected).await;
    holder.kill();
    eventually("nobody sleeps", || sleepers(&mark) == 0).await;
}

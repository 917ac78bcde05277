//! What only containers have.

use std::sync::Arc;

use baton::sandbox::{Owner, SandboxError};

use super::{
    endings::{Holder, hold},
    house::{House, containers, containers_with, eventually, mark, shell, sleepers, text},
};
use crate::support::containers::{IMAGE, Podman};

#[tokio::test]
async fn the_self_test_passes_in_containers_and_says_precisely_what_is_missing() {
    let Some(house) = containers() else { return };
    house.sandbox.self_test().await.unwrap();
    let podman = house.podman.as_ref().unwrap();

    let none = containers_with(podman, |settings| settings.image = "localhost/no-such".to_owned());
    let error = none.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("there is no image localhost/no-such"), "{error}");
    assert!(error.contains("--target agent"), "{error}");
    let error = none.sandbox.start(shell("true")).await.err().unwrap();
    assert!(matches!(error, SandboxError::Unavailable { .. }), "{error}");

    let socket = house.folder.path().join("nobody.sock");
    let away = containers_with(podman, |settings| settings.socket.clone_from(&socket));
    let error = away.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("there is no") && error.contains("podman.socket"), "{error}");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    drop(listener);
    let error = away.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("nobody answers"), "{error}");

    if rustix::process::geteuid().is_root() {
        let root = containers_with(podman, |settings| settings.owner = Owner { uid: 0, gid: 0 });
        let error = root.sandbox.self_test().await.unwrap_err();
        assert!(matches!(error, SandboxError::Leaky { .. }), "{error}");
    }
    assert_eq!(podman.containers(), [""; 0], "left behind");
}

/// The limits of the cgroup, which hold for all processes together.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_bounded_as_a_whole_and_says_whose_it_is() {
    let Some(house) = containers() else { return };
    let mut spec = shell(
        "for n in 1 2 3 4; do (head -c 60000000 /dev/zero | tail -n 1 | wc -c) & done; wait; read line",
    );
    spec.limits.memory_bytes = Some(100 << 20);
    spec.name = "agent-7".to_owned();
    let running = house.sandbox.start(spec).await.unwrap();
    let id = running.reference().strip_prefix("container:").unwrap().to_owned();
    let podman = house.podman.as_ref().unwrap();
    let labels = podman.call(&["inspect", "--format", "{{.Config.Labels}}", &id]).unwrap();
    assert!(labels.contains("baton.name:agent-7"), "{labels}");
    let taken = running.finish(1000).await;
    let whole = text(&taken.stdout).lines().filter(|line| *line == "60000000").count();
    assert!(whole < 4, "240 MB were had within 100 MiB: {taken:?}");
}

/// Not a test by itself: what the next one starts in a process of its own, to kill that.
#[tokio::test]
#[ignore = "holds a container until it is killed; started by the test below"]
async fn holds_a_container_until_it_is_killed() {
    let Ok(mark) = std::env::var("BATON_TEST_MARK") else { return };
    let socket = std::env::var("BATON_TEST_SOCKET").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sandbox = super::house::container_at(socket.into(), folder.path(), 60);
    let houses = [House { folder, sandbox: Box::new(sandbox), podman: None, docker: None }];
    let _held = hold(&houses, &mark).await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn no_container_survives_when_baton_itself_is_killed() {
    let Some(podman) = Podman::start() else { return };
    let (mark, socket) = (mark(), podman.socket().display().to_string());
    let environment = [("BATON_TEST_MARK", mark.as_str()), ("BATON_TEST_SOCKET", &socket)];
    let mut holder =
        Holder::start("sandbox::container::holds_a_container_until_it_is_killed", &environment);
    eventually("it sleeps", || sleepers(&mark) == 2).await;
    assert_eq!(podman.containers().len(), 1);
    holder.kill();
    eventually("nobody sleeps", || sleepers(&mark) == 0).await;
    eventually("the container is gone", || podman.containers().is_empty()).await;
}

/// A container whose bridge was kept from noticing: only its labels tell that its Baton is dead.
#[tokio::test]
async fn containers_of_a_dead_baton_are_found_by_their_labels_and_those_of_a_living_one_left_alone()
{
    let Some(house) = containers() else { return };
    let podman = Arc::clone(house.podman.as_ref().unwrap());
    let state = house.folder.path().join("sandbox").display().to_string();
    let held = house.sandbox.start(shell("read line")).await.unwrap();
    for (name, installation, process) in
        [("dead", state.as_str(), "1:1"), ("of-another", "/var/lib/another", "1:1")]
    {
        let labels =
            [format!("baton.installation={installation}"), format!("baton.process={process}")];
        let [installation, process] = &labels;
        let run = ["run", "--detach", "--network", "none", "--name", name, "--label", installation];
        let rest = ["--label", process, "--stop-signal", "KILL", IMAGE, "sleep", "1000"];
        podman.call(&[&run[..], &rest[..]].concat()).unwrap();
    }
    let lines = house.folder.path().join("sandbox/lines");
    std::os::unix::net::UnixListener::bind(lines.join("of-the-dead")).unwrap();
    assert_eq!(house.sandbox.clear(&[]).await.unwrap(), 1);
    assert!(!lines.join("of-the-dead").exists(), "a lifeline of the dead is left");
    let left = podman.containers();
    assert!(
        !left.contains(&"dead".to_owned()) && left.contains(&"of-another".to_owned()),
        "{left:?}"
    );
    assert_eq!(held.finish(10).await.exit, baton::sandbox::Exit::Code(1), "a living one was ended");
}

//! Input, output, environment, and how a command ended.

use std::fs;

use baton::sandbox::{Exit, Kind, Mount, Overlay, SandboxError, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::house::{House, mark, shell, text};

pub async fn exit_codes_and_signals_come_out(house: &House) {
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
    {
        assert_eq!(house.run(shell(script)).await.exit, Exit::Code(code), "{script}");
    }
    let missing = house.run(Spec::new(vec!["/no/such/program".into()])).await;
    assert_eq!(missing.exit, Exit::Code(127));
    assert!(text(&missing.stderr).contains("/no/such/program"), "{missing:?}");
}

pub async fn the_environment_is_what_the_spec_names_and_nothing_else(house: &House) {
    let mut spec = Spec::new(vec!["/usr/bin/env".into()]);
    spec.env = vec![("ONE".into(), "1 \"ü\"".into()), ("TOKEN".into(), "gate-123".into())];
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "ONE=1 \"ü\"\nTOKEN=gate-123", "{taken:?}");
}

pub async fn no_command_line_on_the_machine_shows_the_environment(house: &House) {
    let mut spec = shell("read line");
    let secret = format!("gate-token-{}", mark());
    spec.env.push(("TOKEN".into(), secret.clone()));
    let running = house.sandbox.start(spec).await.unwrap();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&secret));
    }
    assert_eq!(running.finish(100).await.exit, Exit::Code(1));
}

pub async fn ten_megabytes_in_one_line_and_broken_text_pass_unchanged_and_in_order(house: &House) {
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

pub async fn both_outputs_stay_apart_and_each_in_its_order(house: &House) {
    let script = "for n in $(seq 1 2000); do echo out $n; echo error $n >&2; done";
    let taken = house.run(shell(script)).await;
    let expected = |word: &str| (1..=2000).map(|n| format!("{word} {n}\n")).collect::<String>();
    assert!(taken.stdout == expected("out").into_bytes(), "{}", text(&taken.stdout));
    assert!(taken.stderr == expected("error").into_bytes(), "{}", text(&taken.stderr));
}

pub async fn a_flood_of_complaints_is_cut_and_holds_nothing_up(house: &House) {
    let script = "head -c 20000000 /dev/zero | tr '\\0' x >&2; echo done";
    let running = house.sandbox.start(shell(script)).await.unwrap();
    let taken = running.finish(1000).await;
    assert_eq!((taken.exit, text(&taken.stdout)), (Exit::Code(0), "done"));
    assert_eq!(taken.stderr, [b'x'; 1000]);
}

pub async fn many_commands_at_once_keep_their_own_streams(house: &House) {
    let one = |n: usize| async move {
        let mut running = house.sandbox.start(shell("read a; echo got $a")).await.unwrap();
        running.stdin.as_mut().unwrap().write_all(format!("{n}\n").as_bytes()).await.unwrap();
        let taken = running.finish(100).await;
        assert_eq!(text(&taken.stdout), format!("got {n}"));
    };
    tokio::join!(one(1), one(2), one(3), one(4));
}

pub async fn a_spec_that_cannot_be_honoured_is_refused_before_anything_starts(house: &House) {
    let mut named = shell("true");
    named.env.push(("A=B".into(), "c".into()));
    let mut specs = vec![named, Spec::new(vec![]), Spec { workdir: "x".into(), ..shell("true") }];
    let laid = |name: &str| house.folder.path().join(name);
    let (lower, upper, work, at) = (laid("lower"), laid("upper"), laid("work"), laid("at"));
    let overlays = vec![Overlay { lower, upper, work, at }];
    let moved = vec![Mount { host: "/usr".into(), inside: "/elsewhere".into(), writable: false }];
    match house.kind() {
        Kind::Bubblewrap => {}
        Kind::Container => specs.push(Spec { overlays, ..shell("true") }),
        Kind::Host => {
            specs.push(Spec { overlays, ..shell("true") });
            specs.push(Spec { mounts: moved, ..shell("true") });
        }
    }
    for bad in specs {
        let refused = house.sandbox.start(bad).await;
        assert!(matches!(refused, Err(SandboxError::InvalidSpec(_))));
    }
}

//! What must not be used up.

use baton::sandbox::Spec;
use tokio::io::AsyncReadExt;

use super::house::{House, shell, text};

/// The limits of one process, which the bridge sets in every kind; without them all of it passes.
pub async fn a_process_that_takes_too_much_memory_time_or_disk_is_stopped(house: &House) {
    let memory = || shell("head -c 200000000 /dev/zero | tail -n 1 | wc -c");
    assert_eq!(house.lines(memory()).await, ["200000000"]);
    let mut spec = memory();
    spec.limits.memory_bytes = Some(64 << 20);
    let taken = house.run(spec).await;
    let told = text(&taken.stderr).contains("memory");
    assert!(told || text(&taken.stdout) != "200000000", "memory: {taken:?}");

    let time = |seconds| {
        shell(&format!("timeout --foreground {seconds} sh -c 'while :; do :; done'; echo $?"))
    };
    assert_eq!(house.lines(time(4)).await, ["124"], "ended by its own clock");
    // Long enough for a second on a processor, on a machine that has much else to do.
    let mut spec = time(100);
    spec.limits.cpu_seconds = Some(1);
    assert_eq!(house.lines(spec).await, ["137"], "time");

    let folder = house.writable("large");
    let disk = || {
        let mut spec = shell("ulimit -n; head -c 3000000 /dev/zero > big; wc -c < big; rm big");
        let (host, inside) = (folder.clone(), folder.clone());
        spec.mounts = vec![baton::sandbox::Mount { host, inside, writable: true }];
        spec.workdir.clone_from(&folder);
        spec
    };
    let lines = house.lines(disk()).await;
    assert!(lines[0] != "64" && lines[1] == "3000000", "{lines:?}");
    let mut spec = disk();
    spec.limits.open_files = Some(64);
    spec.limits.file_bytes = Some(1 << 20);
    assert_eq!(house.lines(spec).await, ["64", "1048576"], "disk");
    assert_eq!(house.lines(shell("ulimit -c")).await, ["0"], "no core is written");
}

/// A small bomb first: more than are allowed, and few enough for the bare machine. Where that is held, a real
/// one, which has to end with its sandbox.
pub async fn a_fork_bomb_has_an_end(house: &House) -> Vec<String> {
    // Not bash, which tries again for a quarter of a minute.
    let bomb = |script: &str, processes| {
        let mut spec = shell(script);
        spec.argv[0] = "sh".to_owned();
        spec.limits.processes = Some(processes);
        spec
    };
    let small = "for n in $(seq 1 40); do (sleep 1; echo lived) & done; wait";
    let lived = house.lines(bomb(small, 16)).await.len();
    if lived >= 16 {
        return vec![format!("{lived} lived")];
    }
    let mut running = house.sandbox.start(bomb("f() { f | f & }; f; read line", 64)).await.unwrap();
    let mut complaint = [0; 1];
    running.stderr.as_mut().unwrap().read_exact(&mut complaint).await.unwrap();
    running.stopper().kill();
    running.wait().await;
    assert_eq!(house.lines(shell("echo well")).await, ["well"]);
    Vec::new()
}

pub async fn scratch_folders_have_an_end(house: &House) -> Vec<String> {
    let script = r#"for folder in /tmp /dev/shm; do
          file=$(mktemp -p "$folder") && head -c 3000000 /dev/zero > "$file" 2>/dev/null && echo "$folder"
          rm -f "$file"
        done; true"#;
    let spec = Spec { tmp_bytes: 1 << 20, ..shell(script) };
    house.lines(spec).await
}

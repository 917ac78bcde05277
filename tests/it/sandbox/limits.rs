//! What must not be used up.

use baton::sandbox::Spec;

use super::house::{House, shell, text};

/// The limits of one process, which the bridge sets in every kind.
pub async fn a_process_that_takes_too_much_memory_time_or_disk_is_stopped(house: &House) {
    let mut spec = shell("head -c 200000000 /dev/zero | tail -n 1 | wc -c");
    spec.limits.memory_bytes = Some(64 << 20);
    let taken = house.run(spec).await;
    let told = text(&taken.stderr).contains("memory");
    assert!(told || text(&taken.stdout) != "200000000", "memory: {taken:?}");

    let mut spec = shell("(while :; do :; done); echo $?");
    spec.limits.cpu_seconds = Some(1);
    assert_eq!(house.lines(spec).await, ["137"], "time");

    let folder = house.writable("large");
    let mut spec = shell("ulimit -n; ulimit -c; head -c 3000000 /dev/zero > big; wc -c < big");
    let inside = folder.clone();
    spec.mounts =
        vec![baton::sandbox::Mount { host: folder, inside: inside.clone(), writable: true }];
    spec.workdir = inside;
    spec.limits.open_files = Some(64);
    spec.limits.file_bytes = Some(1 << 20);
    assert_eq!(house.lines(spec).await, ["64", "0", "1048576"], "disk");
}

/// A small bomb: more than are allowed, and few enough for the bare machine.
pub async fn a_fork_bomb_has_an_end(house: &House) -> Vec<String> {
    let script = "for n in $(seq 1 40); do (sleep 3; echo lived) & done 2>/dev/null; wait";
    let mut spec = shell(script);
    spec.limits.processes = Some(16);
    let lived = house.lines(spec).await.len();
    if lived < 16 { Vec::new() } else { vec![format!("{lived} lived")] }
}

pub async fn scratch_folders_have_an_end(house: &House) -> Vec<String> {
    let script = r#"for folder in /tmp /dev/shm; do
          file=$(mktemp -p "$folder") && head -c 3000000 /dev/zero > "$file" 2>/dev/null && echo "$folder"
          rm -f "$file"
        done; true"#;
    let spec = Spec { tmp_bytes: 1 << 20, ..shell(script) };
    house.lines(spec).await
}

//! What a sandbox's processes take, seen from outside while they run and when they have ended.

use baton::{model::Footprint, sandbox::Mount};

use super::house::{House, shell};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const MIB: u64 = 1 << 20;

/// Writes 8 MiB to the disk, computes in a grandchild that ends, then holds 40 MiB until its input ends.
const SCRIPT: &str = r#"
    (sh -c 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done')
    dd if=/dev/zero of=block bs=1M count=8 conv=fsync 2>/dev/null
    exec perl -e '$| = 1; $held = "x" x 40_000_000; print "ready\n"; <STDIN>; print length $held'
"#;

pub async fn what_processes_take_is_seen_while_they_run_and_kept_when_they_have_ended(
    house: &House,
) {
    let folder = house.writable("usage");
    let mut spec = shell(SCRIPT);
    spec.workdir.clone_from(&folder);
    let mount = Mount { host: folder.clone(), inside: folder, writable: true };
    spec.mounts.push(mount);
    let mut running = house.sandbox.start(spec).await.unwrap();
    let meter = running.meter();
    let mut lines = BufReader::new(running.stdout.take().unwrap());
    let mut ready = String::new();
    lines.read_line(&mut ready).await.unwrap();
    assert_eq!(ready, "ready\n");

    let held = meter.read();
    assert!(held.memory > 40 * MIB, "{held:?}");
    assert!(held.memory_peak >= held.memory, "{held:?}");
    // Of the shell that has ended; its parents waited for it.
    assert!(held.cpu_ms >= 50, "{held:?}");

    drop(running.stdin.take());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).await.unwrap();
    assert!(running.wait().await.is_success());
    let last = meter.last();
    assert_eq!(last, meter.read(), "nothing changes after the end");
    let Footprint { cpu_ms, memory, memory_peak, written, held: _ } = last;
    assert!(cpu_ms >= held.cpu_ms && memory_peak >= held.memory, "{last:?}");
    assert_eq!(memory, 0);
    // Where the folder is in memory nothing goes to a disk.
    assert!(written >= 8 * MIB || on_no_disk(house.folder.path()), "{last:?}");
}

pub async fn what_a_killed_process_took_is_kept(house: &House) {
    let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo ready; exec sleep 600";
    let mut running = house.sandbox.start(shell(script)).await.unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap());
    lines.read_line(&mut String::new()).await.unwrap();
    running.stopper().kill();
    running.wait().await;
    let last = running.meter().last();
    assert!(last.cpu_ms >= 30 && last.memory == 0, "{last:?}");
}

fn on_no_disk(folder: &std::path::Path) -> bool {
    let kind = rustix::fs::statfs(folder).unwrap().f_type;
    // TMPFS_MAGIC, RAMFS_MAGIC and OVERLAYFS_SUPER_MAGIC (statfs(2)): what an overlay writes is counted
    // where its upper folder is, and that can be any.
    [0x0102_1994, 0x8584_58f6, 0x794c_7630].contains(&kind)
}

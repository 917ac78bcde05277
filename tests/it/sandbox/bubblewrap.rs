//! What only bubblewrap has.

use std::{fs, os::unix::fs::PermissionsExt};

use baton::sandbox::{Owner, SandboxError};

use super::house::{bare_machine, bubblewrap, bubblewrap_with, shell, text};

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
    let missing = bubblewrap_with(|settings| settings.program = "/no/bwrap".into());
    let error = missing.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("apt-get install bubblewrap"), "{error}");

    let hidden = tempfile::tempdir().unwrap();
    fs::set_permissions(hidden.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(hidden.path().join("baton"), "").unwrap();
    let path = hidden.path().join("baton");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let house = bubblewrap_with(|settings| settings.bridge = path);
    let error = house.sandbox.self_test().await.unwrap_err().to_string();
    assert!(error.contains("chmod o+x"), "{error}");
}

#[tokio::test]
async fn root_is_no_account_for_a_sandbox() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let house = bubblewrap_with(|settings| settings.owner = Owner { uid: 0, gid: 0 });
    let error = house.sandbox.self_test().await.unwrap_err();
    assert!(matches!(error, SandboxError::Leaky { .. }), "{error}");
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
async fn the_file_system_inside_is_a_small_one_of_its_own() {
    let Some(house) = bubblewrap() else { return };
    let script = "for path in /root /home/user /etc/shadow /var /run /sys; do \
                    test -e $path && echo sees $path; done; ls -A /home /tmp /baton; id -u; \
                  ls /proc | grep -c '^[0-9]*$'";
    let taken = house.run(shell(script)).await;
    let seen = text(&taken.stdout);
    assert!(!seen.contains("sees") && seen.contains("/home:\nbaton\n"), "{seen}");
    let [.., uid, processes] = seen.lines().collect::<Vec<_>>()[..] else { panic!("{seen}") };
    assert_eq!(uid, "1000");
    assert!(processes.parse::<u32>().unwrap() < 9, "it sees other processes: {seen}");
}

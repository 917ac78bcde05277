//! What must not be seen or done from inside. Each case gives what got through.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::PathBuf,
    process::Command,
};

use baton::sandbox::{Gateway, Kind, Mount, Spec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::house::{House, eventually, give, mark, shell, somebody_has, text};

/// Adds arguments to a script, from `$1` on.
fn with(mut spec: Spec, arguments: &[String]) -> Spec {
    spec.argv.push("bash".to_owned());
    spec.argv.extend_from_slice(arguments);
    spec
}

/// What every account of the machine may read is not seen from inside: the files of Baton and of others.
pub async fn files_of_the_machine_cannot_be_seen(house: &House) -> Vec<String> {
    let folder = house.folder.path();
    let mut paths = Vec::new();
    for name in ["other/secret", "home/.ssh/id", "baton.toml", "private-key.pem", "mirror/config"] {
        let path = folder.join("machine").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "canary").unwrap();
        paths.push(path.display().to_string());
    }
    let script = r#"for path in "$@"; do cat "$path" >/dev/null 2>&1 && echo "$path"; done; true"#;
    house.lines(with(shell(script), &paths)).await
}

pub async fn sockets_of_the_machine_cannot_be_seen(house: &House) -> Vec<String> {
    let socket = house.folder.path().join("database.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let mut paths = vec![socket.display().to_string()];
    paths.extend(
        ["/var/run/docker.sock", "/run/podman/podman.sock", "/run/dbus"].map(str::to_owned),
    );
    let script = r#"for path in "$@"; do test -e "$path" && echo "$path"; done; true"#;
    house.lines(with(shell(script), &paths)).await
}

pub async fn devices_of_the_machine_cannot_be_seen(house: &House) -> Vec<String> {
    house.lines(shell("cd /dev; ls | grep -E '^(sd|vd|nvme|loop|mem$|kmsg$|kvm$)'; true")).await
}

/// What an agent could plant for the next git command on the machine.
pub async fn mirror_hooks_and_configuration_cannot_be_written(house: &House) -> Vec<String> {
    let mirror = house.folder.path().join("mirror-of-all");
    let init = Command::new("git").args(["init", "--quiet", "--bare"]).arg(&mirror).status();
    assert!(init.unwrap().success());
    give(&mirror);
    let script = r#"cd "$1" && cat HEAD >/dev/null || exit 1
        (echo x >> config) 2>/dev/null && echo config
        (echo x > hooks/post-update) 2>/dev/null && echo hooks
        (echo x > objects/info/alternates) 2>/dev/null && echo alternates
        git config core.fsmonitor /bin/true 2>/dev/null && echo fsmonitor
        chmod -R u+w . 2>/dev/null && (echo x >> HEAD) 2>/dev/null && echo HEAD
        rm -rf objects 2>/dev/null && echo removed
        true"#;
    let mut spec = with(shell(script), &[mirror.display().to_string()]);
    let mount = Mount { host: mirror.clone(), inside: mirror.clone(), writable: false };
    spec.mounts = vec![mount];
    let taken = house.run(spec).await;
    assert!(taken.exit.is_success(), "the mirror cannot be read: {taken:?}");
    text(&taken.stdout).lines().map(str::to_owned).collect()
}

pub async fn nothing_but_its_own_folders_can_be_written(house: &House) -> Vec<String> {
    let (own, open) = (house.writable("own-folder"), house.writable("of-others"));
    let script = r#"touch "$1/mine" || exit 1
        for folder in / /etc /usr /usr/bin /baton /proc/sys/kernel "$2"; do
          (echo x > "$folder/baton-was-here") 2>/dev/null && echo "$folder"
        done
        (: >> /proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern
        true"#;
    let mut spec = with(shell(script), &[&own, &open].map(|path| path.display().to_string()));
    spec.mounts = vec![Mount { host: own.clone(), inside: own.clone(), writable: true }];
    let taken = house.run(spec).await;
    assert!(taken.exit.is_success() && own.join("mine").exists(), "{taken:?}");
    text(&taken.stdout).lines().map(str::to_owned).collect()
}

pub async fn what_one_leaves_in_scratch_folders_no_other_finds(house: &House) -> Vec<String> {
    let name = format!("baton-left-{}", mark());
    let leave = r#"for folder in /tmp /dev/shm; do echo x > "$folder/$1" || exit 1; done"#;
    let left = house.run(with(shell(leave), std::slice::from_ref(&name))).await;
    assert!(left.exit.is_success(), "{left:?}");
    let find = r#"for folder in /tmp /dev/shm; do
          test -e "$folder/$1" && echo "$folder" && rm "$folder/$1"
        done; true"#;
    house.lines(with(shell(find), &[name])).await
}

/// Asks a loopback port for a line, with what every machine with bash has.
fn ask(port: u16) -> String {
    format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo ping >&3 && head -n 1 <&3")
}

pub async fn a_server_on_the_machine_is_out_of_reach(house: &House) -> Vec<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"host\n").await.unwrap();
        }
    });
    let reached = house.lines(shell(&ask(port))).await;
    // Who is given the machine's network, for deploying, does reach it.
    let open = Spec { network: baton::sandbox::Network::Host, ..shell(&ask(port)) };
    assert_eq!(house.lines(open).await, ["host"]);
    server.abort();
    reached
}

/// A datagram socket that is connected sends nothing: it tells whether there is a way.
pub async fn there_is_no_way_to_any_address_not_that_of_metadata_and_no_name_is_resolved(
    house: &House,
) -> Vec<String> {
    let script = r#"tail -n +3 /proc/net/dev | grep -v '^ *lo:' | cut -d: -f1
        for address in 169.254.169.254 192.0.2.53; do
          (exec 3<>/dev/udp/$address/53) 2>/dev/null && echo "$address"
        done
        (exec 3<>/dev/udp/names.example/53) 2>/dev/null && echo "names are resolved"
        true"#;
    house.lines(shell(script)).await
}

pub async fn nothing_is_privileged_and_nothing_can_become_so(house: &House) -> Vec<String> {
    let script = r#"test "$(id -u)" = 0 && echo "is root"
        grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v '0000000000000000'
        grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || echo "may gain privileges"
        unshare --user true 2>/dev/null && echo "makes user namespaces"
        unshare --mount true 2>/dev/null && echo "makes mount namespaces"
        true"#;
    house.lines(shell(script)).await
}

/// On the bare machine this holds too, where a PID namespace can be had; so the look is tried outside first.
pub async fn processes_of_others_cannot_be_seen(house: &House) {
    let look =
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o \"[s]leep $1 \" | head -n 1";
    let mark = mark();
    let mut other = Command::new("sleep").arg(&mark).spawn().unwrap();
    eventually("it sleeps", || somebody_has(&mark)).await;
    let outside = Command::new("bash").args(["-c", look, "bash", &mark]).output().unwrap();
    let seen = house.lines(with(shell(look), std::slice::from_ref(&mark))).await;
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(text(&outside.stdout), format!("sleep {mark}"), "the look is broken");
    assert_eq!(seen, [""; 0]);
}

pub async fn the_gateway_and_the_exit_are_reached_through_their_sockets_by_many_at_once(
    house: &House,
) {
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
    let [port, egress] = [8088, 8089].map(|port| match house.kind() {
        Kind::Bubblewrap | Kind::Container => port,
        // The machine's own: one that is free just now.
        Kind::Host => {
            std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
        }
    });
    let (gateway, exit) = (ask(port), ask(egress));
    let script = format!("for n in 1 2 3 4; do ({gateway}) & done; wait; {exit}");
    let spec = Spec {
        gateway: Some(Gateway { socket: socket.clone(), port }),
        egress: Some(Gateway { socket, port: egress }),
        ..shell(&script)
    };
    let taken = house.run(spec).await;
    assert_eq!(text(&taken.stdout), "pong\npong\npong\npong\npong", "{taken:?}");
    server.abort();
}

/// A manner of those that can show a folder somewhere else; the bare machine refuses to.
pub async fn a_folder_is_shown_inside_a_read_only_one_that_does_not_have_it(house: &House) {
    if house.kind() == Kind::Host {
        return;
    }
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
    // A link in the place is not followed.
    std::os::unix::fs::symlink(house.folder.path(), tree.join("away")).unwrap();
    let mut spec = shell("true");
    spec.mounts = vec![mount(&tree, "/tree"), mount(&kept, "/tree/away/kept")];
    if let Ok(running) = house.sandbox.start(spec).await {
        running.finish(4096).await;
    }
    assert!(!house.folder.path().join("kept/kept").exists());
    assert!(!house.folder.path().join("away").exists());
}

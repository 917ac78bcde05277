//! The egress proxy, spoken to as the tools inside speak to it.

use std::{collections::BTreeSet, os::unix::fs::PermissionsExt};

use baton::{
    egress::{Allowance, Exit, Exits},
    model::{Blocked, EgressRule, Fetch, HostRule},
};
use emulators::registry::Registry;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
};

fn host(text: &str) -> HostRule {
    HostRule::new(text).unwrap()
}

/// Hosts that both lists name; an address for those that need one.
fn allowance(hosts: &[(String, bool)]) -> Allowance {
    let rule = |(name, here): &(String, bool)| EgressRule {
        host: host(name),
        address: here.then(|| [127, 0, 0, 1].into()),
    };
    Allowance {
        policy: hosts.iter().map(|(name, _)| host(name)).collect(),
        server: hosts.iter().map(rule).collect(),
        offline: false,
    }
}

fn open(allowance: Allowance) -> (TempDir, Exit) {
    let folder = tempfile::tempdir().unwrap();
    let exit = Exits::new(folder.path().join("egress")).open(allowance).unwrap();
    (folder, exit)
}

/// Sends a request and reads all that comes back.
async fn asks(exit: &Exit, request: &str) -> String {
    let mut stream = UnixStream::connect(exit.socket()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(url: &str) -> String {
    format!("GET {url} HTTP/1.1\r\nHost: elsewhere.test\r\nConnection: close\r\n\r\n")
}

fn connect(to: &str) -> String {
    format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n")
}

fn blocked(exit: &Exit) -> BTreeSet<(String, Blocked)> {
    let seen = exit.seen().into_iter();
    seen.filter_map(|fetch| Some((fetch.named(), fetch.blocked?))).collect()
}

#[tokio::test]
async fn a_named_host_is_asked_and_what_was_fetched_is_written_down() {
    let registry = Registry::start().await.unwrap();
    let name = format!("registry.test:{}", registry.port());
    let (_folder, exit) = open(allowance(&[(name.clone(), true)]));
    let answer = asks(&exit, &get(&format!("http://{name}/npm/baton-pad"))).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Addresses in the answer are those of the host that was asked, whatever the request claimed.
    assert!(answer.contains(&format!("http://{name}/npm/baton-pad/-/")), "{answer}");
    asks(&exit, &get(&format!("http://{name}/npm/baton-pad/-/baton-pad-1.0.0.tgz"))).await;
    let packages: Vec<Option<String>> = exit.seen().into_iter().map(|one| one.package).collect();
    assert_eq!(packages, [None, Some("baton-pad 1.0.0".to_owned())]);
    registry.shutdown().await;
}

#[tokio::test]
async fn a_host_that_is_not_named_by_both_lists_is_refused_with_the_line_that_would_allow_it() {
    let registry = Registry::start().await.unwrap();
    let named = |name: &str| format!("{name}:{}", registry.port());
    let mut lists = allowance(&[(named("both.test"), true), (named("server.test"), true)]);
    lists.policy.pop();
    lists.policy.push(host(&named("policy.test")));
    let (_folder, exit) = open(lists);
    for (name, by, line) in [
        ("server.test", Blocked::Policy, "to `environment.hosts` in .github/baton.yml"),
        ("policy.test", Blocked::Server, "to `egress` under `[limits]` in baton.toml"),
        ("evil.test", Blocked::Both, "to `environment.hosts` in .github/baton.yml"),
    ] {
        let name = named(name);
        for request in [get(&format!("http://{name}/")), connect(&name)] {
            let answer = asks(&exit, &request).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
            assert!(answer.contains(&format!("Baton: {name} is not allowed here")), "{answer}");
            assert!(answer.contains(line), "{answer}");
        }
        assert!(blocked(&exit).contains(&(name, by)), "{:?}", exit.seen());
    }
    assert_eq!(registry.asked(), [""; 0]);
    registry.shutdown().await;
}

#[tokio::test]
async fn a_name_that_leads_into_the_servers_own_network_is_refused_although_both_lists_have_it() {
    let registry = Registry::start().await.unwrap();
    let name = format!("localhost:{}", registry.port());
    let (_folder, exit) = open(allowance(&[(name.clone(), false)]));
    for request in [get(&format!("http://{name}/")), connect(&name)] {
        let answer = asks(&exit, &request).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("is no public address"), "{answer}");
    }
    assert!(matches!(
        exit.seen().as_slice(),
        [Fetch { blocked: Some(Blocked::Address(address)), .. }] if address.is_loopback()
    ));
    assert_eq!(registry.asked(), [""; 0]);
    registry.shutdown().await;
}

#[tokio::test]
async fn bare_addresses_other_ports_and_other_protocols_are_refused() {
    let registry = Registry::start().await.unwrap();
    let name = format!("registry.test:{}", registry.port());
    let (_folder, exit) = open(allowance(&[(name.clone(), true), ("plain.test".to_owned(), true)]));
    let port = registry.port();
    for (request, status) in [
        (get(&format!("http://127.0.0.1:{port}/")), "403"),
        (get(&format!("http://2130706433:{port}/")), "403"),
        (connect("169.254.169.254:80"), "403"),
        (connect(&format!("[::1]:{port}")), "403"),
        (connect(&format!("plain.test:{port}")), "403"),
        (connect("plain.test:22"), "403"),
        (get("/"), "400"),
        (get(&format!("ftp://{name}/")), "400"),
        (get(&format!("http://user@{name}/")), "400"),
        (
            format!(
                "POST http://{name}/ HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ),
            "405",
        ),
    ] {
        let answer = asks(&exit, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    assert_eq!(registry.asked(), [""; 0]);
    registry.shutdown().await;
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_with_its_exit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("tls.test:{}", listener.local_addr().unwrap().port());
    let (_folder, exit) = open(allowance(&[(name.clone(), true)]));
    let mut inside = UnixStream::connect(exit.socket()).await.unwrap();
    inside.write_all(connect(&name).replace("Connection: close\r\n", "").as_bytes()).await.unwrap();
    let (mut outside, _) = listener.accept().await.unwrap();
    let mut answer = [0; 1024];
    let read = inside.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    inside.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    outside.read_exact(&mut heard).await.unwrap();
    outside.write_all(b"world").await.unwrap();
    inside.read_exact(&mut answer[..5]).await.unwrap();
    assert_eq!((&heard, &answer[..5]), (b"hello", &b"world"[..]));
    let seen = exit.seen();
    assert_eq!((seen[0].named(), seen[0].package.clone()), (name, None));
    let socket = exit.socket().to_owned();
    drop(exit);
    assert_eq!(outside.read(&mut heard).await.unwrap(), 0, "the tunnel goes on");
    assert!(!socket.exists());
}

#[tokio::test]
async fn sockets_have_names_by_chance_in_a_folder_that_nobody_can_list() {
    let (folder, exit) = open(Allowance::default());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("egress")), 0o711);
    assert_eq!(mode(exit.socket()), 0o666);
    let own = exit.socket().parent().unwrap();
    assert!(own.file_name().unwrap().len() >= 32);
    assert_eq!(mode(&own.with_extension("seen")), 0o600);
    let left = exit.socket().to_owned();
    std::mem::forget(exit);
    Exits::new(folder.path().join("egress")).clear(&[]).unwrap();
    assert!(!left.exists(), "what a dead process left is still there");
    assert_eq!(std::fs::read_dir(folder.path().join("egress")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_exit_that_a_dead_process_left_is_opened_again_at_its_place_with_what_was_asked_there() {
    let (folder, exit) = open(Allowance::default());
    asks(&exit, &connect("a.test:443")).await;
    let (seen, socket) = (exit.seen(), exit.socket().to_owned());
    assert_eq!(seen.len(), 1);
    std::mem::forget(exit);
    let exits = Exits::new(folder.path().join("egress"));
    exits.clear(std::slice::from_ref(&socket)).unwrap();
    let again = exits.open_again(&socket, Allowance::default()).unwrap();
    assert_eq!(again.socket(), socket);
    assert_eq!(again.seen(), seen);
    let answer = asks(&again, &connect("a.test:443")).await;
    assert!(answer.contains("a.test is not allowed here"), "{answer}");
}

//! Pushes to a remote that others push to.

use super::*;

impl House {
    pub(super) fn push(&self, branch: &str, sha: &Sha, expected: Option<&Sha>) -> Push {
        Push {
            repository: REPOSITORY,
            url: self.remote(),
            sha: sha.clone(),
            branch: BranchName::new(branch).unwrap(),
            expected: expected.cloned(),
        }
    }
}

#[tokio::test]
async fn a_push_creates_updates_repeats_and_respects_what_somebody_else_pushed() {
    let house = house().await;
    let one = house.person_commits("one", "file", "1");
    let two = house.person_commits("two", "file", "2");
    house.refresh().await;
    let workspaces = &house.workspaces;
    let created = workspaces.push(&house.push("b/x", &one, None), None).await.unwrap();
    assert!(!created.already);
    let repeated = workspaces.push(&house.push("b/x", &one, None), None).await.unwrap();
    assert!(repeated.already);
    let exists = workspaces.push(&house.push("b/x", &two, None), None).await;
    assert!(matches!(exists, Err(PushError::Moved)), "{exists:?}");
    // Neither commit descends from the other: the lease is what counts.
    workspaces.push(&house.push("b/x", &two, Some(&one)), None).await.unwrap();
    let moved = workspaces.push(&house.push("b/x", &one, Some(&house.base)), None).await;
    assert!(matches!(moved, Err(PushError::Moved)), "{moved:?}");
    let at = git(Path::new(&house.remote()), &["rev-parse", "refs/heads/b/x"]);
    assert_eq!(at, two.as_str());
}

#[tokio::test]
async fn a_refused_push_tells_the_remotes_reason_and_a_lost_remote_can_be_tried_again() {
    let house = house().await;
    let hook = Path::new(&house.remote()).join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho 'no permission for workflows' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let refused = house.workspaces.push(&house.push("x", &house.base, None), None).await;
    let Err(PushError::Refused(reason)) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("declined") && reason.contains("for workflows"), "{reason}");

    // A port that was just free answers nobody.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut push = house.push("x", &house.base, None);
    push.url = format!("http://127.0.0.1:{port}/a.git");
    let lost = house.workspaces.push(&push, None).await;
    assert!(matches!(lost, Err(PushError::Transport(_))), "{lost:?}");
    let lost = house.workspaces.refresh(REPOSITORY, &push.url, None).await;
    assert!(matches!(lost, Err(WorkspaceError::Remote(_))), "{lost:?}");
}

#[tokio::test]
async fn the_token_reaches_the_remote_and_is_on_no_command_line_and_no_disk() {
    let house = house().await;
    let token = "ghs_only-in-memory-7731";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.git", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        // While git waits for the answer, every command line of the machine is looked at.
        let seen = quarantine::processes_that_name(token)
            + quarantine::processes_that_name("x-access-token");
        let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        (String::from_utf8_lossy(&request[..length]).into_owned(), seen)
    });
    let secret = SecretString::from(token);
    let denied = house.workspaces.refresh(REPOSITORY, &url, Some(&secret)).await;
    assert!(matches!(denied, Err(WorkspaceError::Denied(_))), "{denied:?}");
    let (request, seen) = server.await.unwrap();
    use base64::{Engine, engine::general_purpose::STANDARD};
    let basic = STANDARD.encode(format!("x-access-token:{token}"));
    assert!(request.contains(&format!("Authorization: Basic {basic}")), "{request}");
    assert_eq!(seen, 0, "a command line shows the token");
    for word in [token, &basic] {
        let folder = house.folder.path().join("data");
        let found = Command::new("grep").args(["-r", "-l", word]).arg(folder).output().unwrap();
        assert!(found.stdout.is_empty(), "{found:?}");
    }
}

//! The git program against the stand-in.

use serde_json::json;

use crate::support::{REPO, Scene, scene};

fn clone(scene: &Scene, token: &str) -> (tempfile::TempDir, std::path::PathBuf, bool) {
    let folder = tempfile::tempdir().unwrap();
    let ran = scene.git(folder.path(), &["clone", "--quiet", &scene.clone_url(token), "w"]);
    let inside = folder.path().join("w");
    (folder, inside, ran.status.success())
}

fn commit(scene: &Scene, folder: &std::path::Path, file: &str, content: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    assert!(scene.git(folder, &["add", "."]).status.success());
    assert!(scene.git(folder, &["commit", "--quiet", "-m", file]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn push_by_git_tells_as_the_bot_and_moves_the_pull() {
    let scene = scene().await;
    let number = scene.own_pull(false).await;
    let (_kept, folder, cloned) = clone(&scene, &scene.token);
    assert!(cloned);
    assert!(scene.git(&folder, &["checkout", "--quiet", "topic"]).status.success());
    commit(&scene, &folder, "b", "b\n");
    // Big enough that git sends the request compressed.
    commit(&scene, &folder, "c", &"x\n".repeat(5_000));
    let ran = scene.git(&folder, &["push", "--quiet", "origin", "topic"]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(scene.github.file(REPO, "topic", "b").unwrap(), b"b\n");
    let told = scene.github.deliveries();
    let told = told.iter().find(|known| known.action.as_deref() == Some("synchronize")).unwrap();
    assert_eq!(told.payload["sender"]["login"], "baton[bot]");
    let head = scene.github.branch(REPO, "topic").unwrap();
    assert_eq!(scene.github.pull(REPO, number).unwrap().head_sha, head);
    let ran = scene.git(&folder, &["push", "--quiet", "origin", "HEAD:refs/heads/fresh", ":topic"]);
    assert!(ran.status.success());
    let names = scene.arrived().await;
    for name in ["create", "delete", "pull_request.closed"] {
        assert!(names.iter().any(|known| known == name), "{name} {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_token_cannot_clone_and_read_only_token_cannot_push() {
    let scene = scene().await;
    assert!(!clone(&scene, "ghs_bad").2);
    let token = scene.mint(json!({ "permissions": { "contents": "read" } })).await;
    let (_kept, folder, cloned) = clone(&scene, &token);
    assert!(cloned);
    commit(&scene, &folder, "b", "b\n");
    let ran = scene.git(&folder, &["push", "--quiet", "origin", "HEAD:refs/heads/x"]);
    assert!(String::from_utf8_lossy(&ran.stderr).contains("403"));
}

#[tokio::test(flavor = "multi_thread")]
async fn push_that_is_no_fast_forward_needs_force() {
    let scene = scene().await;
    let (_kept, folder, _) = clone(&scene, &scene.token);
    scene.github.as_user("mona").push_files(REPO, "main", &[("z", b"z", false)], "z").unwrap();
    commit(&scene, &folder, "b", "b\n");
    assert!(!scene.git(&folder, &["push", "--quiet", "origin", "main"]).status.success());
    assert!(scene.git(&folder, &["push", "--quiet", "--force", "origin", "main"]).status.success());
    let told = scene.github.deliveries();
    assert_eq!(told.iter().rfind(|known| known.event == "push").unwrap().payload["forced"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn push_against_a_rule_is_refused_with_its_reason() {
    let scene = scene().await;
    scene.github.refuse_push(REPO, "refs/heads/main", "main is protected").unwrap();
    let (_kept, folder, _) = clone(&scene, &scene.token);
    commit(&scene, &folder, "b", "b\n");
    let ran = scene.git(&folder, &["push", "--quiet", "origin", "main"]);
    assert!(!ran.status.success());
    assert!(String::from_utf8_lossy(&ran.stderr).contains("main is protected"));
    assert!(scene.git(&folder, &["push", "--quiet", "origin", "main:other"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn push_of_a_workflow_file_needs_the_workflows_permission() {
    let scene = scene().await;
    let (_kept, folder, _) = clone(&scene, &scene.token);
    commit(&scene, &folder, ".github/workflows/ci.yml", "on: push\n");
    let ran = scene.git(&folder, &["push", "--quiet", "origin", "HEAD:refs/heads/x"]);
    let words = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(words.contains("without `workflows` permission"), "{words}");
    scene
        .github
        .set_permissions(scene.installation, &[("contents", "write"), ("workflows", "write")]);
    let token = scene.mint(json!({})).await;
    let url = scene.clone_url(&token);
    assert!(scene.git(&folder, &["push", "--quiet", &url, "HEAD:refs/heads/x"]).status.success());
}

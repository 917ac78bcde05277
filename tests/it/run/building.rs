//! The repository's own policy counts at the command line too: what agents build with, and what they may
//! not touch.

use emulators::models::{Answer, Script};
use serde_json::json;

use super::*;

/// One command, and then the end.
fn coder(command: &str) -> Script {
    let code = json!({"summary": "Done", "tests_run": "none", "notes": ""});
    Script::new().step("", 0, Answer::tool("Bash", json!({"command": command}))).step(
        "",
        1,
        Answer::tool("StructuredOutput", code),
    )
}

/// A desk whose repository has a policy.
async fn desk(policy: &str, coder: Script) -> Desk {
    let desk = Desk::with(coder).await;
    fs::write(desk.repository().join(".github/baton.yml"), policy).unwrap();
    desk.git(&["commit", "--quiet", "--all", "--message=Say how it is built"]);
    desk
}

#[tokio::test]
async fn what_a_set_up_brings_every_request_has() {
    let policy = "version: 1\nsetup: mkdir -p vendor && echo brought > vendor/word\n\
                  environment:\n  presets: []\n  keep: [vendor]\n";
    let desk =
        desk(policy, coder("cp vendor/word word && git add word && git commit -qm word")).await;
    let ran = desk.run(&[REQUEST, "Once more"]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    assert_eq!(ran.out.matches("set-up: mkdir").count(), 1, "{}", ran.out);
    // A later command finds it; one whose lock files or commands are others makes its own.
    let ran = desk.run(&["And later"]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    assert!(!ran.out.contains("set-up:"), "{}", ran.out);
    for branch in [BRANCH, "baton/once-more", "baton/and-later"] {
        assert_eq!(desk.git(&["show", &format!("{branch}:word")]), "brought");
        let files = desk.git(&["ls-tree", "-r", "--name-only", branch]);
        assert!(!files.contains("vendor"), "{files}");
    }
    desk.end().await;
}

#[tokio::test]
async fn a_set_up_that_fails_says_what_was_kept_from_it_and_costs_nothing() {
    let policy = "version: 1\nsetup: printf '\\033[2J' && curl --fail --silent http://evil.test/pad\n\
                  environment:\n  presets: []\n";
    let desk = desk(policy, coder("true")).await;
    let ran = desk.run(&[REQUEST]).await;
    assert_eq!(ran.code, Some(1), "{}\n{}", ran.out, ran.error);
    for said in
        ["not let through to evil.test:", "`environment.hosts` in .github/baton.yml", "failed"]
    {
        assert!(ran.error.contains(said), "{said:?} is not in\n{}", ran.error);
    }
    assert!(!ran.error.contains('\x1b') && !ran.out.contains('\x1b'), "{:?}", ran.error);
    assert!(desk.models.requests().is_empty());
    desk.end().await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_and_paths_that_it_protects_are_named() {
    let broken = desk("version: 1\nset-up: make\n", coder("true")).await;
    let ran = broken.run(&[REQUEST]).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.error.contains(".github/baton.yml") && ran.error.contains("set-up"),
        "{}",
        ran.error
    );
    broken.end().await;

    let policy = "version: 1\nprotected: [docs/]\n";
    let change = "mkdir docs && echo x > docs/a && git add docs && git commit -qm docs";
    let strict = desk(policy, coder(change)).await;
    let ran = strict.run(&[REQUEST]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    assert!(ran.out.contains("Look at it closely") && ran.out.contains("docs/a"), "{}", ran.out);
    strict.end().await;
}

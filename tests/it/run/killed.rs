//! A command that is killed loses nothing: the next one on the repository finds what its agents were at.

use std::time::Duration;

use emulators::models::{Answer, Hang, Request, Script};
use serde_json::json;

use super::*;

/// Commits, changes one more file, and waits.
const HALF: &str = "echo done > done.txt; git add done.txt; git commit -qm 'Half of it'; \
                    echo more > more.txt; touch .here; sleep 600";

/// The first agent does half of it; whoever is asked later does nothing.
fn halfway() -> Script {
    let over = json!({"summary": "Looked at it", "tests_run": "none", "notes": ""});
    let bash = Answer::tool("Bash", json!({ "command": HALF }));
    Script::new().step(REQUEST, 0, bash).step("", 0, Answer::tool("StructuredOutput", over))
}

/// Begins a request and kills the command once its agent waits.
async fn killed(desk: &Desk, arguments: &[&str]) {
    let mut child = desk.command(arguments).spawn().unwrap();
    let waits = || {
        let trees = desk.under_way().into_iter().filter(|path| path.contains("/workspaces/"));
        let mut places =
            trees.flat_map(|path| ["tree", "upper"].map(|name| format!("{path}/{name}/.here")));
        places.any(|place| Path::new(&place).exists())
    };
    let look = async {
        while !waits() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(120), look).await;
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(seen.is_ok(), "its agent never came so far");
    assert_eq!(ended.code(), None, "it was killed");
}

/// What is said of a killed command's request.
const KILLED: &str = "An earlier command was killed, and this is not run again: Serve open ranges";

#[tokio::test]
async fn what_a_killed_command_had_is_a_branch_with_the_next_command_and_is_not_run_again() {
    let desk = Desk::with(halfway()).await;
    killed(&desk, &[REQUEST]).await;
    assert!(!desk.under_way().is_empty());
    assert_eq!(desk.git(&["branch", "--format=%(refname:short)"]), "main");
    let asked = desk.asked().len();

    let ran = desk.run(&["Look around"]).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.error);
    for said in [KILLED, "nothing is lost", "2 commit(s)", BRANCH] {
        assert!(ran.out.contains(said), "{said:?} is not in\n{}", ran.out);
    }
    assert_eq!(desk.git(&["show", &format!("{BRANCH}:done.txt")]), "done");
    assert_eq!(desk.git(&["show", &format!("{BRANCH}:more.txt")]), "more", "was not committed");
    let again = desk.asked().into_iter().skip(asked).any(|request| {
        Request::parse(&request.body).user_texts().iter().any(|text| text.contains(REQUEST))
    });
    assert!(!again, "it was run again");

    let ran = desk.run(&["Look around"]).await;
    assert!(!ran.out.contains("An earlier command"), "told twice: {}", ran.out);
    desk.end().await;
}

#[tokio::test]
async fn a_branch_that_a_killed_command_had_made_already_is_not_made_twice() {
    let desk = Desk::with(halfway()).await;
    killed(&desk, &[REQUEST]).await;
    // As if it had died a moment later: the branch is there, and it is not noted.
    let note = desk.under_way().into_iter().find(|path| path.contains("/begun/")).unwrap();
    let noted = fs::read(&note).unwrap();
    let ran = desk.run(&["--json", "Look around"]).await;
    let rows = ran.rows();
    assert_eq!(rows[0]["kept"]["change"]["branch"], BRANCH, "{}\n{}", ran.out, ran.error);
    let head = rows[0]["kept"]["change"]["head"].as_str().unwrap().to_owned();
    fs::write(&note, noted).unwrap();
    let mirror = Path::new(&note).ancestors().nth(2).unwrap().join("mirrors/1.git");
    let reference = ["update-ref", "refs/baton/agents/agent-1", &head];
    desk.git(&[&["--git-dir", mirror.to_str().unwrap()], &reference[..]].concat());
    let ran = desk.run(&["Look around"]).await;
    assert!(ran.out.contains(&format!("it is on the branch {BRANCH}")), "{}", ran.out);
    assert_eq!(desk.git(&["branch", "--format=%(refname:short)"]), format!("{BRANCH}\nmain"));
    desk.end().await;
}

#[tokio::test]
async fn a_killed_command_whose_agent_had_changed_nothing_leaves_no_branch() {
    let desk = Desk::with(Hang).await;
    let mut child = desk.command(&[REQUEST]).spawn().unwrap();
    while desk.models.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    let ran = desk.run(&["--max-usd", "0.000001", "Look around"]).await;
    assert!(ran.out.contains(KILLED) && ran.out.contains("changed nothing"), "{}", ran.out);
    assert_eq!(desk.git(&["branch", "--format=%(refname:short)"]), "main");
    desk.end().await;
}

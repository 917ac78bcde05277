//! Who may not, and what is nobody's business: no write at all.

use baton::{cli::demo::world::REPOSITORY, db::overview};
use emulators::github::{GitHub, Role};

use crate::support::baton::{Story, writes};

async fn nothing_was_done(story: &Story) {
    story.until_quiet().await;
    assert_eq!(writes(story.github()), Vec::<String>::new());
    assert_eq!(overview::list_tasks(story.pool(), true, 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_strangers_commands_and_labels_start_nothing() {
    let story = Story::begin().await;
    let github = story.github();
    github.add_user("nosy");
    let nosy = github.as_user("nosy");
    let issue = story.issue();
    for command in ["plan", "audit", "status", "help", "off", "aprove", "review"] {
        nosy.comment(REPOSITORY, issue, &format!("/baton {command}")).unwrap();
    }
    nosy.comment(REPOSITORY, issue, "@baton-demo plan this, please").unwrap();
    nosy.label(REPOSITORY, issue, "baton").unwrap();
    nothing_was_done(&story).await;
    story.end().await;
}

#[tokio::test]
async fn a_busy_repository_hears_nothing_from_a_baton_that_nobody_asked() {
    let story = Story::begin().await;
    let github = story.github();
    github.add_user("tom");
    github.grant(REPOSITORY, "tom", Role::Write).unwrap();
    github.add_bot("dependency-robot[bot]");
    for round in 0..5 {
        busy_day(github, round);
    }
    assert!(github.deliveries().len() >= 50, "{}", github.deliveries().len());
    nothing_was_done(&story).await;
    story.end().await;
}

/// What goes on in a repository without Baton.
fn busy_day(github: &GitHub, round: u32) {
    let (mara, tom) = (github.as_user("mara"), github.as_user("tom"));
    let robot = github.as_user("dependency-robot[bot]");
    let issue = mara.open_issue(REPOSITORY, "A question", "Does baton work here?").unwrap();
    let quoted = "> /baton plan\n\n`/baton plan` or\n```\n/baton plan\n```\n/plan";
    let comment = tom.comment(REPOSITORY, issue, quoted).unwrap();
    tom.react(REPOSITORY, comment, "+1").unwrap();
    tom.edit_comment(REPOSITORY, comment, "<!-- /baton plan --> Never mind.").unwrap();
    mara.label(REPOSITORY, issue, "question").unwrap();
    robot.label(REPOSITORY, issue, "baton").unwrap();
    mara.unlabel(REPOSITORY, issue, "baton").unwrap();
    robot.comment(REPOSITORY, issue, "/baton plan").unwrap();
    mara.close_issue(REPOSITORY, issue).unwrap();
    let branch = format!("notes-{round}");
    let text = format!("round {round}\n");
    let files: [(&str, &[u8], bool); 1] = [("NOTES.md", text.as_bytes(), false)];
    let head = tom.push_files(REPOSITORY, &branch, &files, "Take notes").unwrap();
    let pull = tom.open_pull(REPOSITORY, &branch, "main", "Notes").unwrap();
    mara.submit_review(REPOSITORY, pull, "REQUEST_CHANGES", "Shorter, please.", &[]).unwrap();
    mara.submit_review(REPOSITORY, pull, "APPROVE", "", &[]).unwrap();
    robot.report_status(REPOSITORY, &head, "ci", "failure").unwrap();
    robot.report_check(REPOSITORY, "robot-ci", &head, "build", Some("failure")).unwrap();
    mara.close_pull(REPOSITORY, pull).unwrap();
    tom.delete_branch(REPOSITORY, &branch).unwrap();
}

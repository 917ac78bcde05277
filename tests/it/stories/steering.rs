//! What people do to a task under way, and what Baton says to it.

use baton::cli::demo::world::REPOSITORY;
use emulators::github::{Comment, GitHub, Role};

use crate::support::baton::{Story, asking, progress, said};

fn comment(github: &GitHub, issue: u64, id: u64) -> Comment {
    github.comments(REPOSITORY, issue).into_iter().find(|comment| comment.id == id).unwrap()
}

fn reactions(github: &GitHub, issue: u64, id: u64) -> Vec<String> {
    let comment = comment(github, issue, id);
    comment.reactions.iter().map(|reaction| reaction.content.clone()).collect()
}

fn last_word(github: &GitHub, issue: u64) -> String {
    said(github, issue).pop().unwrap().body
}

#[tokio::test]
async fn the_gate_opens_only_for_a_fresh_command_of_somebody_who_may() {
    let story = Story::begin().await;
    let github = story.github();
    github.add_user("tim");
    github.grant(REPOSITORY, "tim", Role::Triage).unwrap();
    let early = story.issue();
    story.mara().label(REPOSITORY, early, "baton").unwrap();
    let issue = early;
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.until_state("waiting").await;

    // An edited comment opens no gate.
    let edited = story.mara().comment(REPOSITORY, issue, "Looks good.").unwrap();
    story.mara().edit_comment(REPOSITORY, edited, "/baton approve").unwrap();
    story.until_quiet().await;
    assert_eq!(reactions(github, issue, edited), ["confused"]);
    // Somebody with triage alone does not.
    let by_tim = github.as_user("tim").comment(REPOSITORY, issue, "/baton approve").unwrap();
    story.until_quiet().await;
    assert_eq!(reactions(github, issue, by_tim), ["confused"]);
    assert!(
        last_word(github, issue).contains("needs write access"),
        "{}",
        last_word(github, issue)
    );
    // A typo is answered once, however often the webhook comes.
    let before = said(github, issue).len();
    let typo = story.mara().comment(REPOSITORY, issue, "/baton aprove").unwrap();
    let delivery = github.deliveries().pop().unwrap();
    github.redeliver(delivery.id);
    story.until_quiet().await;
    assert_eq!(said(github, issue).len(), before + 1);
    assert!(last_word(github, issue).contains("/baton approve"), "{}", last_word(github, issue));
    assert_eq!(reactions(github, issue, typo), ["confused"]);
    assert_eq!(story.state().await.as_deref(), Some("waiting"), "the gate is shut still");

    let rejected = story.mara().comment(REPOSITORY, issue, "/baton reject not now").unwrap();
    story.until_state("cancelled").await;
    assert_eq!(reactions(github, issue, rejected), ["rocket"]);
    assert!(asking(github, issue).is_none(), "the question is folded away");
    story.end().await;
}

#[tokio::test]
async fn a_label_taken_off_and_an_issue_closed_end_the_task_with_a_word() {
    let story = Story::begin().await;
    let ends: [fn(&Story, u64); 2] = [
        |story, issue| story.mara().unlabel(REPOSITORY, issue, "baton").unwrap(),
        |story, issue| story.mara().close_issue(REPOSITORY, issue).unwrap(),
    ];
    for end in ends {
        let issue = story.assigned();
        story.until("a plan", |github| asking(github, issue).is_some()).await;
        story.until_state("waiting").await;
        end(&story, issue);
        story.until_state("cancelled").await;
        let github = story.github();
        assert!(asking(github, issue).is_none(), "the question is folded away");
        assert!(
            progress(github, issue).contains("### Baton: ended"),
            "{}",
            progress(github, issue)
        );
        assert!(last_word(github, issue).contains("mara"), "{}", last_word(github, issue));
    }
    story.end().await;
}

#[tokio::test]
async fn a_pull_request_closed_and_opened_again_goes_on_to_the_merge() {
    let story = Story::begin().await;
    let issue = story.assigned();
    story.approve(issue).await;
    let pull = story.ready().await;
    story.until_state("waiting").await;
    story.mara().close_pull(REPOSITORY, pull).unwrap();
    story.until_state("parked").await;
    let github = story.github();
    assert!(
        last_word(github, issue).contains("the pull request was closed"),
        "{}",
        last_word(github, issue)
    );
    story.mara().reopen_pull(REPOSITORY, pull).unwrap();
    story.until_state("waiting").await;
    assert!(progress(github, issue).contains("merge"), "{}", progress(github, issue));
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    story.end().await;
}

#[tokio::test]
async fn a_deleted_branch_parks_the_task_with_a_word() {
    let story = Story::begin().await;
    let issue = story.assigned();
    story.approve(issue).await;
    let pull = story.ready().await;
    story.until_state("waiting").await;
    let branch = story.github().pull(REPOSITORY, pull).unwrap().head_branch;
    story.mara().delete_branch(REPOSITORY, &branch).unwrap();
    story.until_state("parked").await;
    let told = progress(story.github(), issue);
    assert!(told.contains("deleted") || told.contains("closed"), "{told}");
    assert!(told.contains("/baton resume") || told.contains("reopen"), "{told}");
    story.end().await;
}

#[tokio::test]
async fn a_repository_switched_off_stays_silent_until_it_is_switched_on() {
    let story = Story::begin().await;
    let github = story.github();
    let first = story.issue();
    story.mara().comment(REPOSITORY, first, "/baton off").unwrap();
    story.until_quiet().await;
    assert!(last_word(github, first).contains("/baton on"), "{}", last_word(github, first));
    let issue = story.assigned();
    story.until_quiet().await;
    assert_eq!(said(github, issue), [], "it is off");
    assert_eq!(story.state().await, None);
    story.mara().comment(REPOSITORY, first, "/baton on").unwrap();
    story.until_quiet().await;
    story.mara().comment(REPOSITORY, issue, "/baton plan").unwrap();
    story.until_state("waiting").await;
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    story.end().await;
}

#[tokio::test]
async fn a_push_that_github_refuses_parks_with_githubs_words() {
    let story = Story::begin().await;
    let reason = "branches of robots are closed until Monday";
    story.github().refuse_push(REPOSITORY, "refs/heads/baton/*", reason).unwrap();
    let issue = story.assigned();
    story.approve(issue).await;
    story.until_state("parked").await;
    let github = story.github();
    let told = progress(github, issue);
    assert!(told.contains("the change was not pushed"), "{told}");
    assert!(told.contains(reason), "{told}");
    assert!(last_word(github, issue).contains("/baton"), "{}", last_word(github, issue));
    assert!(github.branches(REPOSITORY).iter().all(|branch| !branch.starts_with("baton/")));
    story.end().await;
}

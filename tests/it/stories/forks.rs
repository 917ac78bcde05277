//! `push: fork`: Baton's branches are in a fork, its pull requests come from there, and everything else is
//! as ever.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use baton::cli::demo::world::{OWNER, REPOSITORY};
use emulators::{
    github::GitHub,
    models::{Answer, Brain, Crew, Pace, Request},
    sample,
};

use super::whole::{fits_githubs_schemas, is_said_once, is_whole};
use crate::support::{
    baton::{Story, progress, said},
    forks::{FORK, FRIENDS, branches, make_fork, to, to_fork, wrong},
};

#[tokio::test]
async fn a_change_goes_to_the_fork_and_comes_back_as_its_pull_request() {
    let story = Story::with(Arc::new(Crew::new()), to_fork).await;
    let installation = make_fork(story.github());
    let github = story.github();
    // Words of somebody from outside: in a fork they reach no secret, so that nobody is asked.
    github.add_user("olga");
    let (title, body) = sample::issue();
    let issue = github.as_user("olga").open_issue(REPOSITORY, title, body).unwrap();
    story.mara().label(REPOSITORY, issue, "baton").unwrap();
    story.approve(issue).await;
    let pull = story.merge().await;
    story.until_state("done").await;
    is_whole(github, issue, pull);
    fits_githubs_schemas(github);
    assert_eq!(wrong(github, installation), [""; 0]);
    assert_eq!(branches(github, FORK).len(), 1);
    let opened = github
        .requests()
        .into_iter()
        .find(|asked| asked.method == "POST" && asked.path == format!("/repos/{REPOSITORY}/pulls"));
    let opened = opened.unwrap().body.unwrap();
    assert_eq!(opened["head"], format!("{FRIENDS}:{}", branches(github, FORK)[0]));
    assert_eq!(
        (&opened["head_repo"], &opened["maintainer_can_modify"]),
        (&FORK.into(), &false.into())
    );
    story.end().await;
}

/// A crew whose reviewer does not say a word before it may.
struct Patient {
    crew: Crew,
    may_review: AtomicBool,
}

impl Brain for Patient {
    fn answer(&self, request: &Request) -> Answer {
        let reviews = request.system.contains("Role: review");
        if reviews && !self.may_review.load(Ordering::SeqCst) {
            return Answer::new().with_pace(Pace::Never);
        }
        self.crew.answer(request)
    }
}

#[tokio::test]
async fn a_persons_commit_in_the_fork_is_what_the_next_round_builds_on() {
    let patient = Patient { crew: Crew::new(), may_review: AtomicBool::new(false) };
    let patient = Arc::new(patient);
    let story = Story::with(Arc::clone(&patient) as Arc<dyn Brain>, to_fork).await;
    let installation = make_fork(story.github());
    let github = story.github();
    let issue = story.assigned();
    story.approve(issue).await;
    story
        .until_true("SELECT EXISTS (SELECT FROM stages WHERE key = 'review' AND state = 'running')")
        .await;
    let branch = branches(github, FORK).remove(0);
    patient.may_review.store(true, Ordering::SeqCst);
    let notes: [(&str, &[u8], bool); 1] = [("NOTES.md", b"by mara\n", false)];
    let theirs = story.mara().push_files(FORK, &branch, &notes, "Take notes").unwrap();
    let pull = story.ready().await;
    story.until_state("waiting").await;
    let head = github.pull(REPOSITORY, pull).unwrap().head_sha;
    assert_ne!(head, theirs, "the coder went on");
    assert_eq!(github.branch(FORK, &branch), Some(head.clone()));
    assert_eq!(github.file(FORK, &head, "NOTES.md").as_deref(), Some(&b"by mara\n"[..]));
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    is_said_once(github, issue);
    assert_eq!(github.file(REPOSITORY, "main", "NOTES.md").as_deref(), Some(&b"by mara\n"[..]));
    assert_eq!(wrong(github, installation), [""; 0]);
    // Mara's push was told by the fork too, where it means nothing.
    story.until_true("SELECT EXISTS (SELECT FROM deliveries WHERE event = 'push' AND state = 'ignored' AND reason LIKE '%default branch%')").await;
    story.end().await;
}

/// Waits until the task is parked and its thread says this.
async fn until_parked(story: &Story, issue: u64, words: &str) {
    let says = |github: &GitHub| {
        let last = said(github, issue).pop();
        last.is_some_and(|comment| comment.body.contains(words))
    };
    story.until(words, says).await;
    story.until_state("parked").await;
    let told = progress(story.github(), issue);
    assert!(told.contains("the change was not pushed") && told.contains("/baton retry"), "{told}");
}

#[tokio::test]
async fn a_fork_that_cannot_be_pushed_to_is_told_and_tried_again_once_it_is_mended() {
    let story = Story::with(Arc::new(Crew::new()), to_fork).await;
    let github = story.github();
    let retry = |issue: u64| {
        story.mara().comment(REPOSITORY, issue, "/baton retry").unwrap();
    };
    github.add_organization(FRIENDS);
    let files: [(&str, &[u8], bool); 1] = [("README.md", b"another\n", false)];
    github.add_repository(FRIENDS, "files-work", &files, Default::default()).unwrap();
    let issue = story.assigned();
    story.approve(issue).await;
    until_parked(&story, issue, "is not installed on `friends/files-work`").await;

    github.install(FRIENDS, &["files-work"]).unwrap();
    retry(issue);
    until_parked(&story, issue, "`friends/files-work` is no fork of `acme/files`").await;

    github.delete_repository(FORK).unwrap();
    let installation = make_fork(github);
    github.archive(FORK, true).unwrap();
    retry(issue);
    until_parked(&story, issue, "`friends/files-work` is archived").await;

    github.archive(FORK, false).unwrap();
    github.suspend(installation, true);
    retry(issue);
    until_parked(&story, issue, "is suspended on the account of `friends/files-work`").await;

    github.suspend(installation, false);
    github.set_permissions(installation, &[("metadata", "read"), ("contents", "read")]);
    retry(issue);
    until_parked(&story, issue, "may not write the contents of `friends/files-work`").await;

    github.set_permissions(installation, &[("metadata", "read"), ("contents", "write")]);
    // The same words again are said again.
    github.archive(FORK, true).unwrap();
    retry(issue);
    until_parked(&story, issue, "`friends/files-work` is archived").await;
    github.archive(FORK, false).unwrap();
    assert_eq!(branches(github, FORK), [""; 0], "nothing went out so far");
    story.until_true("SELECT count(*) = 1 FROM agents JOIN stages ON stages.id = stage_id WHERE key = 'code'").await;

    retry(issue);
    let pull = story.ready().await;
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    is_said_once(github, issue);
    assert_eq!(wrong(github, installation), [""; 0]);
    story.end().await;
}

#[tokio::test]
async fn a_fork_that_lacks_a_workflow_is_told_and_takes_the_same_commit_once_it_is_synced() {
    let story = Story::with(Arc::new(Crew::new()), to_fork).await;
    let installation = make_fork(story.github());
    let github = story.github();
    let workflow: [(&str, &[u8], bool); 1] = [(".github/workflows/ci.yml", b"on: push\n", false)];
    story.mara().push_files(REPOSITORY, "main", &workflow, "CI").unwrap();
    let issue = story.assigned();
    story.approve(issue).await;
    until_parked(&story, issue, "`friends/files-work` lacks workflows").await;
    github.sync_fork(FORK).unwrap();
    story.mara().comment(REPOSITORY, issue, "/baton retry").unwrap();
    let pull = story.ready().await;
    let first = "SELECT count(DISTINCT base) = 1 FROM agents JOIN stages ON stages.id = stage_id WHERE key = 'code' AND attempt = 1";
    story.until_true(first).await;
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    is_whole(github, issue, pull);
    assert_eq!(wrong(github, installation), [""; 0]);
    story.end().await;
}

#[tokio::test]
async fn a_branch_deleted_in_the_fork_parks_the_task_and_one_of_that_name_elsewhere_does_not() {
    let story = Story::with(Arc::new(Crew::new()), to_fork).await;
    make_fork(story.github());
    let github = story.github();
    let issue = story.assigned();
    story.approve(issue).await;
    story.ready().await;
    story.until_state("waiting").await;
    let branch = branches(github, FORK).remove(0);
    let files: [(&str, &[u8], bool); 1] = [("NOTES.md", b"elsewhere\n", false)];
    story.mara().push_files(REPOSITORY, &branch, &files, "Another of that name").unwrap();
    story.mara().delete_branch(REPOSITORY, &branch).unwrap();
    story.until_quiet().await;
    assert_eq!(story.state().await.as_deref(), Some("waiting"));
    story.mara().delete_branch(FORK, &branch).unwrap();
    story.until_state("parked").await;
    let told = progress(github, issue);
    assert!(told.contains("the pull request was closed"), "{told}");
    assert!(told.contains(&format!("on `{branch}` of `{FORK}`")), "{told}");
    story.end().await;
}

#[tokio::test]
async fn a_fork_in_the_same_account_is_reached_by_a_token_of_its_own() {
    let story = Story::with(Arc::new(Crew::new()), |recipe| to(recipe, "acme/files-work")).await;
    let github = story.github();
    let fork = github.add_fork(OWNER, "files-work", REPOSITORY).unwrap();
    github.install(OWNER, &["files-work"]).unwrap();
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    is_whole(github, issue, pull);
    assert_eq!(branches(github, REPOSITORY), [""; 0]);
    assert_eq!(branches(github, "acme/files-work").len(), 1);
    let uses = github.token_uses().into_iter();
    let pushes: Vec<_> = uses.filter(|used| used.path.ends_with("git-receive-pack")).collect();
    assert!(!pushes.is_empty(), "nothing was pushed");
    assert!(pushes.iter().all(|used| used.repositories == Some(vec![fork.id])), "{pushes:?}");
    story.end().await;
}

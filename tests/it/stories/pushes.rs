//! Words of somebody without write access: what came of them is seen by a person before it is pushed.

use baton::cli::demo::world::REPOSITORY;
use emulators::{
    github::{Comment, GitHub},
    sample,
};

use crate::support::baton::{Story, progress, said};

/// The comments that ask for a push, oldest first; answered ones are folded away.
fn asked(github: &GitHub, issue: u64) -> Vec<Comment> {
    let mut asked = said(github, issue);
    asked.retain(|comment| comment.body.starts_with("<!-- baton:asking_push "));
    asked
}

fn open(github: &GitHub, issue: u64) -> Option<Comment> {
    asked(github, issue).into_iter().rfind(|comment| comment.minimized.is_none())
}

fn pushed(github: &GitHub) -> Vec<String> {
    let branches = github.branches(REPOSITORY).into_iter();
    branches.filter(|branch| branch.starts_with("baton/")).collect()
}

impl Story {
    /// An issue by somebody from outside, labelled by a maintainer, its plan approved.
    async fn by_an_outsider(&self) -> u64 {
        self.github().add_user("olga");
        let (title, body) = sample::issue();
        let issue = self.github().as_user("olga").open_issue(REPOSITORY, title, body).unwrap();
        self.mara().label(REPOSITORY, issue, "baton").unwrap();
        self.approve(issue).await;
        issue
    }

    /// Waits until a push is asked for, other than one that was asked for before.
    async fn until_asked(&self, issue: u64, before: usize) -> Comment {
        let more =
            |github: &GitHub| asked(github, issue).len() > before && open(github, issue).is_some();
        self.until("a push to be asked for", more).await;
        self.until_state("waiting").await;
        open(self.github(), issue).unwrap()
    }

    fn let_out(&self, comment: &Comment) {
        self.mara().tick(REPOSITORY, comment.id, "Push this commit").unwrap();
    }
}

#[tokio::test]
async fn an_outsiders_issue_is_pushed_only_once_a_person_has_seen_the_diff() {
    let story = Story::begin().await;
    let issue = story.by_an_outsider().await;
    let first = story.until_asked(issue, 0).await;
    let github = story.github();
    assert_eq!(pushed(github), [] as [String; 0], "nothing is out");
    for part in ["@mara ", "`olga`", "<details>", "```diff", "+  return { start, end };"] {
        assert!(first.body.contains(part), "no {part} in {}", first.body);
    }
    let told = progress(github, issue);
    assert!(told.contains("the change is ready to be pushed, waiting for @mara"), "{told}");
    assert!(github.issue(REPOSITORY, issue).unwrap().labels.contains(&"baton:waiting".to_owned()));

    // The outsider's own tick opens nothing.
    github.as_user("olga").comment(REPOSITORY, issue, "/baton approve").unwrap();
    story.until_quiet().await;
    assert_eq!(pushed(github), [] as [String; 0]);

    story.let_out(&first);
    // The review finds something: the coder's next commit waits too.
    let second = story.until_asked(issue, 1).await;
    assert_eq!(pushed(github).len(), 1, "the first commit is out");
    assert_ne!(second.id, first.id);
    let whole = github.comments(REPOSITORY, issue);
    let first = whole.iter().find(|comment| comment.id == first.id).unwrap();
    assert!(first.minimized.is_some(), "the first question was answered");
    let named = second.body.rsplit('`').nth(1).unwrap().to_owned();
    story.mara().comment(REPOSITORY, issue, &format!("/baton approve {named}")).unwrap();
    let pull = story.ready().await;
    let head = github.pull(REPOSITORY, pull).unwrap().head_sha;
    assert!(head.starts_with(&named), "{head} is not {named}");
    assert!(open(github, issue).is_none());
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_state("done").await;
    story.end().await;
}

#[tokio::test]
async fn a_stale_tick_pushes_nothing() {
    let story = Story::begin().await;
    let issue = story.by_an_outsider().await;
    let first = story.until_asked(issue, 0).await;
    let words = "/baton revise Refuse reversed ranges too";
    story.mara().comment(REPOSITORY, issue, words).unwrap();
    let second = story.until_asked(issue, 1).await;
    assert_ne!(first.id, second.id);
    let github = story.github();
    story.let_out(&first);
    story.until_quiet().await;
    assert_eq!(pushed(github), [] as [String; 0], "the tick was for another commit");
    let word = said(github, issue).pop().unwrap().body;
    assert!(word.contains("not the commit that waits, nothing was pushed"), "{word}");
    assert_eq!(story.state().await.as_deref(), Some("waiting"));

    // Stopped and gone on with, the same commit is asked for again; a rejection ends it unpushed.
    story.mara().comment(REPOSITORY, issue, "/baton stop").unwrap();
    story.until_state("parked").await;
    story.mara().comment(REPOSITORY, issue, "/baton resume").unwrap();
    story.until_state("waiting").await;
    story.mara().comment(REPOSITORY, issue, "/baton reject not now").unwrap();
    story.until_state("cancelled").await;
    assert_eq!(pushed(github), [] as [String; 0]);
    assert!(open(github, issue).is_none());
    story.end().await;
}

//! A mirror goes with its repository.

use std::sync::Arc;

use baton::cli::demo::world::{OWNER, REPOSITORY};
use emulators::models::Crew;

use crate::support::baton::{Story, asking};

fn mirrors(story: &Story) -> usize {
    story.server().pipeline().parts().runtime.workspaces.list_mirrors().unwrap().len()
}

async fn swept(story: &Story) {
    story.sweep().await;
    story.until_true("SELECT NOT EXISTS (SELECT FROM jobs)").await;
}

#[tokio::test]
async fn the_mirror_of_a_repository_goes_when_it_is_no_longer_served() {
    let story = Story::with(Arc::new(Crew::new()), |_| ()).await;
    let issue = story.assigned();
    story.until("a plan", |github| asking(github, issue).is_some()).await;
    story.until_quiet().await;
    swept(&story).await;
    assert_eq!(mirrors(&story), 1, "a mirror went whose repository is served");

    // A task that is over has nothing more to say where nobody can be told.
    story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
    story.until_state("cancelled").await;
    let name = REPOSITORY.split_once('/').unwrap().1;
    let installation = story.github().install(OWNER, &[name]).unwrap();
    story.github().uninstall_repositories(installation, &[REPOSITORY]);
    story.until_true("SELECT bool_and(removed_at IS NOT NULL) FROM repositories").await;
    story.until_quiet().await;
    swept(&story).await;
    assert_eq!(mirrors(&story), 0, "a mirror stays whose repository is no longer served");

    story.end().await;
}

//! Webhooks as they come in the real world: lost, doubled, late, early, in any order.

use std::time::Duration;

use baton::{
    cli::demo::world::REPOSITORY,
    model::Lane,
    queue::{self, Scope},
};
use emulators::github::{Doubling, Faults};

use super::whole::is_whole;
use crate::support::baton::{Story, said};

/// The whole job under a fault ends as it does without.
async fn ends_the_same(fault: impl FnOnce(&Faults<'_>)) {
    let story = Story::begin().await;
    fault(&story.github().faults());
    let (issue, pull) = story.to_merge().await;
    story.until_state("done").await;
    story.github().faults().clear();
    is_whole(story.github(), issue, pull);
    story.end().await;
}

#[tokio::test]
async fn webhooks_that_come_twice_under_one_guid_change_nothing() {
    ends_the_same(|faults| faults.duplicate_deliveries(Some(Doubling::SameGuid))).await;
}

#[tokio::test]
async fn webhooks_that_come_twice_under_two_guids_change_nothing() {
    ends_the_same(|faults| faults.duplicate_deliveries(Some(Doubling::OtherGuid))).await;
}

#[tokio::test]
async fn webhooks_that_come_before_the_answer_and_out_of_turn_change_nothing() {
    ends_the_same(|faults| {
        faults.early(true);
        faults.delay_matching("issue_comment", Duration::from_millis(400));
        faults.delay_matching("pull_request", Duration::from_millis(200));
        faults.reorder_next(2);
    })
    .await;
}

/// The whole job, while what the filter names never arrives by itself.
async fn is_healed(lost: impl Fn(&str, Option<&str>) -> bool + Send + Sync + 'static) {
    let story = Story::begin().await;
    story.github().faults().drop_matching(lost);
    let sweeping = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            story.sweep().await;
        }
    };
    let played = async {
        let (issue, pull) = story.to_merge().await;
        story.until_state("done").await;
        (issue, pull)
    };
    let (issue, pull) = tokio::select! {
        played = played => played,
        () = sweeping => unreachable!("it sweeps for ever"),
    };
    is_whole(story.github(), issue, pull);
    story.end().await;
}

#[tokio::test]
async fn a_lost_label_is_found_in_the_list_of_deliveries() {
    is_healed(|event, action| (event, action) == ("issues", Some("labeled"))).await;
}

#[tokio::test]
async fn a_lost_approval_is_found_in_the_list_of_deliveries() {
    is_healed(|event, action| (event, action) == ("issue_comment", Some("edited"))).await;
}

#[tokio::test]
async fn a_lost_merge_is_found() {
    is_healed(|event, _| event == "pull_request").await;
}

#[tokio::test]
async fn a_job_whose_webhooks_are_all_lost_is_done_all_the_same() {
    is_healed(|_, _| true).await;
}

#[tokio::test]
async fn a_merge_that_is_in_no_list_is_seen_on_the_pull_request() {
    let story = Story::begin().await;
    let issue = story.assigned();
    story.approve(issue).await;
    let pull = story.ready().await;
    story.github().faults().lose_matching(1000, |_, _| true);
    story.mara().merge_pull(REPOSITORY, pull, None).unwrap();
    story.until_quiet().await;
    assert_eq!(story.state().await.as_deref(), Some("waiting"), "nobody told it");
    story.sweep().await;
    story.until_state("done").await;
    is_whole(story.github(), issue, pull);
    story.end().await;
}

/// How many orders of the six are tried.
const ORDERS: usize = 60;

#[tokio::test]
async fn six_events_in_any_order_begin_one_task() {
    let story = Story::begin().await;
    let github = story.github();
    let now = story.world.clock.now();
    // What happens is decided; the agents themselves would take minutes. And no sweep may find the
    // deliveries in the App's list before they come in the order that is tried.
    queue::pause(story.pool(), Scope::Lane(Lane::Agent), "agents rest", now).await.unwrap();
    queue::pause(story.pool(), Scope::Lane(Lane::Sweep), "nothing is looked up", now)
        .await
        .unwrap();
    story.until_quiet().await;
    github.faults().drop_matching(|_, _| true);
    let mut chance = Chance(0x5eed);
    let mut issues = Vec::new();
    for _ in 0..ORDERS {
        let before = github.deliveries().len();
        let issue = story.assigned();
        story.mara().edit_issue(REPOSITORY, issue, Some("Open ranges are short"), None).unwrap();
        story.mara().unlabel(REPOSITORY, issue, "baton").unwrap();
        story.mara().label(REPOSITORY, issue, "baton").unwrap();
        story.mara().comment(REPOSITORY, issue, "/baton status").unwrap();
        let mut told: Vec<u64> = github.deliveries()[before..].iter().map(|told| told.id).collect();
        assert_eq!(told.len(), 6);
        chance.shuffle(&mut told);
        issues.push((issue, told));
    }
    story.until_quiet().await;
    github.faults().clear();
    for (_, told) in &issues {
        for id in told {
            assert!(github.redeliver(*id));
        }
    }
    story
        .until("an answer in each", |github| {
            issues.iter().all(|(issue, _)| said(github, *issue).len() >= 2)
        })
        .await;
    story
        .until_true("SELECT NOT EXISTS (SELECT FROM jobs WHERE kind NOT IN ('sweep', 'run_agent'))")
        .await;
    for (issue, told) in &issues {
        let comments = said(github, *issue);
        assert_eq!(
            comments.len(),
            2,
            "one answer and one progress comment: {told:?} {comments:#?}"
        );
    }
    let tasks: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks WHERE state = 'open'")
        .fetch_one(story.pool())
        .await
        .unwrap();
    assert_eq!(tasks, i64::try_from(ORDERS).unwrap());
    for (issue, _) in &issues {
        story.mara().close_issue(REPOSITORY, *issue).unwrap();
    }
    story.until_true("SELECT NOT EXISTS (SELECT FROM tasks WHERE state = 'open')").await;
    for lane in [Lane::Agent, Lane::Sweep] {
        let wake = queue::resume(story.pool(), Scope::Lane(lane), now).await.unwrap();
        wake.release(&story.server().pipeline().parts().wakes);
    }
    story.end().await;
}

/// The same chance each time (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for place in (1..items.len()).rev() {
            items.swap(place, self.below(place + 1));
        }
    }
}

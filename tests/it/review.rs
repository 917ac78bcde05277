//! What must hold when things go wrong in the worst order: late news, empty purses, switches in the
//! middle of work.

use std::time::Duration;

use baton::{
    cli::demo::world::OWNER,
    db::{agents, installations, tasks},
    model::*,
    queue::{self, Scope},
    workflow::{Decision, Effect, decide},
};
use sqlx::PgPool;

use crate::support::{baton::Story, play::*};

fn planned() -> Play {
    let mut play = Play::new();
    play.person(What::TaskAssigned { trigger: Trigger::Label });
    play.succeeds(StageKey::Plan, plan_outcome(), None);
    play
}

fn coding() -> Play {
    let mut play = planned();
    play.command(Command::Approve { hash: None });
    play
}

fn testing() -> Play {
    let mut play = coding();
    play.succeeds(StageKey::Code, code_outcome(), Some(sha(2)));
    play
}

fn mergeable() -> Play {
    let mut play = testing();
    play.run_ends(true);
    play.happens(Actor::System, What::PublishDone { pull: 2, head: sha(2) });
    play.succeeds(StageKey::Review, review_outcome(&[]), None);
    play
}

fn state(play: &Play) -> &TaskState {
    &play.s.task.as_ref().unwrap().state
}

fn starts(decision: &Decision) -> Vec<StageKey> {
    let stage = |effect: &Effect| match effect {
        Effect::StartAgent { stage, .. } => Some(*stage),
        _ => None,
    };
    decision.effects.iter().filter_map(stage).collect()
}

#[test]
fn an_agent_that_the_off_switch_ended_leaves_a_parked_task_that_goes_on_when_told_to() {
    let mut play = coding();
    play.command(Command::Off);
    let by = CancelledBy::Person(ActorId(7));
    play.agent_ends(StageKey::Code, End::Cancelled(by), None, Some(sha(4)));
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Off));
    play.command(Command::On);
    assert_eq!(starts(&play.command(Command::Resume)), [StageKey::Code]);
}

#[test]
fn a_change_that_passed_its_tests_while_baton_is_off_stays_where_it_is() {
    let mut play = testing();
    play.command(Command::Off);
    let decision = play.run_ends(true);
    assert!(!decision.effects.iter().any(|effect| matches!(effect, Effect::Publish { .. })));
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Off));
}

#[test]
fn a_merge_that_github_does_not_confirm_deploys_nothing() {
    let mut play = mergeable();
    play.s.facts = Facts::default();
    let merged = What::PullMerged { commit: sha(9) };
    assert_eq!(starts(&play.happens(Actor::Person(mara()), merged)), []);
    assert_eq!(play.s.task.as_ref().unwrap().merged, None);
}

#[test]
fn what_is_deployed_is_the_commit_that_github_shows_now() {
    let mut play = mergeable();
    let shown = PullFacts { merged: Some(sha(9)), open: false, ..pull(sha(2)) };
    play.s.facts = Facts { pull: Some(shown), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullMerged { commit: sha(66) });
    assert_eq!(play.s.task.as_ref().unwrap().merged, Some(sha(9)));
}

#[test]
fn news_of_a_push_or_a_start_that_is_long_over_stops_nobody() {
    let mut play = coding();
    let planner = play.s.last_agent(StageKey::Plan).unwrap().id;
    let coder = play.s.stage(StageKey::Code).unwrap().state.clone();
    play.happens(Actor::System, What::PublishRefused { refusal: Refusal::BranchMoved });
    let reason = "no sandbox".to_owned();
    play.happens(Actor::System, What::StartRefused { agent: planner, reason });
    assert_eq!(play.s.stage(StageKey::Code).unwrap().state, coder);
    assert_eq!(*state(&play), TaskState::Open);
}

#[test]
fn an_audit_beside_a_finished_task_may_run_out_of_money() {
    let mut play = mergeable();
    play.merge();
    play.command(Command::Audit);
    play.succeeds(StageKey::Deploy, deploy_outcome(true), None);
    play.run_ends(true);
    play.run_ends(true);
    play.succeeds(StageKey::Verify, verify_outcome(true), None);
    play.agent_ends(StageKey::Audit, End::OutOfBudget, None, None);
    assert_eq!(*state(&play), TaskState::Done);
    assert!(matches!(play.s.stage(StageKey::Audit).unwrap().state, StageState::Failed(_)));
}

#[test]
fn a_failed_audit_that_is_tried_again_is_an_audit() {
    let mut play = Play::new();
    play.command(Command::Audit);
    play.agent_ends(StageKey::Audit, End::Failed(FailKind::Model("x".into())), None, None);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Failed(StageKey::Audit)));
    assert_eq!(starts(&play.command(Command::Retry)), [StageKey::Audit]);
}

#[test]
fn a_plan_from_before_an_edit_is_not_asked_about_again() {
    let mut play = planned();
    play.s.server.spent_today = Micros(i64::MAX);
    let permission = Some(Permission::Maintain);
    let mut edited = issue(true);
    edited.input.body = "Also reversed ranges".into();
    play.s.facts =
        Facts { permission, issue: Some(edited), default_head: Some(sha(1)), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::TaskEdited);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::Budget));
    play.s.server.spent_today = Micros::ZERO;
    assert_eq!(starts(&play.command(Command::Resume)), [StageKey::Plan]);
}

#[test]
fn words_for_an_agent_that_has_just_ended_are_not_swallowed() {
    let mut play = coding();
    let agent = play.s.agents.iter_mut().rev().find(|agent| agent.stage == StageKey::Code).unwrap();
    agent.state = AgentState::Ended(End::Succeeded);
    let decision = play.command(Command::Revise { text: "smaller".into() });
    assert!(!decision.effects.iter().any(|effect| matches!(effect, Effect::FollowUp { .. })));
}

#[test]
fn an_account_that_is_not_served_gets_no_agent_by_any_command() {
    for command in [Command::Plan, Command::Audit] {
        let mut play = Play::new();
        play.s.server.limits.accounts = vec!["somebody-else".into()];
        let decision = play.command(command);
        assert_eq!(starts(&decision), []);
        assert_eq!(play.s.task, None);
    }
}

#[test]
fn steps_that_only_follow_from_one_another_end_at_a_person() {
    let play = coding();
    let agent = play.s.last_agent(StageKey::Code).unwrap().id;
    let event = Event {
        id: EventId(900),
        at: now(),
        repository: RepositoryId(9),
        subject: Subject::Task(TaskId(1)),
        actor: Actor::System,
        cause: Cause::after(EventId(899), &Cause::Event { id: EventId(898), depth: 100 }),
        what: What::AgentFinished { agent },
    };
    let decision = decide(&play.s, &event);
    assert_eq!(decision.rule, "given_up");
    let parked = TaskState::Parked(ParkReason::Failed(StageKey::Code));
    assert!(decision.effects.contains(&Effect::Task { next: parked }));
}

/// Looks until there is something to see.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not happen within a minute");
}

async fn task(pool: &PgPool) -> Option<Task> {
    let id = *tasks::list_open(pool, None, 1).await.unwrap().first()?;
    Some(tasks::load(pool, id).await.unwrap().task)
}

#[tokio::test]
async fn an_agent_that_cannot_even_be_prepared_ends_in_a_parked_task() {
    let mut story = Story::begin().await;
    let (pool, lane) = (story.pool().clone(), Scope::Lane(Lane::Agent));
    queue::pause(&pool, lane, "wait", story.world.clock.now()).await.unwrap();
    story.assigned();
    until("an agent", async || agents::list_open(&pool).await.unwrap().pop()).await;

    // GitHub no longer knows of the installation, and nobody tells.
    story.github().set_webhook_url("http://127.0.0.1:9/webhook");
    let installation = installations::list_active(&pool).await.unwrap()[0];
    story.github().uninstall(u64::try_from(installation.0).unwrap());
    drop(queue::resume(&pool, lane, story.world.clock.now()).await.unwrap());

    let parked = TaskState::Parked(ParkReason::Failed(StageKey::Plan));
    let parked = until("the parking", async || task(&pool).await.filter(|it| it.state == parked));
    let parked = parked.await;
    let rows = agents::list(&pool, parked.id).await.unwrap();
    assert!(
        matches!(rows[0].agent.state, AgentState::Ended(End::Failed(FailKind::Setup(_)))),
        "{:?}",
        rows[0].agent.state
    );
    let cause: serde_json::Value =
        sqlx::query_scalar("SELECT cause FROM events WHERE kind LIKE 'agent%'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(cause["depth"], 1, "it follows from the label: {cause}");
    story.stop_baton().await;
    story.world.shutdown().await;
}

#[tokio::test]
async fn a_pause_that_another_replica_was_told_of_holds_here_too() {
    let mut story = Story::begin().await;
    let parts = story.server().pipeline().parts();
    let installation = InstallationId(77);
    let owner = Login::new(OWNER).unwrap();
    installations::upsert(&parts.pool, installation, ActorId(78), &owner).await.unwrap();
    let later = story.world.clock.now() + chrono::TimeDelta::hours(1);
    installations::mark_paused(&parts.pool, installation, later, false).await.unwrap();
    until("the pause", async || parts.github.paused_until(installation)).await;
    story.stop_baton().await;
    story.world.shutdown().await;
}

#[test]
fn looking_again_at_a_closed_pull_request_tells_nothing_new() {
    let mut play = mergeable();
    let closed = PullFacts { open: false, ..pull(sha(2)) };
    play.s.facts = Facts { pull: Some(closed), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullClosed);
    assert_eq!(*state(&play), TaskState::Parked(ParkReason::PullClosed));
    assert_eq!(play.happens(Actor::System, What::PullClosed).effects, []);
    assert_eq!(play.happens(Actor::System, What::BranchDeleted).effects, []);
}

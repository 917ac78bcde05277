//! Events that come late, twice or out of turn: what GitHub shows when deciding is what counts.

use super::*;

#[test]
fn a_label_counts_as_the_thread_shows_it_now_whatever_the_webhooks_order() {
    let label = What::TaskAssigned { trigger: Trigger::Label };
    let mut gone = Play::new();
    facts_after(&mut gone, &What::TaskUnassigned);
    assert_eq!(gone.happens(Actor::Person(mara()), label).rule, "label_gone_again");
    let mut back = assigned();
    facts_after(&mut back, &What::TaskEdited);
    let decision = back.happens(Actor::Person(mara()), What::TaskUnassigned);
    assert_eq!(decision.rule, "label_back_on");
    assert_eq!(state(&back), &TaskState::Open);
}

#[test]
fn what_was_said_of_a_closed_pull_request_is_not_said_again() {
    let looks = [(What::PullClosed, "closed_already"), (What::BranchDeleted, "deleted_already")];
    for (what, rule) in looks {
        let mut play = mergeable();
        facts_after(&mut play, &what);
        play.happens(Actor::System, what.clone());
        assert!(matches!(state(&play), TaskState::Parked(_)));
        facts_after(&mut play, &what);
        assert_eq!(play.happens(Actor::System, what).rule, rule);
    }
}

#[test]
fn the_check_of_a_reviewer_that_a_push_overtook_is_settled_when_it_ends() {
    let mut play = reviewing();
    let overtaken = play.s.last_agent(StageKey::Review).unwrap().id;
    play.s.facts = Facts { pull: Some(pull(sha(5))), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullUpdated { head: sha(5) });
    let agent = play.s.agents.iter_mut().find(|agent| agent.id == overtaken).unwrap();
    agent.state = AgentState::Ended(End::Cancelled(CancelledBy::Superseded));
    let decision = play.happens(Actor::System, What::AgentFinished { agent: overtaken });
    assert_eq!(decision.effects, [Effect::Raise(ReportKind::Check(StageKey::Review, sha(2)))]);
}

#[test]
fn a_persons_commit_gets_no_check_of_a_coder_who_did_not_make_it() {
    let mut play = reviewing();
    play.s.facts = Facts { pull: Some(pull(sha(5))), ..Facts::default() };
    play.happens(Actor::Person(mara()), What::PullUpdated { head: sha(5) });
    let decision = play.succeeds(StageKey::Review, review_outcome(&["It panics"]), None);
    assert_eq!(starts(&decision), [StageKey::Code]);
    let raised = |key| Effect::Raise(ReportKind::Check(key, sha(5)));
    assert!(decision.effects.contains(&raised(StageKey::Review)));
    assert!(!decision.effects.contains(&raised(StageKey::Code)), "{decision:?}");
}

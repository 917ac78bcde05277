//! Snapshots of every text at every state that matters, read as the person who gets it.

mod acts;
mod checks;
mod comments;
mod harmless;
mod pushes;
mod reasons;
mod setups;

use crate::model::sample::{ended, plan, run, sha, stage};
use crate::model::{
    Agent, AgentId, Approval, CodeOutcome, Desired, End, FindingState, Outcome, Permission,
    ReviewOutcome, RunKind, Severity, Situation, StageKey, StageState, TaskState, Verdict, WaitFor,
    sample,
};

/// The commit of the sample's first round.
const ONE: &str = "c41d09a";

fn set(situation: &mut Situation, key: StageKey, state: StageState, round: u32) {
    let task = situation.task.as_ref().expect("the sample has a task");
    let after_merge = matches!(key, StageKey::Deploy | StageKey::Verify);
    let head = if after_merge { task.merged.clone() } else { task.head.clone() };
    let mut new = stage(key, state, head);
    new.round = round;
    situation.stages.retain(|stage| stage.key != key);
    situation.stages.push(new);
    situation.stages.sort_by_key(|stage| stage.key);
}

fn be(situation: &mut Situation, state: TaskState) {
    situation.task.as_mut().expect("the sample has a task").state = state;
}

/// A plan was made and waits.
fn planned() -> Situation {
    let mut situation = sample::situation();
    let plan = plan();
    let wait = WaitFor::PlanApproval(plan.hash.clone());
    situation.agents.push(Agent {
        cost: crate::model::Micros(140_000),
        ..ended(1, StageKey::Plan, 1, End::Succeeded, Some(Outcome::Plan(plan.body.clone())))
    });
    situation.plans.push(plan);
    set(&mut situation, StageKey::Plan, StageState::Waiting(wait.clone()), 1);
    be(&mut situation, TaskState::Waiting(wait));
    situation
}

/// The plan was approved, the coder is at it.
fn coding() -> Situation {
    let mut situation = planned();
    situation.approvals.push(Approval {
        of: crate::model::Approved::Plan(plan().hash),
        actor: sample::mara(),
        permission: Permission::Write,
        at: sample::at("14:00"),
    });
    set(&mut situation, StageKey::Plan, StageState::Passed, 1);
    situation.agents.push(Agent {
        state: crate::model::AgentState::Running,
        started_at: Some(sample::at("14:02")),
        ..sample::agent(2, StageKey::Code, 1)
    });
    set(&mut situation, StageKey::Code, StageState::Running(AgentId(2)), 1);
    be(&mut situation, TaskState::Open);
    situation
}

fn code_outcome() -> Outcome {
    Outcome::Code(CodeOutcome {
        summary: "`parse_range` no longer subtracts one from an open end.".into(),
        tests_run: "`cargo test range`: 9 passed".into(),
        notes: "The reversed range is answered by the caller.".into(),
    })
}

/// The first change is pushed, tested and being read.
fn reviewing() -> Situation {
    let mut situation = coding();
    let head = sha(ONE);
    let task = situation.task.as_mut().expect("the sample has a task");
    task.pull = Some(482);
    task.branch = crate::model::BranchName::new("baton/311-open-range").ok();
    task.head = Some(head.clone());
    task.spent = crate::model::Micros(990_000);
    situation.agents.pop();
    let coder = ended(2, StageKey::Code, 1, End::Succeeded, Some(code_outcome()));
    situation.agents.push(Agent { head: Some(head.clone()), ..coder });
    situation.runs.push(run(1, StageKey::Code, RunKind::Test, head.clone(), Some(0)));
    set(&mut situation, StageKey::Code, StageState::Passed, 1);
    situation.agents.push(Agent {
        state: crate::model::AgentState::Running,
        started_at: Some(sample::at("14:08")),
        base: head,
        ..sample::agent(3, StageKey::Review, 1)
    });
    set(&mut situation, StageKey::Review, StageState::Running(AgentId(3)), 1);
    situation
}

fn review_outcome(verdict: Verdict) -> ReviewOutcome {
    ReviewOutcome {
        verdict,
        summary: "The cause is settled; a reversed range is not.".into(),
        findings: vec![],
        settled: vec![],
        looked_at: vec!["the 3 steps of the plan".into(), "error paths".into()],
        not_looked_at: vec!["Windows".into()],
    }
}

/// The review is over; a must-fix and a suggestion were found.
fn reviewed() -> Situation {
    let mut situation = reviewing();
    situation.findings = sample::findings();
    situation.agents.pop();
    let outcome = Outcome::Review(review_outcome(Verdict::Changes));
    let reviewer = ended(3, StageKey::Review, 1, End::Succeeded, Some(outcome));
    situation.agents.push(Agent { base: sha(ONE), ..reviewer });
    set(&mut situation, StageKey::Review, StageState::Passed, 1);
    situation
}

/// The coder settled F1; the reviewer reads again.
fn second_round() -> Situation {
    let mut situation = reviewed();
    let head = sha("e902b17");
    let task = situation.task.as_mut().expect("the sample has a task");
    task.rounds = 1;
    task.head = Some(head.clone());
    task.spent = crate::model::Micros(1_370_000);
    situation.findings[0].state = FindingState::Settled;
    situation.findings[1].last_round = 2;
    let coder = ended(4, StageKey::Code, 2, End::Succeeded, Some(code_outcome()));
    situation.agents.push(Agent { head: Some(head.clone()), base: sha(ONE), ..coder });
    situation.runs.push(run(2, StageKey::Code, RunKind::Test, head.clone(), Some(0)));
    situation.agents.push(Agent {
        state: crate::model::AgentState::Running,
        started_at: Some(sample::at("14:09")),
        base: head,
        ..sample::agent(5, StageKey::Review, 2)
    });
    set(&mut situation, StageKey::Code, StageState::Passed, 2);
    set(&mut situation, StageKey::Review, StageState::Running(AgentId(5)), 2);
    situation
}

/// The second review has a suggestion left; a person merges.
fn mergeable() -> Situation {
    let mut situation = second_round();
    let head = sha("e902b17");
    situation.agents.pop();
    let outcome = Outcome::Review(review_outcome(Verdict::Approve));
    let reviewer = ended(5, StageKey::Review, 2, End::Succeeded, Some(outcome));
    situation.agents.push(Agent { base: head.clone(), ..reviewer });
    set(&mut situation, StageKey::Review, StageState::Passed, 2);
    assert_eq!(situation.findings[1].severity, Severity::Suggestion);
    be(&mut situation, TaskState::Waiting(WaitFor::Merge(head)));
    situation
}

/// Merged, with a policy that goes on to deploy and verify.
fn merged() -> Situation {
    let mut situation = mergeable();
    situation.policy.until = crate::model::Until::Deploy;
    situation.policy.deploy = Some(crate::model::DeployPolicy {
        environment: crate::model::Environment::new("production").expect("a name"),
        commands: vec!["./deploy.sh".to_owned()],
    });
    situation.policy.verify = vec!["./smoke.sh".to_owned()];
    let task = situation.task.as_mut().expect("the sample has a task");
    task.merged = Some(sha("abc1234"));
    be(&mut situation, TaskState::Open);
    set(&mut situation, StageKey::Deploy, StageState::Blocked, 0);
    set(&mut situation, StageKey::Verify, StageState::Blocked, 0);
    situation
}

fn body(desired: Desired) -> String {
    match desired {
        Desired::Comment { body, minimised, frozen } => {
            format!("[minimised: {minimised}, frozen: {frozen}]\n{body}")
        }
        other => format!("{other:#?}"),
    }
}

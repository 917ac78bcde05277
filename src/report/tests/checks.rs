//! Check runs and deployments.

use insta::assert_snapshot;

use super::*;
use crate::model::{
    AgentState, CheckStatus, Conclusion, DeployOutcome, Deployment, DeploymentId, DeploymentState,
    Desired, ReportKind, Watchdog,
};
use crate::report::render;

fn check(situation: &Situation, key: StageKey, head: &str) -> Desired {
    render(situation, &ReportKind::Check(key, sha(head)))
}

fn shown(desired: &Desired) -> String {
    let Desired::Check { name, head, status, title, summary, text, annotations, .. } = desired
    else {
        return format!("{desired:#?}");
    };
    let remarks: Vec<String> = annotations.iter().map(|remark| format!("{remark:?}")).collect();
    format!(
        "{name} on {}: {status:?}\n# {title}\n\n{summary}\n\n[text]\n{text}\n[annotations]\n{}",
        head.short(),
        remarks.join("\n")
    )
}

fn conclusion(desired: &Desired) -> Option<Conclusion> {
    match desired {
        Desired::Check { status: CheckStatus::Completed { conclusion, .. }, .. } => {
            Some(*conclusion)
        }
        _ => None,
    }
}

#[test]
fn a_review_fails_only_for_a_must_fix() {
    let situation = reviewed();
    let failed = check(&situation, StageKey::Review, ONE);
    assert_eq!(conclusion(&failed), Some(Conclusion::Failure));
    assert_snapshot!("check_review_must_fix", shown(&failed));
    let neutral = check(&mergeable(), StageKey::Review, "e902b17");
    assert_eq!(conclusion(&neutral), Some(Conclusion::Neutral));
    assert_snapshot!("check_review_suggestion", shown(&neutral));
    let mut clean = mergeable();
    clean.findings.clear();
    assert_eq!(conclusion(&check(&clean, StageKey::Review, "e902b17")), Some(Conclusion::Success));
}

#[test]
fn a_must_fix_that_a_review_passes_over_in_silence_still_fails() {
    let mut situation = mergeable();
    situation.findings[0].state = FindingState::Open;
    let failed = check(&situation, StageKey::Review, "e902b17");
    assert_eq!(conclusion(&failed), Some(Conclusion::Failure));
}

#[test]
fn the_check_of_an_earlier_head_keeps_its_conclusion() {
    let earlier = check(&mergeable(), StageKey::Review, ONE);
    assert_eq!(conclusion(&earlier), Some(Conclusion::Failure));
    let Desired::Check { title, .. } = earlier else { panic!("a check") };
    assert_eq!(title, "1 must fix, 1 suggestion");
}

#[test]
fn a_check_is_queued_then_at_work() {
    let mut situation = reviewing();
    let status = |situation: &Situation| match check(situation, StageKey::Review, ONE) {
        Desired::Check { status, title, .. } => format!("{status:?}: {title}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(&situation), "InProgress: at work");
    situation.agents[2].state = AgentState::Queued;
    assert_eq!(status(&situation), "Queued: waits for a free agent");
    situation.agents.pop();
    set(&mut situation, StageKey::Review, StageState::Blocked, 0);
    assert_eq!(status(&situation), "Queued: waits for its turn");
}

#[test]
fn no_check_hangs_when_the_task_is_over() {
    let mut situation = reviewing();
    situation.agents.pop();
    set(&mut situation, StageKey::Review, StageState::Cancelled, 1);
    be(&mut situation, TaskState::Done);
    assert_eq!(conclusion(&check(&situation, StageKey::Review, ONE)), Some(Conclusion::Skipped));
    be(&mut situation, TaskState::Parked(crate::model::ParkReason::Off));
    assert_eq!(conclusion(&check(&situation, StageKey::Review, ONE)), Some(Conclusion::Cancelled));
}

#[test]
fn checks_of_dead_agents_are_settled() {
    let after = |end: End| {
        let mut situation = reviewing();
        let reviewer = ended(3, StageKey::Review, 1, end, None);
        situation.agents.pop();
        situation.agents.push(Agent { base: sha(ONE), ..reviewer });
        conclusion(&check(&situation, StageKey::Review, ONE))
    };
    assert_eq!(after(End::Lost), Some(Conclusion::Cancelled));
    assert_eq!(after(End::TimedOut(Watchdog::Silence)), Some(Conclusion::TimedOut));
    assert_eq!(after(End::OutOfBudget), Some(Conclusion::ActionRequired));
    let crashed = End::Failed(crate::model::FailKind::Crashed("signal 9".to_owned()));
    assert_eq!(after(crashed), Some(Conclusion::ActionRequired));
}

#[test]
fn code_is_judged_by_what_baton_ran() {
    let passed = check(&second_round(), StageKey::Code, "e902b17");
    assert_snapshot!("check_code_passed", shown(&passed));
    let mut failed = reviewing();
    failed.runs[0] = run(1, StageKey::Code, RunKind::Test, sha(ONE), Some(101));
    let failed = check(&failed, StageKey::Code, ONE);
    assert_eq!(conclusion(&failed), Some(Conclusion::Failure));
    assert_snapshot!("check_code_failed", shown(&failed));
    let mut untested = second_round();
    untested.runs.clear();
    let untested = check(&untested, StageKey::Code, "e902b17");
    assert_eq!(conclusion(&untested), Some(Conclusion::Neutral));
}

#[test]
fn a_deployment_that_is_held_back_asks_for_a_person() {
    let mut situation = merged();
    let outcome = Outcome::Deploy(DeployOutcome {
        ready: false,
        summary: "The migration drops a column that the running version reads.".into(),
        watch: vec![],
        rollback: "None: the column is gone.".into(),
    });
    let deployer = ended(6, StageKey::Deploy, 1, End::Succeeded, Some(outcome));
    situation.agents.push(Agent { base: sha("abc1234"), ..deployer });
    set(&mut situation, StageKey::Deploy, StageState::Failed(crate::model::FailKind::Verdict), 1);
    let held = check(&situation, StageKey::Deploy, "abc1234");
    assert_eq!(conclusion(&held), Some(Conclusion::ActionRequired));
    assert_snapshot!("check_deploy_held", shown(&held));
}

#[test]
fn deployments_say_who_saw_it() {
    let mut situation = merged();
    let environment = crate::model::Environment::new("production").expect("a name");
    let kind = ReportKind::Deployment {
        environment: environment.clone(),
        sha: sha("abc1234"),
        attempt: 1,
    };
    assert_eq!(render(&situation, &kind), Desired::Nothing);
    let states = [
        DeploymentState::Queued,
        DeploymentState::InProgress,
        DeploymentState::Success,
        DeploymentState::Failure,
    ];
    let mut said = String::new();
    for state in states {
        let sha = sha("abc1234");
        let id = DeploymentId(1);
        situation.deployments =
            vec![Deployment { id, environment: environment.clone(), sha, attempt: 1, state }];
        let Desired::Deployment { description, .. } = render(&situation, &kind) else {
            panic!("a deployment")
        };
        assert!(description.chars().count() <= 140);
        said.push_str(&format!("{state:?}: {description}\n"));
    }
    assert_snapshot!("deployments", said);
}

//! From the merge to verified production.

use crate::model::{
    Act, AgentState, CommandRun, DeployOutcome, DeployPolicy, DeploymentState, FailKind, Message,
    ParkReason, ReportKind, RunKind, RunState, Sha, Stage, StageKey, StageState, Stop, Task,
    TaskOrigin, TaskState, Until, VerifyOutcome, WaitFor,
};

use super::{Decision, Effect, draft::Draft, threads};

/// The pull request was merged.
pub(super) fn merged(mut draft: Draft<'_>) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    if task.merged.is_some() || task.state.is_final() {
        return draft.nothing("merged_already");
    }
    // The event is a hint: what counts, and what is deployed, is what GitHub shows now.
    let shown = draft.s.facts.pull.as_ref().and_then(|pull| pull.merged.clone());
    let Some(commit) = shown.as_ref() else { return draft.nothing("not_merged") };
    draft.stop_agents(Stop::Interrupt, crate::model::CancelledBy::Superseded);
    draft.tell(Effect::Merged { commit: commit.clone() });
    settle_for_merge(&mut draft);
    if task.origin == TaskOrigin::Pull {
        draft.task(TaskState::Done);
        return draft.rule("persons_pull_merged");
    }
    match draft.s.policy.deploy.clone() {
        Some(deploy) if draft.s.policy.until >= Until::Deploy => {
            begin(&mut draft, &deploy, commit);
            draft.rule("merged")
        }
        Some(_) | None => {
            draft.task(TaskState::Done);
            draft.rule("merged_and_done")
        }
    }
}

/// Whatever was still at work on the change is pointless now.
fn settle_for_merge(draft: &mut Draft<'_>) {
    for stage in &draft.s.stages {
        if stage.state.is_active() || matches!(stage.state, StageState::Waiting(_)) {
            draft.stage(stage.key, StageState::Cancelled);
        }
    }
}

/// Lets the deployer judge, where the server lets the repository deploy at all.
fn begin(draft: &mut Draft<'_>, deploy: &DeployPolicy, commit: &Sha) {
    if !draft.s.server.deploys_to.contains(&deploy.environment) {
        let name = &draft.s.repository.name;
        let kind = FailKind::Setup(format!(
            "the server grants {name} no deployment to {}: its operator adds [[deploy]] with \
             repository = \"{name}\" and environment = \"{}\" to baton.toml",
            deploy.environment, deploy.environment,
        ));
        draft.add(Effect::Raise(ReportKind::Check(StageKey::Deploy, commit.clone())));
        return draft.fail(StageKey::Deploy, kind);
    }
    draft.start(StageKey::Deploy, None, Vec::new(), commit.clone());
    draft.add(Effect::Raise(ReportKind::Check(StageKey::Deploy, commit.clone())));
}

/// Tries a deployment or a verification again.
pub(super) fn again(draft: &mut Draft<'_>, task: &Task, key: StageKey) {
    let (Some(commit), Some(deploy)) = (task.merged.clone(), draft.s.policy.deploy.clone()) else {
        return draft.task(TaskState::Done);
    };
    if key == StageKey::Verify && !draft.s.policy.verify.is_empty() {
        let commands = draft.s.policy.verify.clone();
        return draft.run(StageKey::Verify, RunKind::Verify, &commands, commit);
    }
    begin(draft, &deploy, &commit);
}

/// The deployer has judged.
pub(super) fn judged_ready(mut draft: Draft<'_>, task: &Task, outcome: &DeployOutcome) -> Decision {
    let (Some(commit), Some(deploy)) = (task.merged.clone(), draft.s.policy.deploy.clone()) else {
        return draft.nothing("nothing_to_deploy");
    };
    if !outcome.ready {
        draft.fail(StageKey::Deploy, FailKind::Verdict);
        return draft.rule("not_ready_to_deploy");
    }
    let attempt = attempts(&draft, &commit) + 1;
    draft.deployment(&deploy.environment, &commit, attempt, DeploymentState::InProgress);
    draft.run(StageKey::Deploy, RunKind::Deploy, &deploy.commands, commit);
    draft.rule("ready_to_deploy")
}

fn attempts(draft: &Draft<'_>, commit: &Sha) -> u32 {
    let of_commit = draft.s.deployments.iter().filter(|deployment| deployment.sha == *commit);
    of_commit.map(|deployment| deployment.attempt).max().unwrap_or(0)
}

/// Sets the state of the newest deployment.
fn mark(draft: &mut Draft<'_>, state: DeploymentState) {
    if let Some(deployment) = draft.s.deployments.last() {
        draft.deployment(&deployment.environment, &deployment.sha, deployment.attempt, state);
    }
}

/// The deploy commands have ended.
pub(super) fn deployed(mut draft: Draft<'_>, task: &Task, run: &CommandRun) -> Decision {
    match &run.state {
        RunState::Pending => draft.nothing("run_not_ended"),
        RunState::Ended { passed: true, .. } => {
            draft.stage(StageKey::Deploy, StageState::Passed);
            after_deployment(&mut draft, task);
            draft.rule("deployed")
        }
        RunState::Ended { passed: false, .. } => {
            mark(&mut draft, DeploymentState::Failure);
            draft.fail(StageKey::Deploy, FailKind::Commands);
            draft.rule("deploy_failed")
        }
        // Deploying twice can do harm, so a person looks first.
        RunState::Broken { reason } => {
            mark(&mut draft, DeploymentState::Failure);
            draft.fail(StageKey::Deploy, FailKind::Crashed(reason.clone()));
            draft.rule("deploy_interrupted")
        }
    }
}

fn after_deployment(draft: &mut Draft<'_>, task: &Task) {
    let commands = draft.s.policy.verify.clone();
    match (&task.merged, commands.is_empty()) {
        (Some(commit), false) => {
            draft.run(StageKey::Verify, RunKind::Verify, &commands, commit.clone());
        }
        (Some(_), true) | (None, _) => {
            mark(draft, DeploymentState::Success);
            draft.task(TaskState::Done);
        }
    }
}

/// The verify commands have ended: the verifier judges what came out, whatever it was.
pub(super) fn evidence_there(mut draft: Draft<'_>, task: &Task, run: &CommandRun) -> Decision {
    match &run.state {
        RunState::Pending => draft.nothing("run_not_ended"),
        RunState::Ended { .. } => {
            let base = task.merged.clone().unwrap_or_else(|| run.sha.clone());
            draft.start(StageKey::Verify, None, vec![Message::Evidence { run: run.id }], base);
            draft.rule("evidence_there")
        }
        RunState::Broken { reason } => {
            let tries = draft
                .s
                .runs
                .iter()
                .filter(|other| other.kind == run.kind && other.sha == run.sha)
                .count();
            if tries > 3 {
                draft.fail(StageKey::Verify, FailKind::Setup(reason.clone()));
                return draft.rule("run_broken_too_often");
            }
            draft.run(StageKey::Verify, RunKind::Verify, &run.commands, run.sha.clone());
            draft.rule("run_again")
        }
    }
}

/// The verifier has judged. Its word counts only where the commands that Baton ran agree.
pub(super) fn verified(mut draft: Draft<'_>, task: &Task, outcome: &VerifyOutcome) -> Decision {
    let commands_passed = draft
        .s
        .last_run(RunKind::Verify)
        .is_some_and(|run| matches!(run.state, RunState::Ended { passed: true, .. }));
    if outcome.passed
        && commands_passed
        && outcome.criteria.iter().all(|criterion| criterion.passed)
    {
        mark(&mut draft, DeploymentState::Success);
        draft.stage(StageKey::Verify, StageState::Passed);
        draft.task(TaskState::Done);
        return draft.rule("verified");
    }
    mark(&mut draft, DeploymentState::Failure);
    draft.add(Effect::Act(Act::ReopenIssue { number: task.number }));
    draft.fail(StageKey::Verify, FailKind::Verdict);
    draft.rule("verify_failed")
}

/// Whether anybody still works for the task, or a change of it waits to be let out.
pub(super) fn busy(draft: &Draft<'_>) -> bool {
    let agents = draft.s.agents.iter().any(|agent| !matches!(agent.state, AgentState::Ended(_)));
    let waits =
        |stage: &Stage| matches!(stage.state, StageState::Waiting(WaitFor::PushApproval(_)));
    agents || draft.s.stages.iter().any(|stage| stage.state.is_active() || waits(stage))
}

/// Goes on with a parked task, as `retry` and `resume` ask.
pub(super) fn unpark(draft: &mut Draft<'_>, task: &Task, reason: &ParkReason) {
    match reason {
        ParkReason::NotConverging => {
            draft.tell(Effect::Rounds { rounds: task.max_rounds.saturating_sub(1) });
            threads::continue_code(draft, task);
        }
        ParkReason::Refused(_) => {
            if !super::publishing::pushed_again(draft, task) {
                threads::continue_code(draft, task);
            }
        }
        ParkReason::Failed(key @ (StageKey::Deploy | StageKey::Verify)) => again(draft, task, *key),
        ParkReason::Failed(
            StageKey::Plan | StageKey::Code | StageKey::Review | StageKey::Audit,
        )
        | ParkReason::Budget
        | ParkReason::Quota { .. }
        | ParkReason::NoSandbox { .. }
        | ParkReason::Stopped(_)
        | ParkReason::PullClosed
        | ParkReason::BranchDeleted
        | ParkReason::Off => threads::continue_work(draft, task),
    }
}

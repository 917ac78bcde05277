//! From a finished change to a pull request under review.

use crate::model::{
    BranchName, CommandRun, CommandRunId, FailKind, Message, ParkReason, Refusal, ReportKind,
    RunKind, RunState, Sha, Situation, StageKey, StageState, Task, TaskState,
};

use super::{Decision, Effect, deploying, draft::Draft};

/// The branch of a task: its number and a few words of its title.
pub(super) fn branch(s: &Situation, task: &Task) -> BranchName {
    if let Some(branch) = &task.branch {
        return branch.clone();
    }
    let title = task.input.title.visible().to_lowercase();
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.take(5).collect::<Vec<_>>().join("-").chars().take(40).collect();
    let name = if slug.is_empty() {
        format!("{}/{}", s.name, task.id)
    } else {
        format!("{}/{}-{}", s.name, task.id, slug.trim_end_matches('-'))
    };
    BranchName::new(name).expect("letters, digits and hyphens under a plain name are a branch")
}

/// Commands that a stage waited for have ended.
pub(super) fn commands_finished(draft: Draft<'_>, id: CommandRunId) -> Decision {
    let (Some(task), Some(run)) = (&draft.s.task, draft.s.run(id)) else {
        return draft.nothing("unknown_run");
    };
    let current =
        draft.s.stage(run.stage).is_some_and(|stage| stage.state == StageState::Commands(id));
    if !current || task.state.is_final() || matches!(task.state, TaskState::Parked(_)) {
        return draft.nothing("superseded_run");
    }
    match run.kind {
        // No stage waits for a set-up: who needs it runs it.
        RunKind::Setup => draft.nothing("setup_ended"),
        RunKind::Test => tested(draft, task, run),
        RunKind::Deploy => deploying::deployed(draft, task, run),
        RunKind::Verify => deploying::evidence_there(draft, task, run),
    }
}

/// The repository's tests ran on the coder's commit.
fn tested(mut draft: Draft<'_>, task: &Task, run: &CommandRun) -> Decision {
    let Some(coder) = draft.s.last_agent(StageKey::Code) else {
        return draft.nothing("unknown_agent");
    };
    match &run.state {
        RunState::Pending => draft.nothing("run_not_ended"),
        RunState::Ended { passed: true, .. } => {
            draft.publish(coder.id, run.sha.clone(), branch(draft.s, task));
            draft.rule("tests_passed")
        }
        RunState::Ended { passed: false, .. } if task.rounds < task.max_rounds => {
            draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
            let messages = vec![Message::CommandsFailed { run: run.id }];
            draft.start(StageKey::Code, Some(coder.id), messages, run.sha.clone());
            draft.rule("tests_failed")
        }
        RunState::Ended { passed: false, .. } => {
            draft.stage(StageKey::Code, StageState::Failed(FailKind::Commands));
            draft.task(TaskState::Parked(ParkReason::NotConverging));
            draft.rule("tests_failed_too_often")
        }
        RunState::Broken { .. } => again(draft, run),
    }
}

/// Nobody knows how far a run came: tests are run again, a few times.
fn again(mut draft: Draft<'_>, run: &CommandRun) -> Decision {
    let tries =
        draft.s.runs.iter().filter(|other| other.kind == run.kind && other.sha == run.sha).count();
    if tries > 3 {
        let RunState::Broken { reason } = &run.state else {
            return draft.nothing("run_not_broken");
        };
        draft.fail(run.stage, FailKind::Setup(reason.clone()));
        return draft.rule("run_broken_too_often");
    }
    draft.run(run.stage, run.kind, &run.commands, run.sha.clone());
    draft.rule("run_again")
}

/// The change is in a pull request: its reviewer starts.
pub(super) fn done(mut draft: Draft<'_>, pull: u64, head: &Sha) -> Decision {
    let Some(task) = &draft.s.task else { return draft.nothing("not_assigned") };
    let publishing = draft.s.stage(StageKey::Code).is_some_and(|stage| {
        matches!(&stage.state, StageState::Publishing { head: published, .. } if published == head)
    });
    if !publishing || task.state.is_final() {
        return draft.nothing("superseded_push");
    }
    draft.tell(Effect::Pull { number: pull, head: head.clone() });
    draft.stage(StageKey::Code, StageState::Passed);
    for key in [StageKey::Plan, StageKey::Code, StageKey::Review] {
        draft.add(Effect::Raise(ReportKind::Check(key, head.clone())));
    }
    draft.add(Effect::Raise(ReportKind::Pull));
    if matches!(task.state, TaskState::Parked(_)) {
        return draft.rule("published_while_parked");
    }
    draft.start(StageKey::Review, None, Vec::new(), head.clone());
    draft.rule("published")
}

/// Policy or GitHub does not let the change out.
pub(super) fn refused(mut draft: Draft<'_>, refusal: &Refusal) -> Decision {
    if draft.s.task.as_ref().is_none_or(|task| task.state.is_final()) {
        return draft.nothing("not_assigned");
    }
    let code = draft.s.stage(StageKey::Code);
    if code.is_none_or(|stage| !matches!(stage.state, StageState::Publishing { .. })) {
        return draft.nothing("superseded_push");
    }
    if refusal.is_in_commits() {
        draft.tell(Effect::Discard);
    }
    draft.stage(StageKey::Code, StageState::Failed(FailKind::Commands));
    draft.task(TaskState::Parked(ParkReason::Refused(refusal.clone())));
    draft.rule("push_refused")
}

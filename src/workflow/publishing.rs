//! From a finished change to a pull request under review.

use crate::model::{
    AgentId, AgentState, Approval, Approved, BranchName, CommandRun, CommandRunId, End, FailKind,
    Message, NotHere, ParkReason, Permission, PushPolicy, Reaction, Refusal, ReportKind, RunKind,
    RunState, Sha, Situation, StageKey, StageState, Task, TaskState, WaitFor,
};

use super::{Decision, Effect, auditing, deploying, draft::Draft, subtasks};

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
    let Some(last) = draft.s.last_agent(StageKey::Code) else {
        return draft.nothing("unknown_agent");
    };
    match &run.state {
        RunState::Pending => draft.nothing("run_not_ended"),
        RunState::Ended { passed: true, .. } => {
            draft.publish(last.id, run.sha.clone(), branch(draft.s, task));
            draft.rule("tests_passed")
        }
        RunState::Ended { passed: false, .. } if task.rounds < task.max_rounds => {
            draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
            let messages = vec![Message::CommandsFailed { run: run.id }];
            let coder = subtasks::coder(draft.s);
            draft.start(StageKey::Code, coder, messages, run.sha.clone());
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

/// Whether this commit may only be pushed once somebody has approved it, and nobody has.
///
/// A pushed branch is code that CI runs with the repository's secrets. Where policy leaves it open, the
/// change is held when words of somebody without write access went into it: those of the task, or what an
/// agent may have found on the web. To a fork it goes at once:
/// from there CI runs it without secrets, and the pull request shows what it changes.
#[must_use]
pub fn is_held(s: &Situation, task: &Task, head: &Sha) -> bool {
    let asks = match s.policy.push {
        Some(PushPolicy::AtOnce | PushPolicy::Fork(_)) => false,
        Some(PushPolicy::AfterApproval) => true,
        None => !task.input.outsiders.is_empty() || s.reads_the_web(),
    };
    asks && s.push_approval(head).is_none()
}

/// Nothing speaks against the change, but a person has to let it out.
pub(super) fn held(mut draft: Draft<'_>, head: &Sha) -> Decision {
    let publishing = draft.s.stage(StageKey::Code).is_some_and(|stage| {
        matches!(&stage.state, StageState::Publishing { head: published, .. } if published == head)
    });
    if !publishing || draft.s.task.as_ref().is_none_or(|task| task.state != TaskState::Open) {
        return draft.nothing("superseded_push");
    }
    ask(&mut draft, head);
    draft.rule("push_waits")
}

/// Asks a person to let the commit out.
fn ask(draft: &mut Draft<'_>, head: &Sha) {
    let wait = WaitFor::PushApproval(head.clone());
    draft.stage(StageKey::Code, StageState::Waiting(wait.clone()));
    draft.task(TaskState::Waiting(wait));
    draft.add(Effect::Raise(ReportKind::AskingPush(head.clone())));
}

/// Takes up a commit that was good and did not go out before the task was stopped or parked: asks again
/// whether it may, or pushes what a fork did not take. Whether there is one.
pub(super) fn taken_up(draft: &mut Draft<'_>, task: &Task) -> bool {
    let waits = unpublished(draft.s, task).filter(|(_, head)| is_held(draft.s, task, head));
    match waits {
        Some((_, head)) => {
            ask(draft, head);
            true
        }
        None => pushed_again(draft, task),
    }
}

/// Pushes what a fork did not take; whether there is such a commit.
pub(super) fn pushed_again(draft: &mut Draft<'_>, task: &Task) -> bool {
    let Some((agent, head)) = unpublished(draft.s, task) else { return false };
    let kept = StageState::Failed(FailKind::Unpushed(head.clone()));
    let is_kept = draft.s.stage(StageKey::Code).is_some_and(|stage| stage.state == kept);
    if is_kept {
        draft.publish(agent, head.clone(), branch(draft.s, task));
    }
    is_kept
}

/// The newest coder's commit, where it passed and is not on GitHub. What subtasks have left is none before
/// the last of them is through.
fn unpublished<'s>(s: &'s Situation, task: &Task) -> Option<(AgentId, &'s Sha)> {
    let agent = s.last_agent(StageKey::Code)?;
    let head = subtasks::result(s, agent)?;
    let is_through = agent.state == AgentState::Ended(End::Succeeded) && s.next_subtask().is_none();
    // A person's push meanwhile is not below it.
    let waited = is_through
        && task.head.as_ref() != Some(head)
        && task.head.as_ref().is_none_or(|pushed| s.is_made_here(pushed))
        && is_tested(s, head);
    waited.then_some((agent.id, head))
}

/// Whether the repository's tests, where it has any, passed on this very commit.
fn is_tested(s: &Situation, head: &Sha) -> bool {
    s.policy.test.is_empty()
        || s.last_run(RunKind::Test).is_some_and(|run| {
            run.sha == *head && matches!(run.state, RunState::Ended { passed: true, .. })
        })
}

/// Somebody lets the commit out that waits for it.
pub(super) fn approved(
    mut draft: Draft<'_>,
    task: &Task,
    waits: &Sha,
    named: Option<&str>,
) -> Decision {
    let same = named.is_some_and(|named| {
        named.len() >= waits.named().len() && waits.as_str().starts_with(&named.to_lowercase())
    });
    let agents = draft.s.agents.iter().rev().filter(|agent| agent.stage == StageKey::Code);
    let coder =
        agents.filter(|agent| agent.head.as_ref() == Some(waits)).map(|agent| agent.id).next();
    let (true, Some(coder)) = (same, coder) else {
        let current = waits.named().to_owned();
        return draft.decline("approve", NotHere::OtherCommit { current });
    };
    let Some(actor) = draft.event.actor.account().cloned() else {
        return draft.decline("approve", NotHere::NoPlan);
    };
    let permission = draft.s.facts.permission.unwrap_or(Permission::None);
    let of = Approved::Push(waits.clone());
    draft.react(Reaction::Eyes);
    draft.tell(Effect::Approve(Approval { of, actor, permission, at: draft.event.at }));
    draft.publish(coder, waits.clone(), branch(draft.s, task));
    draft.rule("push_approved")
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
    auditing::published(&mut draft, head);
    draft.rule("published")
}

/// Gives the reason back to the coder while there are rounds left: what is on GitHub is where it begins.
fn make_again(draft: &mut Draft<'_>, refusal: &Refusal) -> bool {
    let Some(task) = draft.s.task.as_ref().filter(|task| task.state == TaskState::Open) else {
        return false;
    };
    let base = task.head.clone().or_else(|| draft.default_head());
    let (Some(base), true) = (base, task.rounds < task.max_rounds) else { return false };
    let coder = subtasks::coder(draft.s);
    draft.tell(Effect::Rounds { rounds: task.rounds + 1 });
    let messages = vec![Message::Refused { refusal: refusal.clone() }];
    draft.start(StageKey::Code, coder, messages, base);
    true
}

/// Policy or GitHub does not let the change out.
pub(super) fn refused(mut draft: Draft<'_>, refusal: &Refusal) -> Decision {
    if draft.s.task.as_ref().is_none_or(|task| task.state.is_final()) {
        return draft.nothing("not_assigned");
    }
    let code = draft.s.stage(StageKey::Code).map(|stage| &stage.state);
    let Some(StageState::Publishing { head, .. }) = code else {
        return draft.nothing("superseded_push");
    };
    if refusal.is_in_commits() {
        draft.tell(Effect::Discard);
    }
    if refusal.is_of_form() && make_again(&mut draft, refusal) {
        return draft.rule("push_refused_for_form");
    }
    let (kind, rule) = match refusal {
        Refusal::Fork { .. } => (FailKind::Unpushed(head.clone()), "fork_not_ready"),
        Refusal::ProtectedPath(_)
        | Refusal::Workflows(_)
        | Refusal::TooLarge { .. }
        | Refusal::Secret { .. }
        | Refusal::Submodule(_)
        | Refusal::Symlink(_)
        | Refusal::ForeignAuthor { .. }
        | Refusal::NoTrailer { .. }
        | Refusal::Nothing
        | Refusal::BranchMoved
        | Refusal::GitHub(_) => (FailKind::Commands, "push_refused"),
    };
    draft.stage(StageKey::Code, StageState::Failed(kind));
    draft.task(TaskState::Parked(ParkReason::Refused(refusal.clone())));
    draft.rule(rule)
}

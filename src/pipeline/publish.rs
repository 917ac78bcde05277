//! A change goes out: checked against policy, pushed, and in a pull request.

use std::time::Duration;

use super::{
    Failure, Parts, execute::identity, mirrors, own::own_event, parse, situation, writing,
};
use crate::{
    github::{Access, GitHubError, Repo},
    model::{
        AgentId, BranchName, Desired, ForkProblem, Refusal, ReportKind, Sha, Situation, StageId,
        StageKey, StageState, Task, What,
    },
    queue::{self, Claimed},
    report, workflow,
    workspace::{Push, PushError, Rules, Signature, trailers},
};

/// At most so many files in one change.
const MAX_FILES: usize = 300;
/// At most so many bytes in one change.
const MAX_BYTES: u64 = 10 << 20;

/// How often a change that is held back by the off switch looks whether it may go out.
const OFF: Duration = Duration::from_secs(60);

/// Publishes the change of a stage, or says why not.
pub(super) async fn change(
    parts: &Parts,
    claimed: &Claimed,
    stage: StageId,
    agent: AgentId,
) -> Result<(), Failure> {
    let (task, _) = crate::db::stages::load_place(&parts.pool, stage).await?;
    let situation = situation::of_task(parts, task).await?;
    let state = situation.stage(StageKey::Code).map(|stage| &stage.state);
    let head = match state {
        Some(StageState::Publishing { from, head }) if *from == agent => Some(head.clone()),
        _ => None,
    };
    let told = match (head, &situation.task) {
        (Some(_), Some(_)) if situation.repository.off => {
            // Once it is on again it goes out; if that takes too long, the task is parked.
            let reason = "Baton is switched off in this repository".to_owned();
            return Err(Failure::Later { after: OFF, reason });
        }
        (Some(head), Some(task)) => Some(out(parts, &situation, task, &head).await?),
        _ => None,
    };
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    let mut wake = queue::Wake::none();
    if let Some(what) = told {
        // The same commit can be tried again, with the same end: the task has moved in between.
        let version = situation.task.as_ref().map_or(0, |task| task.version);
        let key = format!("publish:{task}:{agent}:{version}:{}", what.name());
        let event = own_event(parts, &mut tx, task, key, what).await?;
        wake = parse::save(&mut tx, &[event], now).await?;
    }
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

async fn out(
    parts: &Parts,
    situation: &Situation,
    task: &Task,
    head: &Sha,
) -> Result<What, Failure> {
    writing::allowed(parts).await?;
    mirrors::refresh(parts, situation, None).await?;
    if let Some(refusal) = checked(parts, situation, head).await? {
        return Ok(What::PublishRefused { refusal });
    }
    if workflow::is_held(situation, task, head) {
        return Ok(What::PublishHeld { head: head.clone() });
    }
    let Some(branch) = &task.branch else {
        return Err(Failure::Hopeless("the task has no branch".to_owned()));
    };
    let repo = parts.github.repository(&situation.repository);
    let target = match target(parts, situation, &repo).await? {
        Ok(target) => target,
        Err(refusal) => return Ok(What::PublishRefused { refusal }),
    };
    if let Err(refusal) = pushed(parts, situation, &target, head, branch).await? {
        return Ok(What::PublishRefused { refusal });
    }
    let known = repo.find_pull(&target, branch).await?.filter(|pull| pull.open);
    let pull = match known {
        Some(pull) => Ok(pull.number),
        None => opened(situation, &repo, &target, branch).await?,
    };
    Ok(match pull {
        Ok(pull) => What::PublishDone { pull, head: head.clone() },
        Err(refusal) => What::PublishRefused { refusal },
    })
}

/// Where the branch goes: to the repository itself, or to the fork that policy names, looked at anew.
async fn target(
    parts: &Parts,
    situation: &Situation,
    repo: &Repo,
) -> Result<Result<Repo, Refusal>, Failure> {
    let Some(name) = situation.policy.fork() else { return Ok(Ok(repo.clone())) };
    let fork = parts.github.fork(name, &situation.repository).await?;
    Ok(fork.map_err(|problem| Refusal::Fork { name: name.clone(), problem }))
}

/// Looks at everything that the change changes.
async fn checked(
    parts: &Parts,
    situation: &Situation,
    head: &Sha,
) -> Result<Option<Refusal>, Failure> {
    let rules = Rules {
        protected: situation.policy.protected.clone(),
        max_files: MAX_FILES,
        max_bytes: MAX_BYTES,
        secrets: parts.settings.secrets.clone(),
    };
    let (default, head) = (situation.repository.default_branch.clone(), head.clone());
    let published = situation.task.as_ref().and_then(|task| task.head.clone());
    let signature = signature(parts, situation);
    let reading = parts.runtime.workspaces.read(situation.repository.id, move |mirror| {
        // Never over what a person pushed: only onto it.
        if let Some(published) = &published
            && !mirror.is_ancestor(published, &head)?
        {
            return Ok(Some(Refusal::BranchMoved));
        }
        let Some(tip) = mirror.branch(&default)? else { return Ok(Some(Refusal::BranchMoved)) };
        match mirror.merge_base(&tip, &head)? {
            Some(from) => match mirror.refusal(&from, &head, &rules)? {
                None => mirror.unsigned(&from, published.as_ref(), &head, &signature),
                refusal => Ok(refusal),
            },
            None => Ok(Some(Refusal::BranchMoved)),
        }
    });
    reading.await.map_err(|error| Failure::Hopeless(error.to_string()))
}

/// What every commit has to carry that is not on GitHub yet.
fn signature(parts: &Parts, situation: &Situation) -> Signature {
    let task = situation.task.as_ref().map_or(0, |task| task.id.0);
    let agents = situation.agents.iter().map(|agent| trailers(task, agent.id.0));
    let [about, _] = trailers(task, 0);
    let agents = agents.map(|[_, agent]| agent).collect();
    Signature { identity: identity(parts), task: about, agents }
}

/// Pushes, once: where the branch has the commit already, that is what was wanted.
async fn pushed(
    parts: &Parts,
    situation: &Situation,
    target: &Repo,
    head: &Sha,
    branch: &BranchName,
) -> Result<Result<(), Refusal>, Failure> {
    let token = target.git_token(Access::Write).await?;
    let workspaces = &parts.runtime.workspaces;
    let push = Push {
        repository: situation.repository.id,
        url: target.git_url(),
        sha: head.clone(),
        branch: branch.clone(),
        expected: situation.task.as_ref().and_then(|task| task.head.clone()),
    };
    match workspaces.push(&push, Some(&token)).await {
        Ok(_) => Ok(Ok(())),
        Err(PushError::Moved) => Ok(Err(Refusal::BranchMoved)),
        Err(PushError::Refused(reason)) => Ok(Err(refused(situation, reason))),
        Err(error @ PushError::Transport(_)) => {
            Err(Failure::Later { after: Duration::from_secs(5), reason: error.to_string() })
        }
    }
}

/// What a refusal by GitHub means. The change itself holds no workflow, that was looked at: where GitHub
/// speaks of one, its commits bring it to a fork that is behind.
fn refused(situation: &Situation, reason: String) -> Refusal {
    match situation.policy.fork() {
        Some(name) if reason.contains("without `workflows` permission") => {
            Refusal::Fork { name: name.clone(), problem: ForkProblem::Behind }
        }
        Some(_) | None => Refusal::GitHub(reason),
    }
}

async fn opened(
    situation: &Situation,
    repo: &Repo,
    from: &Repo,
    branch: &BranchName,
) -> Result<Result<u64, Refusal>, Failure> {
    let Desired::Pull { title, body } = report::render(situation, &ReportKind::Pull) else {
        return Err(Failure::Hopeless("the task has no pull request of its own".to_owned()));
    };
    let base = &situation.repository.default_branch;
    match repo.create_pull(&title, &body, from, branch, base, true).await {
        Ok(created) => Ok(Ok(created.number)),
        // A branch that was just pushed can be a while on its way from git to the API.
        Err(GitHubError::Refused { status: 422, message }) if message.contains("head") => {
            Err(Failure::Later {
                after: Duration::from_secs(3),
                reason: format!("GitHub does not take the pull request yet: {message}"),
            })
        }
        Err(GitHubError::Refused { message, .. }) => Ok(Err(Refusal::GitHub(message))),
        Err(error) => Err(error.into()),
    }
}

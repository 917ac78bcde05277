//! Does one act: a write to GitHub that is no desired state. Its ledger row is there already.

use sqlx::PgConnection;

use super::{Failure, Parts, situation, writing};
use crate::{
    db::{
        findings, follow_ups,
        ledger::{self, ActState, Entry},
        reports,
    },
    github::{GitHubError, PlacedComment, Repo},
    model::{
        Act, AgentId, EventId, LedgerId, NewJob, Outcome, Reply, ReportKind, Situation, StageKey,
        TaskId, Timestamp,
    },
    queue::{self, Claimed, Wake},
    report,
};

/// The key of an act's job. Acts on one thread are seen in the order in which they were decided, and
/// no act is performed twice at a time.
pub(super) fn key(task: Option<TaskId>, event: Option<EventId>, act: LedgerId) -> String {
    match (task, event) {
        (Some(task), _) => format!("acts:{task}"),
        (None, Some(event)) => format!("event:{event}"),
        (None, None) => format!("act:{act}"),
    }
}

/// What an act left on GitHub.
#[derive(Debug, Default)]
struct Done {
    github_id: Option<i64>,
    placed: Vec<PlacedComment>,
}

/// Does the act of a ledger row, once.
pub(super) async fn act(parts: &Parts, claimed: &Claimed, id: LedgerId) -> Result<(), Failure> {
    let row = ledger::load(&parts.pool, id).await?;
    let open = matches!(row.state, ActState::Intended | ActState::Unknown);
    let done = if open {
        writing::allowed(parts).await?;
        let situation = situation::of_act(parts, &row).await?;
        let repo = parts.github.repository(&situation.repository);
        if situation.repository.off && !row.rule.starts_with("switched_") {
            Err("Baton is switched off in this repository".to_owned())
        } else {
            let thread = match (&row.act, row.task) {
                (Act::ResolveThread { finding, .. }, Some(task)) => {
                    findings::thread(&parts.pool, task, *finding).await?
                }
                _ => None,
            };
            match perform(&repo, &situation, &row.act, &row.marker, thread).await {
                Ok(done) => Ok(done),
                Err(Failure::GitHub(error)) if is_refusal(&error) => Err(error.to_string()),
                Err(failure) => return Err(failure),
            }
        }
    } else {
        Ok(Done::default())
    };
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    let mut wake = Wake::none();
    match done {
        Ok(done) => {
            for placed in &done.placed {
                if let Some(task) = row.task {
                    findings::set_thread(&mut *tx, task, placed.finding, &placed.node).await?;
                }
            }
            ledger::mark_done(&mut *tx, id, done.github_id, now).await?;
            wake = taken(&mut tx, &row, done.github_id, now).await?;
        }
        Err(error) => {
            tracing::warn!(act = row.act.name(), %error, "GitHub does not take this act");
            ledger::mark_failed(&mut *tx, id, &error, now).await?;
        }
    }
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// Notes the issue that a follow-up has now, and has it said.
async fn taken(
    tx: &mut PgConnection,
    row: &Entry,
    issue: Option<i64>,
    now: Timestamp,
) -> Result<Wake, Failure> {
    let (Act::OpenFollowUp { number }, Some(task), Some(issue)) = (&row.act, row.task, issue)
    else {
        return Ok(Wake::none());
    };
    follow_ups::set_issue(&mut *tx, task, *number, issue).await?;
    let noted = follow_ups::list(&mut *tx, task).await?;
    let agent = noted.iter().find(|it| it.number == *number).map(|it| it.agent);
    let mut jobs = Vec::new();
    for kind in [ReportKind::Progress].into_iter().chain(agent.map(ReportKind::FollowUps)) {
        let report = reports::raise(&mut *tx, task, &kind, now).await?;
        jobs.push(NewJob::say(report, Some(row.repository), now));
    }
    Ok(queue::enqueue(tx, &jobs).await?)
}

/// Whether GitHub will not do it however often it is asked.
fn is_refusal(error: &GitHubError) -> bool {
    match error {
        GitHubError::NotFound { .. }
        | GitHubError::Gone { .. }
        | GitHubError::Conflict { .. }
        | GitHubError::Refused { .. }
        | GitHubError::Forbidden { .. }
        | GitHubError::Unreadable { .. } => true,
        GitHubError::Retry { .. }
        | GitHubError::Paused { .. }
        | GitHubError::Unauthorized { .. }
        | GitHubError::Settings { .. } => false,
    }
}

/// Looks first whether it was done before, then does it.
async fn perform(
    repo: &Repo,
    situation: &Situation,
    act: &Act,
    marker: &str,
    thread: Option<String>,
) -> Result<Done, Failure> {
    let done = match act {
        Act::React { comment, reaction } => {
            repo.react(*comment, *reaction).await?;
            Done::default()
        }
        Act::Reply { number, reply } => {
            self::reply(repo, situation, *number, reply, marker).await?
        }
        Act::Review { pull, agent } => review(repo, situation, *pull, *agent, marker).await?,
        Act::ReadyForReview { pull } => {
            if repo.pull(*pull).await?.draft {
                repo.mark_ready_for_review(*pull).await?;
            }
            Done::default()
        }
        Act::ResolveThread { pull, finding } => {
            if let Some(node) = thread {
                resolve(repo, *pull, &node).await?;
            } else {
                tracing::debug!(finding, "the finding has no thread");
            }
            Done::default()
        }
        Act::ReopenIssue { number } => {
            repo.reopen_issue(*number).await?;
            Done::default()
        }
        Act::OpenIssue { agent, finding } => open_issue(repo, situation, *agent, *finding).await?,
        Act::OpenFollowUp { number } => open_follow_up(repo, situation, *number).await?,
        Act::Unlabel { number, label } => {
            repo.remove_label(*number, label).await?;
            Done::default()
        }
    };
    Ok(done)
}

async fn reply(
    repo: &Repo,
    situation: &Situation,
    number: u64,
    reply: &Reply,
    marker: &str,
) -> Result<Done, Failure> {
    if let Some(there) = repo.find_comment_by_marker(number, marker).await? {
        return Ok(Done { github_id: Some(there.id.0), placed: Vec::new() });
    }
    let body = format!("{marker}\n{}", report::reply(situation, reply));
    let created = repo.create_comment(number, &body).await?;
    Ok(Done { github_id: Some(created.id.0), placed: Vec::new() })
}

async fn review(
    repo: &Repo,
    situation: &Situation,
    pull: u64,
    agent: AgentId,
    marker: &str,
) -> Result<Done, Failure> {
    let Some((agent, outcome)) = situation.agent(agent).and_then(|agent| match &agent.outcome {
        Some(Outcome::Review(outcome)) => Some((agent, outcome)),
        _ => None,
    }) else {
        return Err(Failure::Hopeless("the agent left no review".to_owned()));
    };
    let round = situation
        .agents
        .iter()
        .filter(|other| other.stage == StageKey::Review && other.id <= agent.id);
    let round = u32::try_from(round.count()).unwrap_or(u32::MAX);
    let written = report::review(situation, &agent.base, outcome, round);
    if let Some(there) = repo.find_review_by_marker(pull, marker, &written.comments).await? {
        return Ok(Done { github_id: Some(there.id), placed: there.placed });
    }
    let body = format!("{marker}\n{}", written.body);
    let created = repo.create_review(pull, &agent.base, &body, &written.comments).await?;
    Ok(Done { github_id: Some(created.id), placed: created.placed })
}

/// Resolves the thread that begins with this comment.
async fn resolve(repo: &Repo, pull: u64, node: &str) -> Result<(), Failure> {
    let threads = repo.review_threads(pull).await?;
    let open = threads
        .iter()
        .find(|thread| !thread.resolved && thread.first_comment.as_deref() == Some(node));
    match open {
        Some(thread) => Ok(repo.resolve_thread(&thread.node).await?),
        None => Ok(()),
    }
}

/// Opens an issue for a finding, unless an earlier audit opened one for the same.
async fn open_issue(
    repo: &Repo,
    situation: &Situation,
    agent: AgentId,
    finding: usize,
) -> Result<Done, Failure> {
    let found = situation.agent(agent).and_then(|agent| match &agent.outcome {
        Some(Outcome::Audit(audit)) => audit.findings.get(finding),
        _ => None,
    });
    let Some(found) = found else {
        return Err(Failure::Hopeless("the agent left no such finding".to_owned()));
    };
    opened(repo, &report::audit_issue(situation, found)).await
}

/// Opens an issue for what an agent noticed, unless there is one.
async fn open_follow_up(repo: &Repo, situation: &Situation, number: u32) -> Result<Done, Failure> {
    let known = situation.task.as_ref().zip(situation.follow_up(number));
    let Some((task, follow_up)) = known else {
        return Err(Failure::Hopeless("the task has no such follow-up".to_owned()));
    };
    if let Some(issue) = follow_up.issue {
        return Ok(Done { github_id: i64::try_from(issue).ok(), placed: Vec::new() });
    }
    opened(repo, &report::follow_up_issue(situation, task, follow_up)).await
}

/// The issue with the marker, opened where there is none.
async fn opened(repo: &Repo, issue: &report::NewIssue) -> Result<Done, Failure> {
    let number = match repo.find_issue_by_marker(&issue.marker).await? {
        Some(number) => number,
        None => {
            repo.create_issue(&issue.title, &format!("{}\n{}", issue.marker, issue.body)).await?
        }
    };
    Ok(Done { github_id: i64::try_from(number).ok(), placed: Vec::new() })
}

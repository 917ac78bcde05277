//! Makes one GitHub object say what it should.

use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Failure, Parts, situation, writing};
use crate::{
    db::{
        agent_lines,
        reports::{self, Report},
    },
    github::{Check, CommentUpdate, CreatedComment, GitHubError, Repo},
    logs::LogStream,
    model::{
        AgentId, CheckRunId, CommentId, Desired, Difference, NewJob, ReportId, ReportKind,
        RepositoryId, Sha, Situation, StageKey, TaskId, TaskState, Timestamp, Untrusted, WaitFor,
    },
    queue::{self, Claimed, Wake},
    report,
};

/// What of an object is remembered between two sayings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Applied {
    github_id: Option<i64>,
    node: Option<String>,
}

/// Has a task's progress comment look again by a moment; sooner where something else wants it sooner.
pub(super) async fn progress(
    tx: &mut PgConnection,
    task: TaskId,
    repository: RepositoryId,
    now: Timestamp,
    by: Timestamp,
) -> Result<Wake, Failure> {
    let report = reports::raise(&mut *tx, task, &ReportKind::Progress, now).await?;
    Ok(queue::enqueue(tx, &[NewJob::say(report, Some(repository), by)]).await?)
}

/// Renders a report and makes the difference true.
pub(super) async fn report(parts: &Parts, claimed: &Claimed, id: ReportId) -> Result<(), Failure> {
    let row = reports::load(&parts.pool, id).await?;
    if row.applied_version >= row.wanted_version {
        return finish(parts, claimed).await;
    }
    let mut situation = situation::of_task(parts, row.task).await?;
    if situation.repository.off {
        return finish(parts, claimed).await;
    }
    if let ReportKind::Check(stage, _) = &row.kind {
        situation.tail = tail(parts, &situation, *stage).await?;
    }
    if let ReportKind::AskingPush(head) = &row.kind {
        situation.difference = difference(parts, &situation, head).await?;
    }
    writing::allowed(parts).await?;
    let desired = report::render(&situation, &row.kind);
    let hash = hash(&desired);
    let applied = if row.applied_hash.as_deref() == Some(hash.as_str()) {
        Applied { github_id: row.github_id, node: row.node_id.clone() }
    } else {
        match make_true(parts, &situation, &row, &desired).await {
            Ok(applied) => applied,
            Err(failure) => return Err(note(parts, id, failure).await),
        }
    };
    let mut tx = parts.pool.begin().await?;
    let now = parts.clock.now();
    let said = reports::Applied {
        version: row.wanted_version,
        hash,
        github_id: applied.github_id,
        node_id: applied.node,
    };
    reports::applied(&mut *tx, id, &said, now).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    Ok(())
}

/// How long a report rests that GitHub refused.
const REFUSED_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// How far back a log is read for the lines that a check shows, and how many it shows.
const TAIL: (i64, usize) = (200, 20);

/// The last steps of a stage's newest agent, and what it complained of.
async fn tail(
    parts: &Parts,
    situation: &Situation,
    stage: StageKey,
) -> Result<Option<(AgentId, Vec<Untrusted>)>, Failure> {
    let Some(agent) = situation.last_agent(stage) else { return Ok(None) };
    let lines = agent_lines::list_last(&parts.pool, agent.id, TAIL.0).await?;
    let readable = lines.into_iter().filter(|line| line.stream != LogStream::Output.name());
    let lines: Vec<Untrusted> = readable.map(|line| Untrusted(line.text)).collect();
    let skipped = lines.len().saturating_sub(TAIL.1);
    Ok(Some((agent.id, lines.into_iter().skip(skipped).collect())))
}

/// How much of a difference a comment shows, in bytes: with what else it says it stays under GitHub's limit
/// of 65,536 characters.
const MAX_DIFFERENCE: usize = 40_000;

/// What the commit changes that waits for being let out; none where it waits no more.
async fn difference(
    parts: &Parts,
    situation: &Situation,
    head: &Sha,
) -> Result<Option<Difference>, Failure> {
    let Some(task) = &situation.task else { return Ok(None) };
    if task.state != TaskState::Waiting(WaitFor::PushApproval(head.clone())) {
        return Ok(None);
    }
    let (default, pushed) = (situation.repository.default_branch.clone(), task.head.clone());
    let (head, redactor) = (head.clone(), parts.redactor());
    let reading = parts.runtime.workspaces.read(situation.repository.id, move |mirror| {
        let tip = mirror.branch(&default)?;
        let from = match (pushed, tip) {
            (Some(pushed), _) => Some(pushed),
            (None, Some(tip)) => mirror.merge_base(&tip, &head)?,
            (None, None) => None,
        };
        let Some(from) = from else { return Ok(None) };
        let files = mirror.changes(&from, &head)?.into_iter();
        let files = files.map(|change| (change.path, change.added, change.removed)).collect();
        let text = mirror.diff_text(&from, &head, MAX_DIFFERENCE)?;
        let cut = text.len() > MAX_DIFFERENCE;
        Ok(Some(Difference { from, head, files, text: Untrusted(redactor.redact(&text)), cut }))
    });
    // Another machine's mirror may hold the commit: whoever has it says it.
    reading.await.map_err(|error| Failure::Later {
        after: std::time::Duration::from_secs(10),
        reason: error.to_string(),
    })
}

async fn finish(parts: &Parts, claimed: &Claimed) -> Result<(), Failure> {
    let mut tx = parts.pool.begin().await?;
    queue::finish(&mut tx, claimed, parts.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Keeps the reason where doctor and `tasks` find it.
async fn note(parts: &Parts, id: ReportId, failure: Failure) -> Failure {
    let error = failure.to_string();
    // What GitHub refuses is tried again now and then: somebody may have mended the cause.
    let retry_at = failure.is_refusal().then(|| parts.clock.now() + REFUSED_PAUSE);
    if let Err(error) = reports::set_error(&parts.pool, id, &error, retry_at).await {
        tracing::warn!(report.id = %id, %error, "the report's error could not be kept");
    }
    failure
}

fn hash(desired: &Desired) -> String {
    let json = serde_json::to_vec(desired).expect("structs of text serialise");
    Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn make_true(
    parts: &Parts,
    situation: &Situation,
    row: &Report,
    desired: &Desired,
) -> Result<Applied, Failure> {
    let repo = parts.github.repository(&situation.repository);
    let task = situation.task.as_ref().ok_or(Failure::Changed("the task"))?;
    let before = Applied { github_id: row.github_id, node: row.node_id.clone() };
    match desired {
        Desired::Nothing => Ok(before),
        Desired::Comment { body, minimised, frozen } => {
            // What was answered before it was asked needs no asking any more.
            let answered = *minimised && *frozen;
            let applied = comment(&repo, task.number, body, *frozen, answered, before).await?;
            if *minimised && let Some(node) = &applied.node {
                repo.minimise_comment(node).await?;
            }
            Ok(applied)
        }
        Desired::Check { .. } => check(&repo, desired, before).await,
        Desired::Labels { present, absent } => {
            labels(&repo, task.number, present, absent).await?;
            Ok(before)
        }
        Desired::Pull { title, body } => {
            if let Some(pull) = task.pull {
                repo.update_pull(pull, title, body).await?;
            }
            Ok(before)
        }
        Desired::Deployment { environment, sha, state, description } => {
            let ReportKind::Deployment { attempt, .. } = &row.kind else {
                return Err(Failure::Hopeless(
                    "a deployment's report is about something else".to_owned(),
                ));
            };
            let marker = format!("{}:{}:{attempt}", situation.name, task.id);
            let id = match before.github_id {
                Some(id) => id,
                None => match repo.find_deployment(environment, sha, &marker).await? {
                    Some(id) => id,
                    None => repo.create_deployment(environment, sha, description, &marker).await?,
                },
            };
            repo.create_deployment_status(id, *state, description, None).await?;
            Ok(Applied { github_id: Some(id), node: None })
        }
    }
}

/// Finds the comment by its id or marker and gives it the text; writes it where there is none.
async fn comment(
    repo: &Repo,
    number: u64,
    body: &str,
    frozen: bool,
    answered: bool,
    before: Applied,
) -> Result<Applied, Failure> {
    let marker = body.lines().next().unwrap_or(body);
    let known = match (before.github_id, before.node) {
        (Some(id), Some(node)) => Some(CreatedComment { id: CommentId(id), node }),
        _ => repo.find_comment_by_marker(number, marker).await?,
    };
    if let Some(known) = known {
        let kept = frozen || repo.update_comment(known.id, body).await? == CommentUpdate::Done;
        if kept {
            return Ok(Applied { github_id: Some(known.id.0), node: Some(known.node) });
        }
    }
    if answered {
        return Ok(Applied::default());
    }
    let created = repo.create_comment(number, body).await?;
    Ok(Applied { github_id: Some(created.id.0), node: Some(created.node) })
}

async fn check(repo: &Repo, desired: &Desired, before: Applied) -> Result<Applied, Failure> {
    let Some(check) = Check::of(desired) else { return Ok(before) };
    let known = match before.github_id {
        Some(id) => Some(CheckRunId(id)),
        None => repo.find_check(check.head, check.name).await?,
    };
    let written = match known {
        Some(id) => repo.update_check(id, &check).await.map(|()| id),
        None => repo.create_check(&check).await,
    };
    match written {
        Ok(id) => Ok(Applied { github_id: Some(id.0), node: None }),
        // A pushed commit can be a while on its way from git to the API.
        Err(GitHubError::Refused { status: 422, message }) => Err(Failure::Later {
            after: std::time::Duration::from_secs(5),
            reason: format!("GitHub does not take the check yet: {message}"),
        }),
        Err(error) => Err(error.into()),
    }
}

async fn labels(
    repo: &Repo,
    number: u64,
    present: &[String],
    absent: &[String],
) -> Result<(), Failure> {
    let there = repo.labels(number).await?;
    let missing: Vec<String> =
        present.iter().filter(|label| !there.contains(label)).cloned().collect();
    for label in &missing {
        let (colour, description) = colours(label);
        repo.ensure_label(label, colour, description).await?;
    }
    if !missing.is_empty() {
        repo.add_labels(number, &missing).await?;
    }
    for label in absent.iter().filter(|label| there.contains(label)) {
        repo.remove_label(number, label).await?;
    }
    Ok(())
}

/// Colour and description of Baton's own labels.
fn colours(label: &str) -> (&'static str, &'static str) {
    if label.ends_with(":waiting") {
        ("fbca04", "Baton waits for a person")
    } else {
        ("c5def5", "Baton has parked this: nothing more is spent until somebody acts")
    }
}

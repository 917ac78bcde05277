//! `tasks`: pieces of work. Reading is in [`super::situations`] and here; writing is guarded by version.

use std::collections::BTreeMap;

use sqlx::{PgConnection, PgExecutor};

use super::{
    DbError, decode,
    error::one_row,
    task_refs::{self, RefKind},
};
use crate::model::{
    BranchName, InputHash, Micros, Person, Policy, RepositoryId, Role, RolePolicy, Sha, Task,
    TaskId, TaskInput, TaskOrigin, TaskState, Timestamp,
};

/// A task that begins.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Where.
    pub repository: RepositoryId,
    /// What it begins with.
    pub origin: TaskOrigin,
    /// The issue or pull request.
    pub number: u64,
    /// What its agents get to read.
    pub input: TaskInput,
    /// The hash of that.
    pub input_hash: InputHash,
    /// The policy that it keeps to its end; budget and rounds come from it.
    pub policy: Policy,
    /// Who asked.
    pub requested_by: Option<Person>,
    /// A person's pull request and its head, when that is what it is about.
    pub pull: Option<(u64, Sha)>,
    /// Now.
    pub now: Timestamp,
}

/// Opens a task as the next one of its thread, and lets it be found by the thread.
///
/// # Errors
/// When the thread has an open task already (a unique violation), or the database is away.
pub async fn open(connection: &mut PgConnection, task: NewTask) -> Result<TaskId, DbError> {
    let (pull, head) = task.pull.clone().unzip();
    let id = sqlx::query_scalar!(
        "INSERT INTO tasks (repository_id, origin, number, generation, state, state_data, input,
             input_hash, policy, max_rounds, budget_micros, requested_by, pull, head, opened_at)
         VALUES ($1, $2, $3,
             (SELECT coalesce(max(generation), 0) + 1 FROM tasks
              WHERE repository_id = $1 AND number = $3),
             'open', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         RETURNING id",
        task.repository.0,
        task.origin.name(),
        decode::big(task.number),
        decode::write(&TaskState::Open),
        decode::write(&task.input),
        task.input_hash.as_str(),
        decode::write(&task.policy),
        decode::small(task.policy.max_rounds),
        task.policy.budget.0,
        task.requested_by.as_ref().map(decode::write),
        pull.map(decode::big),
        head.as_ref().map(Sha::as_str),
        task.now,
    )
    .fetch_one(&mut *connection)
    .await?;
    let id = TaskId(id);
    let thread = match task.origin {
        TaskOrigin::Issue | TaskOrigin::Audit => RefKind::Issue,
        TaskOrigin::Pull => RefKind::Pull,
    };
    refer(connection, task.repository, id, thread, task.number).await?;
    if let Some((number, _)) = task.pull {
        refer(connection, task.repository, id, RefKind::Pull, number).await?;
    }
    Ok(id)
}

async fn refer(
    connection: &mut PgConnection,
    repository: RepositoryId,
    task: TaskId,
    kind: RefKind,
    number: u64,
) -> Result<(), DbError> {
    task_refs::insert(connection, repository, kind, &number.to_string(), task).await
}

/// Locks a task until the transaction ends and gives its version; none when there is no such task.
///
/// # Errors
/// When the database is away.
pub async fn lock(executor: impl PgExecutor<'_>, id: TaskId) -> Result<Option<i64>, DbError> {
    let version = sqlx::query_scalar!("SELECT version FROM tasks WHERE id = $1 FOR UPDATE", id.0);
    Ok(version.fetch_optional(executor).await?)
}

/// Saves what a decision changed and raises the version by one. What a task began with (origin,
/// number, generation, requester, policy) and what it has cost is not written.
///
/// # Errors
/// [`DbError::Stale`] when the version is another: roll back, load and decide again.
pub async fn save(
    executor: impl PgExecutor<'_>,
    task: &Task,
    expected_version: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE tasks SET version = version + 1, state = $3, state_data = $4, input = $5,
             input_hash = $6, rounds = $7, max_rounds = $8, pull = $9, branch = $10, head = $11,
             merged = $12, endings = $13, budget_micros = $14,
             closed_at = CASE WHEN $15 THEN coalesce(closed_at, $16) END
         WHERE id = $1 AND version = $2",
        task.id.0,
        expected_version,
        task.state.name(),
        decode::write(&task.state),
        decode::write(&task.input),
        task.input_hash.as_str(),
        decode::small(task.rounds),
        decode::small(task.max_rounds),
        task.pull.map(decode::big),
        task.branch.as_ref().map(BranchName::as_str),
        task.head.as_ref().map(Sha::as_str),
        task.merged.as_ref().map(Sha::as_str),
        decode::small(task.endings),
        task.budget.0,
        task.state.is_final(),
        now,
    )
    .execute(executor)
    .await?;
    one_row(&result, "task", task.id)
}

/// Says who plays which role of a task from now on; the rest of the policy that it keeps stays as it was read.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn set_roles(
    executor: impl PgExecutor<'_>,
    id: TaskId,
    roles: &BTreeMap<Role, RolePolicy>,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE tasks SET policy = jsonb_set(policy, '{roles}', $2) WHERE id = $1",
        id.0,
        decode::write(roles),
    );
    one_row(&result.execute(executor).await?, "task", id)
}

/// Where a task is and what holds for it.
#[derive(Debug, Clone)]
pub struct LoadedRow {
    /// The repository it is in.
    pub repository: RepositoryId,
    /// The policy it began with.
    pub policy: Policy,
    /// The task.
    pub task: Task,
}

/// Loads a task with what it has cost so far; requests on their way count with what is expected.
///
/// # Errors
/// [`DbError::Absent`] when there is none of that id.
pub async fn load(executor: impl PgExecutor<'_>, id: TaskId) -> Result<LoadedRow, DbError> {
    let row = sqlx::query!(
        r#"SELECT t.repository_id, t.origin, t.number, t.generation, t.state_data, t.version,
               t.input, t.input_hash, t.policy, t.rounds, t.max_rounds, t.budget_micros,
               t.requested_by, t.pull, t.branch, t.head, t.merged, t.opened_at, t.endings,
               (SELECT coalesce(sum(coalesce(cost_micros, expected_micros)), 0)::bigint
                FROM usage WHERE task_id = t.id) AS "spent!"
           FROM tasks t WHERE t.id = $1"#,
        id.0,
    )
    .fetch_optional(executor)
    .await?
    .ok_or_else(|| DbError::absent("task", id))?;
    let task = Task {
        id,
        origin: decode::read_name("task origin", row.origin)?,
        number: decode::number("task number", row.number)?,
        generation: decode::number("task generation", row.generation)?,
        state: decode::read("task state", row.state_data)?,
        version: row.version,
        input: decode::read("task input", row.input)?,
        input_hash: decode::text("input hash", row.input_hash, InputHash::new)?,
        rounds: decode::number("task rounds", row.rounds)?,
        max_rounds: decode::number("task rounds", row.max_rounds)?,
        budget: Micros(row.budget_micros),
        spent: Micros(row.spent),
        requested_by: row.requested_by.map(|by| decode::read("requester", by)).transpose()?,
        pull: row.pull.map(|pull| decode::number("pull request", pull)).transpose()?,
        branch: decode::optional_text("branch", row.branch, BranchName::new)?,
        head: decode::optional_text("head", row.head, Sha::new)?,
        merged: decode::optional_text("merge commit", row.merged, Sha::new)?,
        opened_at: row.opened_at,
        endings: decode::number("task endings", row.endings)?,
    };
    let policy = decode::read("task policy", row.policy)?;
    Ok(LoadedRow { repository: RepositoryId(row.repository_id), policy, task })
}

/// Lists open tasks by id after one, at most `limit`: waiting and parked ones too.
///
/// # Errors
/// When the database is away.
pub async fn list_open(
    executor: impl PgExecutor<'_>,
    after: Option<TaskId>,
    limit: i64,
) -> Result<Vec<TaskId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM tasks WHERE closed_at IS NULL AND id > $1 ORDER BY id LIMIT $2",
        after.map_or(0, |id| id.0),
        limit,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(TaskId).collect())
}

/// Lists the open tasks of a repository.
///
/// # Errors
/// When the database is away.
pub async fn list_open_of(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
) -> Result<Vec<TaskId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM tasks WHERE closed_at IS NULL AND repository_id = $1 ORDER BY id",
        repository.0,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(TaskId).collect())
}

/// Lists parked tasks whose model quota is back at a moment.
///
/// # Errors
/// When the database is away.
pub async fn list_quota_back(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Vec<TaskId>, DbError> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM tasks
         WHERE closed_at IS NULL AND state = 'parked' AND state_data #>> '{data,why}' = 'quota'
             AND (state_data #>> '{data,what,until}')::timestamptz <= $1
         ORDER BY id",
        now,
    );
    Ok(ids.fetch_all(executor).await?.into_iter().map(TaskId).collect())
}

/// Finds the open task of a thread.
///
/// # Errors
/// When the database is away.
pub async fn by_thread(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    number: u64,
) -> Result<Option<TaskId>, DbError> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM tasks WHERE repository_id = $1 AND number = $2 AND closed_at IS NULL",
        repository.0,
        decode::big(number),
    );
    Ok(id.fetch_optional(executor).await?.map(TaskId))
}

/// Counts Baton's own open pull requests in a repository, one task's left out.
///
/// # Errors
/// When the database is away.
pub async fn count_open_pulls(
    executor: impl PgExecutor<'_>,
    repository: RepositoryId,
    except: Option<TaskId>,
) -> Result<u32, DbError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tasks
           WHERE repository_id = $1 AND closed_at IS NULL AND pull IS NOT NULL AND merged IS NULL
               AND origin <> 'pull' AND id IS DISTINCT FROM $2"#,
        repository.0,
        except.map(|id| id.0),
    );
    decode::number("count", count.fetch_one(executor).await?)
}

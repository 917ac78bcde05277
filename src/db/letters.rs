//! `letters`: what the agents of a task write to each other, and who has read it.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{
    Addressee, AgentId, Letter, LetterKind, Role, SessionId, TaskId, Timestamp, Untrusted,
};

/// How many are handed out at once: the rest comes with the next look.
const AT_ONCE: i64 = 20;

/// A message that is to be.
#[derive(Debug, Clone)]
pub struct NewLetter {
    /// Of which task.
    pub task: TaskId,
    /// By whom.
    pub from: AgentId,
    /// For whom.
    pub to: Addressee,
    /// What it is.
    pub kind: LetterKind,
    /// What ties a response to its request.
    pub correlation: Option<String>,
    /// The words.
    pub body: Untrusted,
    /// Now.
    pub now: Timestamp,
}

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Of which task.
    pub task: TaskId,
    /// In which session.
    pub session: SessionId,
    /// In which role.
    pub role: Role,
}

/// Enters a message and gives its number; none when the agent that it is for is not of this task.
///
/// # Errors
/// When the database is away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    new: &NewLetter,
) -> Result<Option<i64>, DbError> {
    let (agent, role) = match new.to {
        Addressee::All => (None, None),
        Addressee::Role(role) => (None, Some(role.name())),
        Addressee::Agent(agent) => (Some(agent.0), None),
    };
    let id = sqlx::query_scalar!(
        "INSERT INTO letters (task_id, from_agent, to_session, to_role, kind, correlation,
             body, at)
         SELECT $1, $2, (SELECT session_id FROM agents WHERE id = $3), $4, $5, $6, $7, $8
         WHERE $3::bigint IS NULL OR EXISTS (SELECT FROM agents WHERE id = $3 AND task_id = $1)
         RETURNING id",
        new.task.0,
        new.from.0,
        agent,
        role,
        new.kind.name(),
        new.correlation,
        decode::storable(&new.body.0),
        new.now,
    );
    Ok(id.fetch_optional(executor).await?)
}

/// Tells whether a task holds a request of that correlation.
///
/// # Errors
/// When the database is away.
pub async fn is_requested(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    correlation: &str,
) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM letters
               WHERE task_id = $1 AND kind = 'task_request' AND correlation = $2) AS "found!""#,
        task.0,
        correlation,
    );
    Ok(found.fetch_one(executor).await?)
}

/// Counts the messages of a task.
///
/// # Errors
/// When the database is away.
pub async fn count(executor: impl PgExecutor<'_>, task: TaskId) -> Result<i64, DbError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM letters WHERE task_id = $1"#,
        task.0,
    );
    Ok(count.fetch_one(executor).await?)
}

/// Lists what a session has not read, oldest first: what is for it, for its role or for all, and not
/// its own.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_unread(
    executor: impl PgExecutor<'_>,
    reader: Reader,
) -> Result<Vec<Letter>, DbError> {
    let rows = sqlx::query!(
        "SELECT m.id, m.from_agent, s.key AS stage, f.role, m.kind, m.correlation, m.body, m.at
         FROM letters m JOIN agents f ON f.id = m.from_agent JOIN stages s ON s.id = f.stage_id
         WHERE m.task_id = $1 AND f.session_id <> $2
             AND (m.to_session = $2 OR m.to_role = $3 OR (m.to_session IS NULL AND m.to_role IS NULL))
             AND NOT EXISTS (SELECT FROM letters_read r
                 WHERE r.letter_id = m.id AND r.session_id = $2)
         ORDER BY m.id LIMIT $4",
        reader.task.0,
        reader.session.0,
        reader.role.name(),
        AT_ONCE,
    )
    .fetch_all(executor)
    .await?;
    let mut letters = Vec::with_capacity(rows.len());
    for row in rows {
        letters.push(Letter {
            id: row.id,
            from: AgentId(row.from_agent),
            role: decode::role(row.stage, row.role)?,
            kind: decode::read_name("kind of message", row.kind)?,
            correlation: row.correlation,
            body: Untrusted(row.body),
            at: row.at,
        });
    }
    Ok(letters)
}

/// Notes that a session has read these.
///
/// # Errors
/// When the database is away.
pub async fn mark_read(
    executor: impl PgExecutor<'_>,
    session: SessionId,
    ids: &[i64],
    now: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO letters_read (letter_id, session_id, at)
         SELECT id, $1, $3 FROM unnest($2::bigint[]) AS id ON CONFLICT DO NOTHING",
        session.0,
        ids,
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

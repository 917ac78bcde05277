//! `questions`: what agents asked people, and what was answered.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{AgentId, Answer, Fallback, Question, QuestionId, TaskId, Timestamp, Untrusted};

/// A question that is to be.
#[derive(Debug, Clone)]
pub struct NewQuestion {
    /// Of which task.
    pub task: TaskId,
    /// Who asks.
    pub agent: AgentId,
    /// The words.
    pub text: Untrusted,
    /// What can be chosen.
    pub options: Vec<Untrusted>,
    /// What counts when nobody answers.
    pub fallback: Option<Fallback>,
    /// Now.
    pub now: Timestamp,
}

/// Enters a question as the task's next one and gives its number; none when the agent has asked before.
///
/// # Errors
/// When another agent of the task asks at this very moment (a unique violation), or the database is
/// away.
pub async fn insert(
    executor: impl PgExecutor<'_>,
    new: &NewQuestion,
) -> Result<Option<u32>, DbError> {
    let number = sqlx::query_scalar!(
        "INSERT INTO questions (task_id, number, agent_id, text, options, fallback, deadline, at)
         VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM questions WHERE task_id = $1),
             $2, $3, $4, $5, $6, $7)
         ON CONFLICT (agent_id) DO NOTHING RETURNING number",
        new.task.0,
        new.agent.0,
        decode::storable(&new.text.0),
        decode::write(&new.options),
        new.fallback.map(|fallback| decode::small(fallback.option)),
        new.fallback.map(|fallback| fallback.at),
        new.now,
    );
    let number = number.fetch_optional(executor).await?;
    number.map(|number| decode::number("question's number", number)).transpose()
}

/// Keeps the answer.
///
/// # Errors
/// [`DbError::Stale`] when it was answered before.
pub async fn answer(
    executor: impl PgExecutor<'_>,
    id: QuestionId,
    answer: &Answer,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE questions SET answer = $2, answered_at = $3 WHERE id = $1 AND answer IS NULL",
        id.0,
        decode::write(answer),
        answer.at,
    )
    .execute(executor)
    .await?;
    one_row(&result, "question", id)
}

/// Finds the question of an agent.
///
/// # Errors
/// When the database is away.
pub async fn of_agent(
    executor: impl PgExecutor<'_>,
    agent: AgentId,
) -> Result<Option<QuestionId>, DbError> {
    let id = sqlx::query_scalar!("SELECT id FROM questions WHERE agent_id = $1", agent.0);
    Ok(id.fetch_optional(executor).await?.map(QuestionId))
}

/// Counts the questions of a task.
///
/// # Errors
/// When the database is away.
pub async fn count(executor: impl PgExecutor<'_>, task: TaskId) -> Result<u32, DbError> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM questions WHERE task_id = $1"#,
        task.0,
    );
    decode::number("count", count.fetch_one(executor).await?)
}

/// Lists the questions of a task, by number.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Question>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, number, agent_id, text, options, fallback, deadline, answer
         FROM questions WHERE task_id = $1 ORDER BY number",
        task.0,
    )
    .fetch_all(executor)
    .await?;
    let mut questions = Vec::with_capacity(rows.len());
    for row in rows {
        let fallback = row.fallback.zip(row.deadline).map(|(option, at)| {
            let option = decode::number("option", option)?;
            Ok::<_, DbError>(Fallback { option, at })
        });
        questions.push(Question {
            id: QuestionId(row.id),
            number: decode::number("question's number", row.number)?,
            agent: AgentId(row.agent_id),
            text: Untrusted(row.text),
            options: decode::read("options", row.options)?,
            fallback: fallback.transpose()?,
            answer: row.answer.map(|it| decode::read("answer", it)).transpose()?,
        });
    }
    Ok(questions)
}

/// Lists questions that a task waits for and whose deadline has passed.
///
/// # Errors
/// When the database is away.
pub async fn list_due(
    executor: impl PgExecutor<'_>,
    now: Timestamp,
) -> Result<Vec<(TaskId, QuestionId)>, DbError> {
    let rows = sqlx::query!(
        "SELECT q.task_id, q.id FROM questions q JOIN tasks t ON t.id = q.task_id
         WHERE q.answer IS NULL AND q.deadline <= $1 AND t.state = 'waiting'
             AND t.state_data #>> '{data,for}' = 'answer'
             AND (t.state_data #>> '{data,what}')::bigint = q.id
         ORDER BY q.id",
        now,
    );
    let rows = rows.fetch_all(executor).await?;
    Ok(rows.into_iter().map(|row| (TaskId(row.task_id), QuestionId(row.id))).collect())
}

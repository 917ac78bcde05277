//! `fetches`: what was asked of hosts from inside of sandboxes.

use sqlx::PgExecutor;

use super::{DbError, decode};
use crate::model::{AgentId, CommandRunId, Fetch, Fetched, Fetcher, TaskId, Timestamp};

struct Row {
    agent_id: Option<i64>,
    run_id: Option<i64>,
    host: String,
    port: i32,
    package: Option<String>,
    blocked: Option<serde_json::Value>,
}

impl Row {
    fn into_model(self) -> Result<Fetched, DbError> {
        let by = match (self.agent_id, self.run_id) {
            (Some(agent), _) => Fetcher::Agent(AgentId(agent)),
            (None, run) => Fetcher::Run(CommandRunId(run.unwrap_or_default())),
        };
        let blocked = self.blocked.map(|blocked| decode::read("blocked", blocked)).transpose()?;
        let port = decode::number("port", self.port)?;
        let fetch = Fetch { host: self.host, port, package: self.package, blocked };
        Ok(Fetched { by, fetch })
    }
}

/// Enters what an agent or a run asked for.
///
/// # Errors
/// When the database is away.
pub async fn insert_all(
    executor: impl PgExecutor<'_>,
    task: TaskId,
    by: Fetcher,
    fetches: &[Fetch],
    now: Timestamp,
) -> Result<(), DbError> {
    let (agent, run) = match by {
        Fetcher::Agent(agent) => (Some(agent.0), None),
        Fetcher::Run(run) => (None, Some(run.0)),
    };
    let hosts: Vec<String> = fetches.iter().map(|fetch| decode::storable(&fetch.host)).collect();
    let ports: Vec<i32> = fetches.iter().map(|fetch| i32::from(fetch.port)).collect();
    let packages: Vec<Option<String>> = fetches.iter().map(|fetch| fetch.package.clone()).collect();
    let blocked: Vec<Option<serde_json::Value>> =
        fetches.iter().map(|fetch| fetch.blocked.as_ref().map(decode::write)).collect();
    sqlx::query!(
        "INSERT INTO fetches (task_id, agent_id, run_id, host, port, package, blocked, at)
         SELECT $1, $2, $3, host, port, package, blocked, $8
         FROM unnest($4::text[], $5::int[], $6::text[], $7::jsonb[]) AS f (host, port, package, blocked)",
        task.0,
        agent,
        run,
        &hosts,
        &ports,
        &packages as &[Option<String>],
        &blocked as &[Option<serde_json::Value>],
        now,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Lists what was asked for a task, oldest first.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list(executor: impl PgExecutor<'_>, task: TaskId) -> Result<Vec<Fetched>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT agent_id, run_id, host, port, package, blocked
         FROM fetches WHERE task_id = $1 ORDER BY id",
        task.0,
    );
    rows.fetch_all(executor).await?.into_iter().map(Row::into_model).collect()
}

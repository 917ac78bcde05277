//! What agents use of the machine they run on.

use sqlx::PgExecutor;

use super::super::{DbError, decode, error::one_row};
use crate::model::{AgentId, Footprint, Lack, Tally};

/// Keeps what an agent has used so far, and adds to what its program told of its own work.
///
/// # Errors
/// [`DbError::Stale`] when the agent has ended.
pub async fn set_footprint(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    footprint: Footprint,
    told: Tally,
) -> Result<(), DbError> {
    let Footprint { cpu_ms, memory, memory_peak, written, held } = footprint;
    let Tally { calls, failed, denied, retries, tokens, cost } = told;
    let result = sqlx::query!(
        "UPDATE agents SET cpu_ms = $2, memory_bytes = $3, memory_peak_bytes = $4, written_bytes = $5,
             program_calls = program_calls + $6, model_retries = model_retries + $7,
             failed_calls = failed_calls + $8, denied_calls = denied_calls + $9,
             told_tokens = told_tokens + $10, told_micros = greatest(told_micros, $11),
             held_bytes = $12
         WHERE id = $1 AND ended_at IS NULL",
        id.0,
        decode::big(cpu_ms),
        decode::big(memory),
        decode::big(memory_peak),
        decode::big(written),
        decode::small(calls),
        decode::small(retries),
        decode::small(failed),
        decode::small(denied),
        decode::big(tokens),
        cost.0,
        decode::big(held),
    )
    .execute(executor)
    .await?;
    one_row(&result, "agent", id)
}

/// Notes what a queued agent waits for; true if that is news.
///
/// # Errors
/// When the database is away.
pub async fn set_waits_for(
    executor: impl PgExecutor<'_>,
    id: AgentId,
    lack: Option<Lack>,
) -> Result<bool, DbError> {
    let result = sqlx::query!(
        "UPDATE agents SET waits_for = $2
         WHERE id = $1 AND state = 'queued' AND waits_for IS DISTINCT FROM $2",
        id.0,
        lack.map(|lack| decode::write_name(&lack)),
    );
    Ok(result.execute(executor).await?.rows_affected() == 1)
}

/// Lists what the newest agents that ended had used, each with the milliseconds that it ran.
///
/// # Errors
/// When the database is away.
pub async fn list_measured(
    executor: impl PgExecutor<'_>,
    limit: i64,
) -> Result<Vec<(Footprint, u64)>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT cpu_ms, memory_peak_bytes, written_bytes, held_bytes,
               (extract(epoch FROM ended_at - started_at) * 1000)::bigint AS "wall_ms!"
           FROM agents
           WHERE memory_peak_bytes > 0 AND started_at IS NOT NULL AND ended_at IS NOT NULL
           ORDER BY id DESC LIMIT $1"#,
        limit,
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    let used = rows.map(|row| {
        let footprint = Footprint {
            cpu_ms: row.cpu_ms.unsigned_abs(),
            memory: 0,
            memory_peak: row.memory_peak_bytes.unsigned_abs(),
            written: row.written_bytes.unsigned_abs(),
            held: row.held_bytes.unsigned_abs(),
        };
        (footprint, u64::try_from(row.wall_ms).unwrap_or(0))
    });
    Ok(used.collect())
}

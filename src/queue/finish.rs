//! The ends of a job: finished, to be tried again, failed. Each only under the lease.

use chrono::TimeDelta;
use rand::RngExt;
use sqlx::{PgConnection, PgPool};

use super::{Claimed, QueueError};
use crate::model::{JobId, Timestamp};

/// Finishes a job in the transaction that holds its result.
///
/// # Errors
/// [`QueueError::LeaseLost`] when the job is not this worker's any more: roll back.
pub async fn finish(
    connection: &mut PgConnection,
    claimed: &Claimed,
    now: Timestamp,
) -> Result<(), QueueError> {
    end(connection, claimed, "done", None, now).await
}

/// Finishes jobs that wrote nothing else, and gives those that were still this worker's.
///
/// The commit is asynchronous: what a crash of the database server undoes may safely run again.
///
/// # Errors
/// When the database is away; then none is finished.
pub async fn finish_batch(
    pool: &PgPool,
    claimed: &[Claimed],
    now: Timestamp,
) -> Result<Vec<JobId>, QueueError> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = claimed.iter().map(|job| job.id.0).collect();
    let tokens: Vec<_> = claimed.iter().map(|job| job.token.0).collect();
    let finished = sqlx::query_scalar!(
        "WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
         gone AS (
             DELETE FROM jobs USING quick, unnest($1::bigint[], $2::uuid[]) AS held (id, token)
             WHERE jobs.id = held.id AND jobs.lease_token = held.token
             RETURNING jobs.id, kind, key, attempts, worker
         ), freed AS (
             DELETE FROM job_keys USING gone
             WHERE job_keys.key = gone.key AND job_keys.job_id = gone.id
         )
         INSERT INTO job_history (id, kind, key, attempts, result, worker, ended_at)
         SELECT id, kind, key, attempts, 'done', worker, $3 FROM gone
         RETURNING id",
        &ids,
        &tokens,
        now,
    );
    Ok(finished.fetch_all(pool).await?.into_iter().map(JobId).collect())
}

/// What became of a job that is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits until then.
    At(Timestamp),
    /// Another one with its dedup word waits already and does its work.
    Superseded,
    /// That was the last attempt; it counts as failed.
    Exhausted,
}

/// Lets a job be tried again after a while, or fail when that was its last attempt.
///
/// # Errors
/// [`QueueError::LeaseLost`] when the job is not this worker's any more.
pub async fn retry(
    pool: &PgPool,
    claimed: &Claimed,
    error: &str,
    after: TimeDelta,
    now: Timestamp,
) -> Result<Retried, QueueError> {
    let mut transaction = pool.begin().await?;
    if claimed.attempts >= claimed.max_attempts {
        fail(&mut transaction, claimed, error, now).await?;
        transaction.commit().await?;
        return Ok(Retried::Exhausted);
    }
    let at = now + after;
    match release(&mut transaction, claimed, error, at).await {
        Err(QueueError::Database(refused)) if QueueError::is_unique_violation(&refused) => {
            transaction.rollback().await?;
            supersede(pool, claimed, error, at, now).await?;
            Ok(Retried::Superseded)
        }
        Err(error) => Err(error),
        Ok(()) => {
            transaction.commit().await?;
            Ok(Retried::At(at))
        }
    }
}

/// Fails a job for good; it stays visible in [`super::list_failed`], and whatever is set to stop on
/// a failure stops.
///
/// # Errors
/// [`QueueError::LeaseLost`] when the job is not this worker's any more: roll back.
pub async fn fail(
    connection: &mut PgConnection,
    claimed: &Claimed,
    error: &str,
    now: Timestamp,
) -> Result<(), QueueError> {
    end(connection, claimed, "failed", Some(error), now).await?;
    super::settings::stop_after_failure(connection, claimed, now).await
}

/// How long to wait before the next attempt: doubling from a second to ten minutes, and a part of it
/// by chance, so that what failed together does not come back together.
#[must_use]
pub fn backoff(attempts: u16) -> TimeDelta {
    let whole = 1_000_i64 << attempts.saturating_sub(1).min(10);
    let whole = whole.min(600_000);
    TimeDelta::milliseconds(rand::rng().random_range(whole / 2..=whole))
}

async fn end(
    connection: &mut PgConnection,
    claimed: &Claimed,
    result: &str,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), QueueError> {
    let ended = sqlx::query!(
        "WITH gone AS (
             DELETE FROM jobs WHERE id = $1 AND lease_token = $2
             RETURNING id, kind, key, attempts, worker, payload
         ), freed AS (
             DELETE FROM job_keys USING gone
             WHERE job_keys.key = gone.key AND job_keys.job_id = gone.id
         )
         INSERT INTO job_history (id, kind, key, attempts, result, error, worker, payload, ended_at)
         SELECT id, kind, key, attempts, $3, $4, worker,
             CASE WHEN $3 <> 'done' THEN payload END, $5
         FROM gone",
        claimed.id.0,
        claimed.token.0,
        result,
        error.map(|error| error.replace('\0', "\u{FFFD}")),
        now,
    )
    .execute(connection)
    .await?;
    match ended.rows_affected() {
        1 => Ok(()),
        _ => Err(QueueError::LeaseLost(claimed.id)),
    }
}

/// Gives the lease and the key back and sets the time of the next attempt.
async fn release(
    connection: &mut PgConnection,
    claimed: &Claimed,
    error: &str,
    at: Timestamp,
) -> Result<(), QueueError> {
    let released = sqlx::query!(
        "WITH freed AS (
             DELETE FROM job_keys USING jobs
             WHERE jobs.id = $1 AND jobs.lease_token = $2
                 AND job_keys.key = jobs.key AND job_keys.job_id = jobs.id
         )
         UPDATE jobs SET lease_token = NULL, lease_until = NULL, worker = NULL, run_at = $3,
             error = $4
         WHERE id = $1 AND lease_token = $2",
        claimed.id.0,
        claimed.token.0,
        at,
        error.replace('\0', "\u{FFFD}"),
    )
    .execute(connection)
    .await?;
    match released.rows_affected() {
        1 => Ok(()),
        _ => Err(QueueError::LeaseLost(claimed.id)),
    }
}

/// Leaves the work to the waiting job with the same dedup word, which takes over the pause and the
/// count of attempts.
async fn supersede(
    pool: &PgPool,
    claimed: &Claimed,
    error: &str,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), QueueError> {
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "UPDATE jobs SET run_at = greatest(run_at, $2),
             attempts = least(greatest(attempts, $3), max_attempts - 1)
         WHERE dedup = (SELECT dedup FROM jobs WHERE id = $1) AND lease_token IS NULL",
        claimed.id.0,
        at,
        i16::try_from(claimed.attempts).unwrap_or(i16::MAX),
    )
    .execute(&mut *transaction)
    .await?;
    end(&mut transaction, claimed, "superseded", Some(error), now).await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_to_ten_minutes_and_no_further() {
        assert!((500..=1_000).contains(&backoff(1).num_milliseconds()));
        assert!((4_000..=8_000).contains(&backoff(4).num_milliseconds()));
        assert!((300_000..=600_000).contains(&backoff(u16::MAX).num_milliseconds()));
    }
}

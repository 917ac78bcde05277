//! Keeping leases, and taking back those that ran out.

use chrono::TimeDelta;
use sqlx::{PgConnection, PgPool};

use super::QueueError;
use crate::model::{Job, JobId, Lane, LeaseToken, RepositoryId, Timestamp};

/// Renews leases and gives the tokens that still hold; the others are lost. One of the agent lane may last
/// longer than the others.
///
/// # Errors
/// When the database is away: nobody knows which leases hold.
pub async fn heartbeat(
    pool: &PgPool,
    leases: &[(JobId, LeaseToken)],
    now: Timestamp,
    [lease, agent_lease]: [TimeDelta; 2],
) -> Result<Vec<LeaseToken>, QueueError> {
    let ids: Vec<_> = leases.iter().map(|(id, _)| id.0).collect();
    let tokens: Vec<_> = leases.iter().map(|(_, token)| token.0).collect();
    let held = sqlx::query_scalar!(
        "UPDATE jobs SET lease_until = CASE jobs.lane WHEN $5 THEN $4::timestamptz ELSE $3::timestamptz END
         FROM unnest($1::bigint[], $2::uuid[]) AS held (id, token)
         WHERE jobs.id = held.id AND jobs.lease_token = held.token
         RETURNING lease_token AS \"token!\"",
        &ids,
        &tokens,
        now + lease,
        now + agent_lease,
        Lane::Agent.name(),
    );
    Ok(held.fetch_all(pool).await?.into_iter().map(LeaseToken).collect())
}

/// Makes jobs whose lease ran out claimable again, where they have attempts left; gives how many.
///
/// # Errors
/// When the database is away.
pub async fn rescue(pool: &PgPool, now: Timestamp) -> Result<u64, QueueError> {
    // Without its dedup word the job cannot meet one that was added meanwhile; running once more
    // than needed does no harm.
    let result = sqlx::query!(
        "WITH expired AS (
             SELECT id, key FROM jobs
             WHERE lease_token IS NOT NULL AND lease_until < $1 AND attempts < max_attempts
             FOR UPDATE SKIP LOCKED
         ), freed AS (
             DELETE FROM job_keys USING expired
             WHERE job_keys.key = expired.key AND job_keys.job_id = expired.id
         )
         UPDATE jobs SET lease_token = NULL, lease_until = NULL, worker = NULL, dedup = NULL,
             error = 'the lease ran out'
         FROM expired WHERE jobs.id = expired.id",
        now,
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// Takes back at once what workers of this name's beginning have under lease: for a process that
/// knows that those before it are dead. Gives how many jobs are claimable again.
///
/// # Errors
/// When the database is away.
pub async fn rescue_from(
    pool: &PgPool,
    worker_prefix: &str,
    now: Timestamp,
) -> Result<u64, QueueError> {
    sqlx::query!(
        "UPDATE jobs SET lease_until = $2
         WHERE lease_token IS NOT NULL AND lease_until >= $2 AND starts_with(worker, $1)",
        worker_prefix,
        now - TimeDelta::milliseconds(1),
    )
    .execute(pool)
    .await?;
    rescue(pool, now).await
}

/// A job whose worker died in its last attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostJob {
    /// Its row, which is in the history now.
    pub id: JobId,
    /// What it was to do.
    pub job: Job,
    /// For which repository it counted.
    pub repository: Option<RepositoryId>,
}

/// Takes the jobs out whose lease ran out in their last attempt: an agent's, above all.
///
/// Nobody else will hear of them: write what became of them in the same transaction.
///
/// # Errors
/// When the database is away.
pub async fn take_lost(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<LostJob>, QueueError> {
    let rows = sqlx::query!(
        "WITH expired AS (
             SELECT id FROM jobs
             WHERE lease_token IS NOT NULL AND lease_until < $1 AND attempts >= max_attempts
             FOR UPDATE SKIP LOCKED
         ), gone AS (
             DELETE FROM jobs USING expired WHERE jobs.id = expired.id RETURNING jobs.*
         ), freed AS (
             DELETE FROM job_keys USING gone
             WHERE job_keys.key = gone.key AND job_keys.job_id = gone.id
         ), kept AS (
             INSERT INTO job_history (id, kind, key, attempts, result, error, worker, payload,
                 ended_at)
             SELECT id, kind, key, attempts, 'lost', coalesce(error, 'the lease ran out'), worker,
                 payload, $1
             FROM gone
         )
         SELECT id, payload, repository_id FROM gone ORDER BY id",
        now,
    );
    let mut lost = Vec::new();
    for row in rows.fetch_all(connection).await? {
        let id = JobId(row.id);
        match serde_json::from_value(row.payload) {
            Ok(job) => {
                let repository = row.repository_id.map(RepositoryId);
                lost.push(LostJob { id, job, repository });
            }
            Err(error) => tracing::warn!(job.id = %id, %error, "lost a job of an unknown form"),
        }
    }
    Ok(lost)
}

/// Lets a lease run out now: what follows is what would follow if this worker had died.
pub(super) async fn expire(
    pool: &PgPool,
    id: JobId,
    token: LeaseToken,
    error: &str,
    now: Timestamp,
) -> Result<(), QueueError> {
    sqlx::query!(
        "UPDATE jobs SET lease_until = $3, error = $4 WHERE id = $1 AND lease_token = $2",
        id.0,
        token.0,
        now - TimeDelta::milliseconds(1),
        error.replace('\0', "\u{FFFD}"),
    )
    .execute(pool)
    .await?;
    Ok(())
}

//! Claiming jobs: the lease, the serial keys, the limits and the pauses in one statement.

use chrono::TimeDelta;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::QueueError;
use crate::model::{Job, JobId, Lane, LeaseToken, RepositoryId, Timestamp};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Of which lane.
    pub lane: Lane,
    /// How many at most. The agent lane gives one at a time, whatever this says.
    pub count: u32,
    /// Who asks, for people who look at the table.
    pub worker: &'a str,
    /// Now.
    pub now: Timestamp,
    /// For how long.
    pub lease: TimeDelta,
    /// How many may run at once; counts in the agent lane only.
    pub running: Running,
}

/// How many jobs of the agent lane may run at once, over all processes. What `queue_settings` say
/// can only lower it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// In all.
    pub total: u32,
    /// In one repository.
    pub per_repository: u32,
}

impl Default for Running {
    fn default() -> Self {
        Self { total: u32::MAX, per_repository: u32::MAX }
    }
}

/// A job under lease.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its row.
    pub id: JobId,
    /// What to do.
    pub job: Job,
    /// Its serial key.
    pub key: Option<String>,
    /// For which repository it counts.
    pub repository: Option<RepositoryId>,
    /// Which attempt this is, from 1.
    pub attempts: u16,
    /// How many there may be.
    pub max_attempts: u16,
    /// The fencing token.
    pub token: LeaseToken,
    /// Cancelled when the lease is lost: stop what runs, write nothing more.
    pub lost: CancellationToken,
}

/// Claims jobs that are due: the most urgent first, then by time, then by id.
///
/// Of each key only the first job in the order of ids is given, and none while another one of the
/// key is under lease. A job that waits for its first run in the future does not hold back later
/// ones; one that is to be tried again does.
///
/// # Errors
/// When the database is away.
pub async fn claim(pool: &PgPool, claim: &Claim<'_>) -> Result<Vec<Claimed>, QueueError> {
    if claim.count == 0 {
        return Ok(Vec::new());
    }
    let mut rows = match claim.lane {
        Lane::Agent => claim_within_limits(pool, claim).await?,
        Lane::Quick | Lane::Decide | Lane::Say | Lane::Sweep => claim_batch(pool, claim).await?,
    };
    rows.sort_by_key(|row| (row.priority, row.run_at, row.id));
    Ok(rows.into_iter().filter_map(Row::into_claimed).collect())
}

async fn claim_batch(pool: &PgPool, claim: &Claim<'_>) -> Result<Vec<Row>, QueueError> {
    // Scalar subqueries, not EXISTS, for what is asked per row: the planner cannot turn them into a
    // join over the whole table. The insert into job_keys is what makes two leases of one key
    // impossible; the conditions only spare it useless tries.
    let rows = sqlx::query_as!(
        Row,
        r#"WITH due AS (
               SELECT j.id, j.key FROM jobs j
               WHERE j.lane = $1 AND j.lease_token IS NULL AND j.run_at <= $2
                   AND NOT EXISTS (SELECT FROM queue_settings
                       WHERE paused AND scope IN ('', 'lane:' || $1))
                   AND (j.repository_id IS NULL OR 'repo:' || j.repository_id NOT IN
                       (SELECT scope FROM queue_settings WHERE paused))
                   AND (j.key IS NULL
                       OR (SELECT k.job_id FROM job_keys k WHERE k.key = j.key) IS NULL
                       AND j.id = (SELECT e.id FROM jobs e WHERE e.key = j.key
                               AND (e.lease_token IS NOT NULL OR e.attempts > 0 OR e.run_at <= $2)
                           ORDER BY e.id LIMIT 1))
               ORDER BY j.priority, j.run_at, j.id LIMIT $3
               FOR UPDATE OF j SKIP LOCKED
           ), held AS (
               INSERT INTO job_keys (key, job_id)
               SELECT key, id FROM due WHERE key IS NOT NULL ORDER BY key
               ON CONFLICT (key) DO NOTHING RETURNING job_id
           )
           UPDATE jobs SET lease_token = gen_random_uuid(), lease_until = $4,
               attempts = attempts + 1, worker = $5
           FROM due LEFT JOIN held ON held.job_id = due.id
           WHERE jobs.id = due.id AND (due.key IS NULL OR held.job_id IS NOT NULL)
           RETURNING jobs.id, jobs.payload, jobs.key, jobs.repository_id, jobs.priority, jobs.run_at,
               jobs.attempts, jobs.max_attempts, jobs.lease_token AS "token!""#,
        claim.lane.name(),
        claim.now,
        i64::from(claim.count),
        claim.now + claim.lease,
        claim.worker,
    );
    Ok(rows.fetch_all(pool).await?)
}

/// Claims one job of the agent lane. The count of what runs and the claim are one step, as only one
/// process at a time takes it.
async fn claim_within_limits(pool: &PgPool, claim: &Claim<'_>) -> Result<Vec<Row>, QueueError> {
    let mut transaction = pool.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('baton agent lane'))")
        .execute(&mut *transaction)
        .await?;
    let row = claim_one(&mut transaction, claim).await?;
    transaction.commit().await?;
    Ok(row.into_iter().collect())
}

async fn claim_one(
    connection: &mut PgConnection,
    claim: &Claim<'_>,
) -> Result<Option<Row>, QueueError> {
    // What was begun before goes first: it may run already, and wait for who goes on with it. Else, of jobs
    // of one priority the repository is next that runs fewest, and of those the one whose turn was
    // longest ago: one that enqueues much waits for itself.
    let row = sqlx::query_as!(
        Row,
        r#"WITH running AS MATERIALIZED (
               SELECT repository_id, share_names FROM jobs
               WHERE lane = $1 AND lease_token IS NOT NULL
           ), due AS (
               SELECT j.id, j.key, j.repository_id FROM jobs j
               WHERE j.lane = $1 AND j.lease_token IS NULL AND j.run_at <= $2
                   AND NOT EXISTS (SELECT FROM queue_settings
                       WHERE paused AND scope IN ('', 'lane:' || $1))
                   AND (SELECT count(*) FROM running) < least($5::bigint,
                       (SELECT min(max_running) FROM queue_settings
                        WHERE scope IN ('', 'lane:' || $1)))
                   AND (j.repository_id IS NULL
                       OR 'repo:' || j.repository_id NOT IN
                           (SELECT scope FROM queue_settings WHERE paused)
                       AND (SELECT count(*) FROM running r WHERE r.repository_id = j.repository_id)
                           < least($6::bigint, (SELECT max_running FROM queue_settings
                               WHERE scope = 'repo:' || j.repository_id)))
                   AND (j.key IS NULL
                       OR (SELECT k.job_id FROM job_keys k WHERE k.key = j.key) IS NULL
                       AND j.id = (SELECT e.id FROM jobs e WHERE e.key = j.key
                               AND (e.lease_token IS NOT NULL OR e.attempts > 0 OR e.run_at <= $2)
                           ORDER BY e.id LIMIT 1))
                   AND NOT EXISTS (SELECT FROM unnest(j.share_names, j.share_limits) AS share (name, most)
                       WHERE (SELECT count(*) FROM running r WHERE share.name = ANY (r.share_names))
                           >= share.most)
               ORDER BY j.priority, j.attempts = 0,
                   (SELECT count(*) FROM running r WHERE r.repository_id = j.repository_id),
                   (SELECT turn.at FROM queue_turns turn WHERE turn.repository_id = j.repository_id)
                       NULLS FIRST,
                   j.run_at, j.id LIMIT 1
               FOR UPDATE OF j SKIP LOCKED
           ), held AS (
               INSERT INTO job_keys (key, job_id) SELECT key, id FROM due WHERE key IS NOT NULL
               ON CONFLICT (key) DO NOTHING RETURNING job_id
           ), turn AS (
               INSERT INTO queue_turns (repository_id, at)
               SELECT repository_id, $2 FROM due WHERE repository_id IS NOT NULL
               ON CONFLICT (repository_id) DO UPDATE SET at = excluded.at
           )
           UPDATE jobs SET lease_token = gen_random_uuid(), lease_until = $3,
               attempts = attempts + 1, worker = $4
           FROM due LEFT JOIN held ON held.job_id = due.id
           WHERE jobs.id = due.id AND (due.key IS NULL OR held.job_id IS NOT NULL)
           RETURNING jobs.id, jobs.payload, jobs.key, jobs.repository_id, jobs.priority, jobs.run_at,
               jobs.attempts, jobs.max_attempts, jobs.lease_token AS "token!""#,
        claim.lane.name(),
        claim.now,
        claim.now + claim.lease,
        claim.worker,
        i64::from(claim.running.total),
        i64::from(claim.running.per_repository),
    );
    Ok(row.fetch_optional(connection).await?)
}

struct Row {
    id: i64,
    payload: serde_json::Value,
    key: Option<String>,
    repository_id: Option<i64>,
    priority: i16,
    run_at: Timestamp,
    attempts: i16,
    max_attempts: i16,
    token: uuid::Uuid,
}

impl Row {
    /// None for a job that this version does not know: its lease runs out and a newer one, which is
    /// being rolled out beside it, takes it.
    fn into_claimed(self) -> Option<Claimed> {
        let id = JobId(self.id);
        let job = serde_json::from_value(self.payload)
            .inspect_err(|error| tracing::warn!(job.id = %id, %error, "job of an unknown form"))
            .ok()?;
        Some(Claimed {
            id,
            job,
            key: self.key,
            repository: self.repository_id.map(RepositoryId),
            attempts: u16::try_from(self.attempts).unwrap_or(u16::MAX),
            max_attempts: u16::try_from(self.max_attempts).unwrap_or(1),
            token: LeaseToken(self.token),
            lost: CancellationToken::new(),
        })
    }
}

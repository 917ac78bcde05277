//! Adding jobs, in the transaction that causes them.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::{QueueError, Wake};
use crate::model::{Job, NewJob, Share};

/// Adds jobs; release the wake once the transaction is committed.
///
/// A job whose dedup word waits already, unclaimed, is not added; the waiting one comes forward if
/// the new one is earlier or more urgent, unless it is being tried again: a pause after a failure
/// holds. A running one does not hold a new one back, as it may have read the old state.
///
/// # Errors
/// When the database is away.
pub async fn enqueue(connection: &mut PgConnection, jobs: &[NewJob]) -> Result<Wake, QueueError> {
    let mut words = HashSet::new();
    let jobs: Vec<&NewJob> = jobs
        .iter()
        .filter(|job| job.dedup.as_ref().is_none_or(|word| words.insert(word)))
        .collect();
    if jobs.is_empty() {
        return Ok(Wake::none());
    }
    insert(connection, &jobs).await?;
    Ok(Wake::of(jobs.iter().map(|job| job.job.lane())))
}

async fn insert(connection: &mut PgConnection, jobs: &[&NewJob]) -> Result<(), QueueError> {
    let kinds: Vec<_> = jobs.iter().map(|job| job.job.kind().to_owned()).collect();
    let payloads: Vec<_> = jobs.iter().map(|job| payload(&job.job)).collect();
    let lanes: Vec<_> = jobs.iter().map(|job| job.job.lane().name().to_owned()).collect();
    let priorities: Vec<_> = jobs.iter().map(|job| job.priority).collect();
    let keys: Vec<_> = jobs.iter().map(|job| job.key.clone()).collect();
    let dedups: Vec<_> = jobs.iter().map(|job| job.dedup.clone()).collect();
    let repositories: Vec<_> = jobs.iter().map(|job| job.repository.map(|id| id.0)).collect();
    let times: Vec<_> = jobs.iter().map(|job| job.run_at).collect();
    let attempts: Vec<_> =
        jobs.iter().map(|job| i16::try_from(job.job.max_attempts()).unwrap_or(i16::MAX)).collect();
    let names: Vec<_> = jobs.iter().map(|job| joined(job, |share| share.name.clone())).collect();
    let limits: Vec<_> =
        jobs.iter().map(|job| joined(job, |share| share.most.to_string())).collect();
    // On conflict the waiting row is locked even where nothing changes: it cannot be claimed before
    // this transaction commits, so whoever runs it sees what this transaction wrote.
    sqlx::query!(
        "INSERT INTO jobs (kind, payload, lane, priority, key, dedup, repository_id, run_at,
             max_attempts, share_names, share_limits)
         SELECT kind, payload, lane, priority, key, dedup, repository_id, run_at, max_attempts,
             string_to_array(names, ' '), string_to_array(limits, ' ')::integer[]
         FROM unnest($1::text[], $2::jsonb[], $3::text[], $4::smallint[], $5::text[], $6::text[],
             $7::bigint[], $8::timestamptz[], $9::smallint[], $10::text[], $11::text[])
             WITH ORDINALITY AS new (kind, payload, lane, priority, key, dedup, repository_id, run_at,
             max_attempts, names, limits, place)
         ORDER BY place
         ON CONFLICT (dedup) WHERE lease_token IS NULL AND dedup IS NOT NULL DO UPDATE
         SET run_at = least(jobs.run_at, excluded.run_at),
             priority = least(jobs.priority, excluded.priority)
         WHERE jobs.attempts = 0
             AND (excluded.run_at < jobs.run_at OR excluded.priority < jobs.priority)",
        &kinds,
        &payloads,
        &lanes,
        &priorities,
        &keys as &[Option<String>],
        &dedups as &[Option<String>],
        &repositories as &[Option<i64>],
        &times,
        &attempts,
        &names,
        &limits,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// One word a share, with spaces between: an array of arrays of different lengths cannot be handed over.
fn joined(job: &NewJob, word: impl Fn(&Share) -> String) -> String {
    job.shares.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn payload(job: &Job) -> serde_json::Value {
    serde_json::to_value(job).expect("a job holds ids alone, which always serialize")
}

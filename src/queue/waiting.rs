//! Which jobs of the agent lane wait although they are due, and for what.

use sqlx::PgExecutor;

use super::{QueueError, Running};
use crate::model::{Job, Lack, Lane, Timestamp};

/// A job that is due and not claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingJob {
    /// What it would do.
    pub job: Job,
    /// The limit that holds it back, if one does.
    pub held_by: Option<Lack>,
}

/// Lists jobs of the agent lane that were due at a moment and wait, by the limits that claiming keeps to; a
/// paused queue waits for nothing.
///
/// # Errors
/// When the database is away.
pub async fn list_waiting(
    executor: impl PgExecutor<'_>,
    due: Timestamp,
    running: Running,
) -> Result<Vec<WaitingJob>, QueueError> {
    let rows = sqlx::query!(
        r#"WITH running AS MATERIALIZED (
               SELECT repository_id, share_names FROM jobs
               WHERE lane = $1 AND lease_token IS NOT NULL
           )
           SELECT j.payload, CASE
               WHEN (SELECT count(*) FROM running) >= least($3::bigint,
                   (SELECT min(max_running) FROM queue_settings WHERE scope IN ('', 'lane:' || $1)))
                   THEN 'server'
               WHEN (SELECT count(*) FROM running r WHERE r.repository_id = j.repository_id)
                   >= least($4::bigint, (SELECT max_running FROM queue_settings
                       WHERE scope = 'repo:' || j.repository_id)) THEN 'repo'
               ELSE (SELECT min(split_part(share.name, ':', 1))
                   FROM unnest(j.share_names, j.share_limits) AS share (name, most)
                   WHERE (SELECT count(*) FROM running r WHERE share.name = ANY (r.share_names))
                       >= share.most)
               END AS held_by
           FROM jobs j
           WHERE j.lane = $1 AND j.lease_token IS NULL AND j.run_at <= $2
               AND NOT EXISTS (SELECT FROM queue_settings WHERE paused
                   AND scope IN ('', 'lane:' || $1, 'repo:' || j.repository_id))
           ORDER BY j.id"#,
        Lane::Agent.name(),
        due,
        i64::from(running.total),
        i64::from(running.per_repository),
    );
    let rows = rows.fetch_all(executor).await?.into_iter();
    // A job that this version does not know is one of a newer one beside it.
    let known = rows.filter_map(|row| {
        let job = serde_json::from_value(row.payload).ok()?;
        Some(WaitingJob { job, held_by: row.held_by.as_deref().and_then(lack) })
    });
    Ok(known.collect())
}

fn lack(held_by: &str) -> Option<Lack> {
    match held_by {
        "server" => Some(Lack::ServerLimit),
        "repo" => Some(Lack::RepositoryLimit),
        "role" => Some(Lack::RoleLimit),
        "provider" => Some(Lack::ProviderLimit),
        _ => None,
    }
}

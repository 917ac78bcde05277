//! What the queue and the reports say, and what set-ups left.

use std::path::Path;

use chrono::TimeDelta;
use sqlx::PgPool;

use super::{Check, capacity::capacity};
use crate::{
    app::admin::LAG,
    db::reports,
    model::{Timestamp, size},
    queue::{self, FailedJob},
    workspace::layers,
};

/// How many are told one by one.
const TOLD: i64 = 5;

/// Looks at pauses, reports and failed jobs.
pub(super) async fn all(pool: &PgPool, now: Timestamp, tell: &mut (dyn FnMut(Check) + Send)) {
    let away =
        |name, error: anyhow::Error| Check::fails(name, format!("{error:#}"), "see what it says");
    tell(pause(pool).await.unwrap_or_else(|error| away("queue", error)));
    tell(unsaid(pool, now).await.unwrap_or_else(|error| away("reports", error)));
    tell(failed(pool, now).await.unwrap_or_else(|error| away("jobs", error)));
    tell(capacity(pool).await.unwrap_or_else(|error| away("capacity", error)));
}

async fn pause(pool: &PgPool) -> anyhow::Result<Check> {
    Ok(match queue::paused(pool, None).await? {
        None => Check::holds("queue", "not paused"),
        Some(reason) => Check::fails(
            "queue",
            format!("paused, so that nothing starts: {reason}"),
            "run baton resume when the reason is gone",
        ),
    })
}

async fn unsaid(pool: &PgPool, now: Timestamp) -> anyhow::Result<Check> {
    const NAME: &str = "reports";
    let count = reports::count_lagging_since(pool, now - LAG).await?;
    if count == 0 {
        return Ok(Check::holds(NAME, "GitHub shows what it should"));
    }
    let mut seen = format!("{count} unsaid on GitHub for more than {} minutes", LAG.num_minutes());
    // Those that wait for a later try are meant too.
    for id in reports::list_lagging(pool, now + TimeDelta::days(365), TOLD).await? {
        let report = reports::load(pool, id).await?;
        let why = report.error.unwrap_or_else(|| "not tried".to_owned());
        seen.push_str(&format!("\n{} of task {}: {why}", report.kind.key().kind, report.task));
    }
    let remedy = "a running server tries again by itself: see that baton serve runs and that the GitHub \
                  checks below hold";
    Ok(Check::fails(NAME, seen, remedy))
}

async fn failed(pool: &PgPool, now: Timestamp) -> anyhow::Result<Check> {
    const NAME: &str = "jobs";
    let failed = queue::list_failed(pool, now - TimeDelta::days(1), TOLD).await?;
    let Some(newest) = failed.first() else {
        return Ok(Check::holds(NAME, "none failed in the last day"));
    };
    let line = |job: &FailedJob| {
        let error = job.error.as_deref().unwrap_or("no reason noted");
        format!("{} {} at {}: {error}", job.id, job.kind, job.ended_at.format("%H:%M UTC"))
    };
    let lines: Vec<String> = failed.iter().map(line).collect();
    let remedy = format!("when its reason is gone, run baton requeue {}", newest.id);
    Ok(Check::fails(NAME, format!("failed in the last day:\n{}", lines.join("\n")), remedy))
}

/// What set-ups have brought, and since when nobody has used it; never wrong by itself.
pub(super) fn layers(data: &Path) -> Check {
    const NAME: &str = "set-ups";
    let kept = match layers::list(&data.join("layers")) {
        Ok(kept) if kept.is_empty() => return Check::holds(NAME, "none was needed yet"),
        Ok(kept) => kept,
        Err(error) => return Check::skipped(NAME, format!("cannot be told: {error}")),
    };
    let bytes: u64 = kept.iter().map(|layer| layer.bytes).sum();
    let oldest = kept.first().map(|layer| layer.used.format("%Y-%m-%d %H:%M UTC").to_string());
    let seen = format!(
        "{} kept, {}; the longest unused since {}",
        kept.len(),
        size(bytes),
        oldest.unwrap_or_default()
    );
    Check::holds(NAME, seen)
}

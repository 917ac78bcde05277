//! A stored delivery becomes events.

use super::{Failure, Parts};
use crate::{
    db::{
        deliveries::{self, DeliveryState},
        events, installations, repositories,
    },
    event::{self, DeliveryHeaders, InstallationState, Parsed, SeenRepository, Verdict},
    model::{DeliveryGuid, Job, NewEvent, NewJob, Repository, Timestamp, What},
    queue::{self, Claimed, Wake},
};

/// Reads one delivery and saves what it tells.
pub(super) async fn delivery(
    parts: &Parts,
    claimed: &Claimed,
    guid: DeliveryGuid,
) -> Result<(), Failure> {
    let stored = deliveries::load_body(&parts.pool, guid).await?;
    let headers = DeliveryHeaders { event: stored.event, guid, received_at: stored.received_at };
    let parsed = event::parse(&parts.identity, &headers, &stored.body);
    let now = parts.clock.now();
    let mut tx = parts.pool.begin().await?;
    let mut wake = Wake::none();
    match parsed {
        Ok(parsed) => {
            see(&mut tx, &parsed, now).await?;
            let (state, reason) = match parsed.verdict {
                Verdict::Events(found) => {
                    wake = save(&mut tx, &found, now).await?;
                    (DeliveryState::Parsed, None)
                }
                Verdict::Ignored(reason) => (DeliveryState::Ignored, Some(reason.to_string())),
                Verdict::Own => (DeliveryState::Own, None),
            };
            deliveries::mark(&mut *tx, guid, state, reason.as_deref()).await?;
        }
        Err(error) => {
            tracing::warn!(delivery.id = %guid, event = headers.event, %error, "a delivery could not be read");
            deliveries::mark(&mut *tx, guid, DeliveryState::Failed, Some(&error.to_string()))
                .await?;
        }
    }
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// Policy and the off switch of a known repository stay as they are.
fn repository(seen: &SeenRepository) -> Repository {
    Repository {
        id: seen.id,
        installation: seen.installation,
        name: seen.name.clone(),
        default_branch: seen.default_branch.clone(),
        private: seen.private,
        off: false,
        policy_error: None,
    }
}

/// Keeps what the delivery tells of installation and repositories by the way.
async fn see(tx: &mut sqlx::PgConnection, parsed: &Parsed, now: Timestamp) -> Result<(), Failure> {
    if let Some(seen) = &parsed.installation {
        installations::upsert(&mut *tx, seen.id, seen.account_id, &seen.account_login).await?;
        match seen.state {
            None => {}
            Some(InstallationState::Active) => {
                installations::mark_suspended(&mut *tx, seen.id, None).await?;
            }
            Some(InstallationState::Suspended) => {
                installations::mark_suspended(&mut *tx, seen.id, Some(now)).await?;
            }
            Some(InstallationState::Deleted) => {
                installations::mark_deleted(&mut *tx, seen.id, now).await?;
            }
        }
    }
    if let Some(seen) = &parsed.repository {
        repositories::upsert(&mut *tx, &repository(seen)).await?;
    }
    if let Verdict::Events(events) = &parsed.verdict {
        for event in events.iter().filter(|event| event.what == What::RepositoryRemoved) {
            repositories::mark_removed(&mut *tx, event.repository, now).await?;
        }
    }
    Ok(())
}

/// Saves events that are new, each with the job that routes it.
pub(super) async fn save(
    tx: &mut sqlx::PgConnection,
    found: &[NewEvent],
    now: Timestamp,
) -> Result<Wake, Failure> {
    let mut jobs = Vec::new();
    for event in found {
        if let Some(id) = events::insert(&mut *tx, event).await? {
            jobs.push(NewJob {
                job: Job::Route { event: id },
                key: None,
                dedup: None,
                priority: 0,
                repository: Some(event.repository),
                shares: Vec::new(),
                run_at: now,
            });
        }
    }
    Ok(queue::enqueue(tx, &jobs).await?)
}

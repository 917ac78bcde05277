//! The leases that one runner holds, and keeping them while its handlers run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Claimed, QueueError, heartbeat};
use crate::model::{JobId, LeaseToken, Timestamp};

/// The leases of one runner.
#[derive(Debug, Default)]
pub(super) struct Held {
    leases: Mutex<HashMap<LeaseToken, Lease>>,
}

#[derive(Debug)]
struct Lease {
    job: JobId,
    lost: CancellationToken,
    renewed_at: Timestamp,
}

impl Held {
    pub fn add(&self, claimed: &Claimed, now: Timestamp) {
        let lease = Lease { job: claimed.id, lost: claimed.lost.clone(), renewed_at: now };
        self.leases().insert(claimed.token, lease);
    }

    pub fn remove(&self, token: LeaseToken) {
        self.leases().remove(&token);
    }

    /// Renews all leases once. Those that the database no longer knows are lost at once; when it does
    /// not answer, those that were not renewed for `give_up` are: before another worker could have
    /// them.
    pub async fn renew(
        &self,
        pool: &PgPool,
        now: Timestamp,
        leases: [TimeDelta; 2],
        give_up: TimeDelta,
        patience: Duration,
    ) {
        let asked: Vec<_> = self.leases().iter().map(|(token, it)| (it.job, *token)).collect();
        if asked.is_empty() {
            return;
        }
        let answer = tokio::time::timeout(patience, heartbeat(pool, &asked, now, leases)).await;
        match answer {
            Ok(Ok(holding)) => self.renewed(&asked, &holding, now),
            Ok(Err(error)) => self.unanswered(Some(&error), now, give_up),
            Err(_) => self.unanswered(None, now, give_up),
        }
    }

    fn renewed(&self, asked: &[(JobId, LeaseToken)], holding: &[LeaseToken], now: Timestamp) {
        let mut leases = self.leases();
        for (job, token) in asked {
            let Some(lease) = leases.get_mut(token) else { continue };
            if holding.contains(token) {
                lease.renewed_at = now;
            } else {
                tracing::warn!(job.id = %job, "the lease was lost, its work is stopped");
                lease.lost.cancel();
            }
        }
    }

    fn unanswered(&self, error: Option<&QueueError>, now: Timestamp, give_up: TimeDelta) {
        let error = error.map(ToString::to_string).unwrap_or_else(|| "no answer in time".into());
        tracing::warn!(%error, "leases could not be renewed");
        for lease in self.leases().values().filter(|it| now - it.renewed_at >= give_up) {
            tracing::warn!(job.id = %lease.job, "the lease can be another's soon, its work is stopped");
            lease.lost.cancel();
        }
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<LeaseToken, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! `baton requeue JOB`: a job that failed for good is tried again.

use clap::Args;

use super::{database::At, output};
use crate::{model::JobId, queue};

/// Tries a job again that failed for good.
#[derive(Debug, Args)]
pub(super) struct Requeue {
    /// The job's id, as `baton doctor` lists it
    job: i64,
}

impl Requeue {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let mut tx = opened.pool.begin().await?;
        let now = opened.clock.now();
        let wake = queue::enqueue_failed_again(&mut tx, JobId(self.job), now).await?;
        tx.commit().await?;
        // A server in another process looks by itself within a second.
        let found = wake.is_some();
        drop(wake);
        opened.close().await;
        if !found {
            anyhow::bail!("no failed job has the id {}; baton doctor lists them", self.job);
        }
        output::done(at.json, "The job waits again, with all its attempts.");
        Ok(0)
    }
}

//! What the replicas of one database tell each other now and then: that they are alive, and which
//! installations GitHub wants to be left alone.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    db::{DbError, installations, nodes},
    pipeline::{Parts, Pipeline},
};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// Tells and listens until it is told to stop.
pub(super) async fn replicas(pipeline: Pipeline, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = once(pipeline.parts()).await {
            tracing::warn!(%error, "the other replicas could not be told");
        }
    }
}

async fn once(parts: &Parts) -> Result<(), DbError> {
    let now = parts.clock.now();
    nodes::heartbeat(&parts.pool, parts.settings.node, now).await?;
    for (installation, until) in parts.github.take_pauses() {
        installations::mark_paused(&parts.pool, installation, until, false).await?;
    }
    for (installation, until) in installations::list_paused(&parts.pool, now).await? {
        parts.github.observe_pause(installation, until);
    }
    Ok(())
}

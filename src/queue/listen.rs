//! What tells the processes of one database of each other's work.

use std::time::Duration;

use sqlx::{PgPool, postgres::PgListener};

use super::{Wakes, wake::CHANNEL};
use crate::model::Lane;

/// Between two NOTIFYs of one process: committing one takes a lock that all databases of the server
/// share, so there is one a window instead of one a transaction.
const WINDOW: Duration = Duration::from_millis(25);

/// How long to wait before the connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Passes on to other processes what was enqueued here, for ever.
pub(super) async fn tell(pool: PgPool, wakes: Wakes) {
    loop {
        wakes.dirty().await;
        if let Err(error) = wakes.flush(&pool).await {
            tracing::warn!(%error, "other processes were not told of work, they will poll");
        }
        tokio::time::sleep(WINDOW).await;
    }
}

/// Takes in what other processes enqueued, for ever.
pub(super) async fn listen(pool: PgPool, wakes: Wakes) {
    loop {
        if let Err(error) = hear(&pool, &wakes).await {
            tracing::warn!(%error, "not hearing of other processes' work, polling until then");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn hear(pool: &PgPool, wakes: &Wakes) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // Whatever was told while nobody listened.
    wakes.wake_here(Lane::ALL);
    loop {
        match listener.try_recv().await? {
            Some(notification) => wakes.hear(notification.payload()),
            // The connection was lost, and with it what was told meanwhile.
            None => wakes.wake_here(Lane::ALL),
        }
    }
}

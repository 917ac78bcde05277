//! What makes a follower look again: the database tells of lines and of work. A slow look is the net, for
//! notices are lost with their connection, and some poolers pass none.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification},
};

use crate::{
    db::agent_lines,
    model::{AgentId, Lane},
    queue,
};

/// What was told.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// Lines of these agents were stored.
    Lines(BTreeSet<AgentId>),
    /// Something is to be said on GitHub: a task may have come to rest.
    Word,
    /// Nothing was heard for a while, or something may have been missed.
    Anything,
}

/// Hears what the database tells.
pub struct News {
    listener: PgListener,
    net: Duration,
}

impl News {
    /// Listens from now on, and waits for so long before anything is thought possible.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn listen(pool: &PgPool, net: Duration) -> Result<Self, sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen_all([agent_lines::CHANNEL, queue::CHANNEL]).await?;
        Ok(Self { listener, net })
    }

    /// Waits for the next news.
    pub async fn next(&mut self) -> Told {
        let over = tokio::time::sleep(self.net);
        tokio::pin!(over);
        loop {
            let heard = tokio::select! {
                heard = self.listener.try_recv() => heard,
                () = &mut over => return Told::Anything,
            };
            match heard {
                Ok(Some(notification)) => {
                    if let Some(told) = read(&notification) {
                        return told;
                    }
                }
                // The connection was lost, and with it what was told meanwhile.
                Ok(None) => return Told::Anything,
                Err(_) => {
                    // The next look says why, if it is not over by then.
                    over.await;
                    return Told::Anything;
                }
            }
        }
    }
}

/// What a notice means to a follower; none where it is of no interest.
fn read(notification: &PgNotification) -> Option<Told> {
    let payload = notification.payload();
    if notification.channel() == agent_lines::CHANNEL {
        return Some(agent_lines::told(payload).map_or(Told::Anything, Told::Lines));
    }
    queue::tells_of(payload, Lane::Say).then_some(Told::Word)
}

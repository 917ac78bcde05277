//! Where accepted deliveries go: one transaction that stores them and enqueues their reading.

use std::future::Future;

use sqlx::PgPool;

use crate::{
    db::{DbError, deliveries},
    model::{Job, NewJob},
    queue::{self, QueueError, Wakes},
};

pub use deliveries::NewDelivery;

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused a delivery of the batch: the others may still be stored by themselves.
    #[error("store the deliveries: the database refused one")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database is away: GitHub is told to come again, and a sweep will ask for what it missed.
    #[error("store the deliveries: the database is away")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the writer needs of a database.
pub trait Store: Send + Sync + 'static {
    /// Stores all of them durably, with one job each, or none. A GUID that is known already is left
    /// as it is and gets no job.
    fn accept(&self, batch: &[NewDelivery]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The real one.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
    wakes: Wakes,
}

impl PostgresStore {
    /// Stores through this pool, and wakes these workers.
    #[must_use]
    pub fn new(pool: PgPool, wakes: Wakes) -> Self {
        Self { pool, wakes }
    }
}

impl Store for PostgresStore {
    async fn accept(&self, batch: &[NewDelivery]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await.map_err(StoreError::of)?;
        let fresh = deliveries::insert_batch(&mut *transaction, batch).await?;
        // One GUID can stand twice in a batch; what is fresh, is named once.
        let first = |guid| batch.iter().find(|delivery| delivery.guid == guid);
        let jobs: Vec<NewJob> = fresh.into_iter().filter_map(first).map(parse_job).collect();
        let wake = queue::enqueue(&mut transaction, &jobs).await?;
        transaction.commit().await.map_err(StoreError::of)?;
        wake.release(&self.wakes);
        Ok(())
    }
}

impl StoreError {
    fn of(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // Classes 22 and 23: the data is at fault, and not the server.
        if code.is_some_and(|code| code.starts_with("22") || code.starts_with("23")) {
            return Self::Refused(error.into());
        }
        Self::Away(error.into())
    }
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Database(error) => Self::of(error),
            other => Self::Away(other.into()),
        }
    }
}

impl From<QueueError> for StoreError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Database(error) => Self::of(error),
            other @ QueueError::LeaseLost(_) => Self::Away(other.into()),
        }
    }
}

fn parse_job(delivery: &NewDelivery) -> NewJob {
    NewJob {
        job: Job::ParseDelivery { guid: delivery.guid },
        key: None,
        dedup: None,
        priority: 0,
        repository: None,
        shares: Vec::new(),
        run_at: delivery.received_at,
    }
}

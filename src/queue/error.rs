//! What can go wrong with the queue.

use crate::model::JobId;

/// Why the queue did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The job is not this worker's any more: roll back, write nothing, stop working on it.
    #[error("lease of job {0} was lost")]
    LeaseLost(JobId),
    /// The database refused or is away: roll back and try again later.
    #[error("the queue's database did not do it")]
    Database(#[from] sqlx::Error),
}

impl QueueError {
    /// Whether a unique index refused.
    pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
        error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
    }
}

//! What can go wrong with the database, by what the caller can do about it.

/// Why a statement did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The row is not there: whoever named it was wrong, or it is past its retention.
    #[error("{what} {id} is not in the database")]
    Absent {
        /// What kind of row.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// Somebody else was faster: roll back, load and decide again.
    #[error("{what} {id} has changed meanwhile")]
    Stale {
        /// What kind of row.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// What is stored is of no form that this version knows.
    #[error("stored {what} cannot be read")]
    Unreadable {
        /// Which column.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database refused or is away: roll back and try again later.
    #[error("the database did not do it")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database's tables cannot be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl DbError {
    pub(super) fn absent(what: &'static str, id: impl ToString) -> Self {
        Self::Absent { what, id: id.to_string() }
    }

    pub(super) fn unreadable(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unreadable { what, source: source.into() }
    }
}

/// Asserts that a guarded statement touched exactly the one row it named.
pub(super) fn one_row(
    result: &sqlx::postgres::PgQueryResult,
    what: &'static str,
    id: impl ToString,
) -> Result<(), DbError> {
    match result.rows_affected() {
        1 => Ok(()),
        _ => Err(DbError::Stale { what, id: id.to_string() }),
    }
}

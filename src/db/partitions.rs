//! Partitions by day: made ahead at the start and by the retention sweep, dropped whole.

use sqlx::PgExecutor;

use super::DbError;
use crate::model::Timestamp;

/// Days that partitions are made ahead. A sweep a day is enough; a week of them may fail.
const AHEAD: i32 = 7;

/// The tables whose days can be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioned {
    /// Headers and bodies of deliveries.
    DeliveryBodies,
    /// What agents printed.
    AgentLines,
    /// Jobs that ended.
    JobHistory,
}

impl Partitioned {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::DeliveryBodies, Self::AgentLines, Self::JobHistory];

    fn table(self) -> &'static str {
        match self {
            Self::DeliveryBodies => "delivery_bodies",
            Self::AgentLines => "agent_lines",
            Self::JobHistory => "job_history",
        }
    }
}

/// Makes the partitions of this day and the next ones; gives the number of new ones.
///
/// # Errors
/// When the database is away, or the tables were locked for two seconds.
pub async fn ensure(executor: impl PgExecutor<'_>, now: Timestamp) -> Result<i32, DbError> {
    let made = sqlx::query_scalar!(
        r#"SELECT ensure_partitions($1, $2) AS "made!""#,
        now.date_naive(),
        AHEAD
    );
    Ok(made.fetch_one(executor).await?)
}

/// Drops the days of a table before one moment's day; gives the number of dropped partitions.
///
/// # Errors
/// When the database is away, or the table was locked for two seconds.
pub async fn drop_before(
    executor: impl PgExecutor<'_>,
    table: Partitioned,
    before: Timestamp,
) -> Result<i32, DbError> {
    let dropped = sqlx::query_scalar!(
        r#"SELECT drop_partitions($1, $2) AS "dropped!""#,
        table.table(),
        before.date_naive()
    );
    Ok(dropped.fetch_one(executor).await?)
}

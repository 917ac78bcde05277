//! Opening the pool and bringing the tables up to date.

use std::{path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    Connection, PgPool,
    migrate::{Migrate, MigrateError},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::DbError;

/// Which database, and how much of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// Connections at most.
    pub max_connections: u32,
}

/// Where a database is.
#[derive(Debug, Clone)]
pub enum Address {
    /// `DATABASE_URL`; it may hold a password.
    Url(SecretString),
    /// A Unix socket in this folder: what the private server has. Also much faster than TCP with
    /// sqlx 0.9.0, which does not set `TCP_NODELAY` (transact-rs/sqlx #4335).
    Socket {
        /// The socket's folder.
        folder: PathBuf,
        /// The database role.
        user: String,
        /// The database's name.
        database: String,
    },
}

/// A connection that was used so lately is taken to be alive.
const FRESH: Duration = Duration::from_secs(5);

/// Opens a pool; fails when no connection can be made.
///
/// # Errors
/// When the address is no valid one, or nobody answers there within ten seconds.
pub async fn connect(settings: &Settings) -> Result<PgPool, DbError> {
    // A transaction that somebody forgot pins old rows for everybody (rule 4 of performance).
    let options = options(&settings.address)?
        .application_name("baton")
        .options([("idle_in_transaction_session_timeout", "60s")]);
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        // A question on every use would double the round trips; one that was used just now is alive.
        .test_before_acquire(false)
        .before_acquire(|connection, seen| {
            Box::pin(async move {
                if seen.idle_for < FRESH {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
        .connect_with(options)
        .await?)
}

fn options(address: &Address) -> Result<PgConnectOptions, sqlx::Error> {
    match address {
        Address::Url(url) => PgConnectOptions::from_str(url.expose_secret()),
        Address::Socket { folder, user, database } => Ok(PgConnectOptions::new_without_pgpass()
            .socket(folder)
            .username(user)
            .database(database)),
    }
}

/// Brings the tables up to date; a second server that starts at the same moment waits.
///
/// # Errors
/// When a migration fails, or the database was made by a newer Baton.
pub async fn migrate(pool: &PgPool) -> Result<(), DbError> {
    Ok(sqlx::migrate!().run(pool).await?)
}

/// What a database is, as found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The major version of its Postgres.
    pub server: u32,
    /// Changes to the tables that this Baton knows and the database does not have.
    pub lacking: usize,
    /// Changes that the database has and this Baton does not know: a newer one made them.
    pub unknown: usize,
}

/// Looks what a database is; changes nothing.
///
/// # Errors
/// When the database is away.
pub async fn look(pool: &PgPool) -> Result<Found, DbError> {
    let mut connection = pool.acquire().await?;
    let server = connection.server_version_num().unwrap_or_default() / 10_000;
    let applied = match connection.list_applied_migrations(MIGRATIONS).await {
        Ok(applied) => applied,
        Err(MigrateError::Execute(error)) if is_absent(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let known: Vec<i64> = sqlx::migrate!().iter().map(|migration| migration.version).collect();
    let has = |version: i64| applied.iter().any(|one| one.version == version);
    Ok(Found {
        server,
        lacking: known.iter().filter(|version| !has(**version)).count(),
        unknown: applied.iter().filter(|one| !known.contains(&one.version)).count(),
    })
}

/// Where sqlx keeps what it has applied.
const MIGRATIONS: &str = "_sqlx_migrations";

/// `undefined_table` of Postgres's error codes.
fn is_absent(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("42P01")
}

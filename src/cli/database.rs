//! Reaching the database that a server uses, from a command beside it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, bail};
use sqlx::PgPool;

use crate::{app, clock::Clock, config::Config, embedded::Embedded};

/// Where to look, and how to print.
pub(super) struct At {
    pub config: PathBuf,
    pub json: bool,
}

/// An open database; a private server that was started for it ends with it.
pub(super) struct Opened {
    pub pool: PgPool,
    pub clock: Clock,
    embedded: Option<Embedded>,
}

impl At {
    /// The text of `baton.toml`, if there is one.
    pub fn file(&self) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(&self.config) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", self.config.display())),
        }
    }

    /// The whole configuration.
    pub fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::read(environment(), self.file()?.as_deref())?)
    }

    /// The server's database, for commands that need nothing else of its configuration.
    pub async fn open(&self) -> anyhow::Result<Opened> {
        let place = app::Place::read(&environment(), self.file()?.as_deref())?;
        if place.database_url.is_none() && !place.data.join("postgres").exists() {
            bail!(
                "there is no database yet: {} holds none and DATABASE_URL is not set. Run baton serve first, \
                 or name the folder with BATON_DATA",
                place.data.display()
            );
        }
        let (pool, embedded) = app::open_database(&place).await?;
        Ok(Opened { pool, clock: Clock::system(), embedded })
    }
}

impl Opened {
    /// Closes the connections, and the private server if this command started it.
    pub async fn close(self) {
        self.pool.close().await;
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            eprintln!("baton: the private Postgres did not stop: {error}");
        }
    }
}

/// The process's own.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars().collect()
}

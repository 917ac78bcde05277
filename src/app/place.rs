//! Which database a server uses, and opening it.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use sqlx::PgPool;

use crate::{
    config::{Mistakes, Source},
    db::{self, Address},
    embedded::{self, Embedded, Identity, USER},
};

/// Where state is: all that commands beside a server need to know of its configuration.
#[derive(Debug, Clone)]
pub struct Place {
    /// The data folder.
    pub data: PathBuf,
    /// The database; the private one in the data folder where none is named.
    pub database_url: Option<String>,
}

impl Place {
    /// Reads just this from the environment over the text of `baton.toml`.
    ///
    /// # Errors
    /// When the file is no TOML, or the one with the database's address cannot be taken.
    pub fn read(
        environment: &BTreeMap<String, String>,
        file: Option<&str>,
    ) -> Result<Self, Mistakes> {
        let mut source = Source::new(environment.clone(), file);
        let in_file: Option<String> = source.section("data");
        let data = source.variable("BATON_DATA").or(in_file).unwrap_or_else(|| ".baton".to_owned());
        let database_url = source.database_url();
        // A database that is named wrongly is not another database.
        source.so_far()?;
        Ok(Self { data: PathBuf::from(data), database_url })
    }
}

/// Makes the data folder: others may pass through it (agents and the private Postgres run under other
/// accounts), not look into it.
///
/// # Errors
/// When the folder cannot be made or is not Baton's.
pub(super) fn prepare(data: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(data)
        .with_context(|| format!("making the data folder {}", data.display()))?;
    let data = fs::canonicalize(data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o711))?;
    Ok(data)
}

/// How often a folder that is taken is tried again.
const ATTEMPTS: u32 = 20;
/// How long after each time.
const AGAIN: Duration = Duration::from_millis(100);

/// Takes the data folder for this process: two servers on one would delete each other's workspaces.
///
/// The kernel lets go of it when the process dies, however it dies. So whoever has it knows that
/// every earlier server of this folder is dead. A program that one was just starting when it died holds it for
/// a moment longer, so it is waited for a little.
///
/// # Errors
/// When another server has it.
pub(super) async fn take(data: &Path) -> anyhow::Result<File> {
    let data = prepare(data)?;
    let path = data.join("server.lock");
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).with_context(|| format!("opening {}", path.display()))?;
    let mut locked = file.try_lock();
    for _ in 0..ATTEMPTS {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        tokio::time::sleep(AGAIN).await;
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another baton serve runs on the data folder {}: stop that one first, or name another folder with \
             BATON_DATA",
            data.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// How many connections one Baton holds: workers, heartbeats and the webhook's writers.
const CONNECTIONS: u32 = 24;

/// Opens the database, starting the private server where none is named, and brings it up to date.
///
/// # Errors
/// When it cannot be reached, or there are no Postgres programs: the message has the command that
/// installs them.
pub async fn open_database(place: &Place) -> anyhow::Result<(PgPool, Option<Embedded>)> {
    let (pool, embedded) = connect(place).await?;
    db::migrate(&pool).await?;
    Ok((pool, embedded))
}

/// The same, and leaves the tables as they are.
pub(super) async fn connect(place: &Place) -> anyhow::Result<(PgPool, Option<Embedded>)> {
    let (address, embedded) = match &place.database_url {
        Some(url) => (Address::Url(url.clone().into()), None),
        None => {
            let settings = embedded::Settings {
                folder: prepare(&place.data)?.join("postgres"),
                identity: Identity::of_server(),
                durable: true,
                max_connections: 4 * CONNECTIONS,
            };
            let embedded =
                embedded::start(&settings).await.context("starting the private Postgres")?;
            let address = Address::Socket {
                folder: embedded.socket_folder().to_owned(),
                user: USER.to_owned(),
                database: "postgres".to_owned(),
            };
            (address, Some(embedded))
        }
    };
    let settings = db::Settings { address, max_connections: CONNECTIONS };
    let pool = db::connect(&settings).await.context("connecting to the database")?;
    Ok((pool, embedded))
}

//! A database of its own for each test, cloned from a template on a server that all tests share.
//!
//! The first test that needs it starts the server, in a folder under the temp folder that belongs to
//! this checkout. A watcher, which is this same test binary, stops it and deletes the folder once
//! nobody has used it for a while: nothing is left behind, also after a test that was killed.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use baton::{
    db::{self, Address},
    embedded::{self, Embedded, Identity},
};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, migrate::Migrator};
use tempfile::TempDir;
use uuid::Uuid;

static MIGRATOR: Migrator = sqlx::migrate!();

/// Names the folder that the watcher looks after.
const WATCHED: &str = "BATON_TEST_SERVER";

/// Seconds without a user after which the server is stopped.
const UNUSED: u32 = 20;

/// One test's own database; dropped with it.
pub struct TestDatabase {
    /// A pool on it.
    pub pool: PgPool,
    name: String,
    socket: PathBuf,
    _server: Embedded,
}

impl TestDatabase {
    /// Makes a database with all tables, empty.
    pub async fn new() -> Self {
        Self::with_connections(20).await
    }

    /// The same with a larger or smaller pool.
    pub async fn with_connections(max_connections: u32) -> Self {
        let server = embedded::start(&settings()).await.unwrap();
        watch_over(&settings().folder);
        let socket = server.socket_folder().to_owned();
        let name = format!("test_{}", Uuid::new_v4().simple());
        let template = template(&socket).await;
        let mut admin = connection(&socket, "postgres").await;
        execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        admin.close().await.unwrap();
        let address = address(&socket, &name);
        let pool = db::connect(&db::Settings { address, max_connections }).await.unwrap();
        Self { pool, name, socket, _server: server }
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        address(&self.socket, &self.name)
    }

    /// The same as `DATABASE_URL` has it.
    pub fn url(&self) -> String {
        format!("postgres:///{}?host={}&user={}", self.name, self.socket.display(), embedded::USER)
    }

    /// Opens another pool on it: another process, as far as the database can tell.
    pub async fn another_pool(&self) -> PgPool {
        let settings = db::Settings { address: self.address(), max_connections: 10 };
        db::connect(&settings).await.unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (socket, name) = (self.socket.clone(), self.name.clone());
        // A test that failed drops this in the midst of its runtime: hence a thread with another.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut admin = connection(&socket, "postgres").await;
                execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
            });
        });
        assert!(dropping.join().is_ok() || std::thread::panicking(), "the database stays behind");
    }
}

/// A folder for a server that one test has for itself, and settings for it. Whatever still runs there
/// at the end is ended, also when the test fails.
pub struct OwnServer {
    /// Its settings: quick instead of durable.
    pub settings: embedded::Settings,
    /// The parent of the server's folder.
    pub folder: TempDir,
}

impl OwnServer {
    /// Makes the folder, such that the server's user can enter it too; starts nothing.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (identity, durable, max_connections) = (Identity::of_server(), false, 50);
        let server = folder.path().join("server");
        Self {
            settings: embedded::Settings { folder: server, identity, durable, max_connections },
            folder,
        }
    }

    /// The number in the server's pid file.
    pub fn pid(&self) -> Option<Pid> {
        let file = fs::read_to_string(self.settings.folder.join("data/postmaster.pid")).ok()?;
        Pid::from_raw(file.lines().next()?.parse().ok()?)
    }

    /// Ends the server as a crash would.
    pub fn kill(&self) {
        kill_process(self.pid().unwrap(), Signal::KILL).unwrap();
    }

    /// A pool on it.
    pub async fn pool(&self, server: &Embedded) -> PgPool {
        let address = address(server.socket_folder(), "postgres");
        db::connect(&db::Settings { address, max_connections: 10 }).await.unwrap()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::QUIT);
        }
    }
}

/// The server of all tests: quick instead of durable.
fn settings() -> embedded::Settings {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("baton-tests-{user}-{:016x}", hasher.finish()));
    let identity = Identity::of_server();
    embedded::Settings { folder, identity, durable: false, max_connections: 400 }
}

fn address(socket: &Path, database: &str) -> Address {
    Address::Socket {
        folder: socket.to_owned(),
        user: embedded::USER.to_owned(),
        database: database.to_owned(),
    }
}

async fn connection(socket: &Path, database: &str) -> PgConnection {
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .username(embedded::USER)
        .database(database);
    PgConnection::connect_with(&options).await.unwrap()
}

async fn execute(connection: &mut PgConnection, statement: String) {
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await.unwrap();
}

/// Names the template of these migrations, making it if it is not there.
async fn template(socket: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    MIGRATOR.iter().for_each(|migration| migration.checksum.hash(&mut hasher));
    let name = format!("template_{:016x}", hasher.finish());
    let mut admin = connection(socket, "postgres").await;
    execute(&mut admin, "SELECT pg_advisory_lock(1)".to_owned()).await;
    let known: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
    if !known {
        // Under another name until it is whole.
        execute(&mut admin, format!("DROP DATABASE IF EXISTS {name}_new")).await;
        execute(&mut admin, format!("CREATE DATABASE {name}_new")).await;
        let address = address(socket, &format!("{name}_new"));
        let pool = db::connect(&db::Settings { address, max_connections: 1 }).await.unwrap();
        db::migrate(&pool).await.unwrap();
        pool.close().await;
        execute(&mut admin, format!("ALTER DATABASE {name}_new RENAME TO {name}")).await;
    }
    admin.close().await.unwrap();
    name
}

/// Starts the watcher unless there is one.
#[expect(clippy::zombie_processes, reason = "it outlives this process on purpose")]
fn watch_over(folder: &Path) {
    let Ok(lock) = watcher_lock(folder) else { return };
    drop(lock);
    let mut watcher = Command::new(std::env::current_exe().unwrap());
    watcher
        .args(["--exact", "support::database::watches_over_the_server", "--ignored"])
        .env(WATCHED, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut watcher, 0);
    watcher.spawn().unwrap();
}

fn watcher_lock(folder: &Path) -> std::io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("watcher.lock"))?;
    file.try_lock()?;
    Ok(file)
}

/// No test: what the watcher runs. Without its variable it does nothing.
#[tokio::test]
#[ignore = "started by the first test that needs a database"]
async fn watches_over_the_server() {
    let Some(folder) = std::env::var_os(WATCHED).map(PathBuf::from) else { return };
    let Ok(_only_one) = watcher_lock(&folder) else { return };
    let mut unused = 0;
    while folder.exists() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let users = File::options().write(true).open(folder.join("users.lock"));
        let is_unused = users.is_ok_and(|file| file.try_lock().is_ok());
        unused = if is_unused { unused + 1 } else { 0 };
        if unused >= UNUSED {
            unused = 0;
            let server = embedded::start(&settings()).await.unwrap();
            server.discard().await.unwrap();
        }
    }
}

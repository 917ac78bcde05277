//! A database server of a bench's own.

use std::{fs, os::unix::fs::PermissionsExt};

use baton::{
    db::{self, Address},
    embedded::{self, Embedded, Identity},
};
use sqlx::PgPool;
use tempfile::TempDir;

/// A server that writes as durably as a real one, with all tables; it goes with its folder.
pub struct Database {
    /// A pool on it.
    pub pool: PgPool,
    server: Embedded,
    _folder: TempDir,
}

impl Database {
    /// Starts one that takes so many connections, and opens a pool of so many.
    pub async fn start(max_connections: u32, pool: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let opened = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), opened).expect("a folder of one's own");
        let settings = embedded::Settings {
            folder: folder.path().join("server"),
            identity: Identity::of_server(),
            durable: true,
            max_connections,
        };
        let server = embedded::start(&settings).await.expect("the programs of Postgres");
        let address = Address::Socket {
            folder: server.socket_folder().to_owned(),
            user: embedded::USER.into(),
            database: "postgres".into(),
        };
        let settings = db::Settings { address, max_connections: pool };
        let pool = db::connect(&settings).await.expect("the server has started");
        db::migrate(&pool).await.expect("the tables are new");
        Self { pool, server, _folder: folder }
    }

    /// Ends it, and takes its folder away.
    pub async fn stop(self) {
        self.pool.close().await;
        self.server.discard().await.expect("the server stops");
    }
}

//! Deliveries on their way into a real Postgres.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use baton::{
    clock::Clock,
    db::{self, deliveries::NewDelivery, partitions},
    embedded::{self, Embedded, Identity, USER},
    model::{DeliveryGuid, Job},
    queue::Wakes,
    webhook::{PostgresStore, Store, StoreError},
};
use bytes::Bytes;
use sqlx::PgPool;
use tempfile::TempDir;
use uuid::Uuid;

/// A private Postgres with Baton's tables.
async fn database() -> (TempDir, Embedded, PgPool) {
    let folder = tempfile::tempdir().unwrap();
    // Started as root, the server runs as somebody else, who must be able to pass.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let settings = embedded::Settings {
        folder: folder.path().join("postgres"),
        identity: Identity::of_server(),
        durable: false,
        max_connections: 10,
    };
    let server = embedded::start(&settings).await.unwrap();
    let pool = connect(server.socket_folder()).await;
    db::migrate(&pool).await.unwrap();
    partitions::ensure(&pool, Clock::system().now()).await.unwrap();
    (folder, server, pool)
}

async fn connect(socket: &Path) -> PgPool {
    let address = db::Address::Socket {
        folder: socket.to_owned(),
        user: USER.to_owned(),
        database: "postgres".to_owned(),
    };
    db::connect(&db::Settings { address, max_connections: 4 }).await.unwrap()
}

fn delivery(number: u128) -> NewDelivery {
    NewDelivery {
        guid: DeliveryGuid(Uuid::from_u128(number)),
        received_at: Clock::system().now(),
        event: "push".to_owned(),
        target_id: Some(42),
        headers: serde_json::json!({"x-github-event": "push"}),
        body: Bytes::from_static(b"{\"a\": \"\\u0000\"} \xff"),
    }
}

async fn jobs(pool: &PgPool) -> Vec<Job> {
    let rows: Vec<serde_json::Value> =
        sqlx::query_scalar("SELECT payload FROM jobs ORDER BY id").fetch_all(pool).await.unwrap();
    rows.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect()
}

#[tokio::test]
async fn a_delivery_is_stored_with_one_job_however_often_it_comes() {
    let (_folder, server, pool) = database().await;
    let store = PostgresStore::new(pool.clone(), Wakes::new());
    let (one, two) = (delivery(1), delivery(2));
    store.accept(&[one.clone(), two.clone(), one.clone()]).await.unwrap();
    store.accept(std::slice::from_ref(&two)).await.unwrap();

    let mut read: Vec<_> = jobs(&pool).await;
    read.sort_by_key(|job| format!("{job:?}"));
    let parse = |delivery: &NewDelivery| Job::ParseDelivery { guid: delivery.guid };
    assert_eq!(read, [parse(&one), parse(&two)]);
    let stored = db::deliveries::load_body(&pool, one.guid).await.unwrap();
    assert_eq!((stored.body, stored.event), (one.body, one.event));

    // The database refuses text with a NUL, and with it the whole batch and its jobs.
    let poison = NewDelivery { event: "pu\0sh".to_owned(), ..delivery(4) };
    let refused = store.accept(&[delivery(3), poison]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(jobs(&pool).await.len(), 2);

    server.discard().await.unwrap();
    let away = store.accept(&[delivery(5)]).await;
    assert!(matches!(away, Err(StoreError::Away(_))), "{away:?}");
}

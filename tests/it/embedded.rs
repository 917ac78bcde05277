//! The private Postgres: shared, forgotten, killed, half made.

use std::{fs, os::unix::fs::PermissionsExt};

use baton::embedded::{self, Embedded, Settings};

use crate::support::database::OwnServer;

/// Writes something that must still be there later.
async fn remember(own: &OwnServer, server: &Embedded) {
    let pool = own.pool(server).await;
    sqlx::query("CREATE TABLE remembered ()").execute(&pool).await.unwrap();
    pool.close().await;
}

async fn remembers(own: &OwnServer, server: &Embedded) -> bool {
    let pool = own.pool(server).await;
    let found = sqlx::query("SELECT FROM remembered").execute(&pool).await.is_ok();
    pool.close().await;
    found
}

#[tokio::test]
async fn the_last_user_stops_the_server() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let first = embedded::start(&settings).await.unwrap();
    remember(&own, &first).await;
    let second = embedded::start(&settings).await.unwrap();
    assert!(!first.stop().await.unwrap(), "stopped although somebody uses it");
    assert!(remembers(&own, &second).await);
    assert!(second.stop().await.unwrap());
    assert!(!settings.folder.join("data/postmaster.pid").exists());

    let again = embedded::start(&settings).await.unwrap();
    assert!(remembers(&own, &again).await);
    assert!(again.discard().await.unwrap());
    assert!(!settings.folder.exists());
}

#[tokio::test]
async fn starting_twice_at_the_same_moment_makes_one_server() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let (first, second) = tokio::join!(embedded::start(&settings), embedded::start(&settings));
    let (first, second) = (first.unwrap(), second.unwrap());
    remember(&own, &first).await;
    assert!(remembers(&own, &second).await);
    drop(first);
    assert!(second.discard().await.unwrap());
}

#[tokio::test]
async fn a_server_that_its_owner_left_behind_is_used_and_stopped() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let left_behind = embedded::start(&settings).await.unwrap();
    remember(&own, &left_behind).await;
    let server = own.pid();
    drop(left_behind);
    let found = embedded::start(&settings).await.unwrap();
    assert_eq!(own.pid(), server);
    assert!(remembers(&own, &found).await);
    assert!(found.discard().await.unwrap());
}

#[tokio::test]
async fn after_a_kill_the_server_starts_again_with_its_data() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let killed = embedded::start(&Settings { durable: true, ..settings.clone() }).await.unwrap();
    remember(&own, &killed).await;
    own.kill();
    drop(killed);
    let again = embedded::start(&settings).await.unwrap();
    assert!(remembers(&own, &again).await);
    assert!(again.discard().await.unwrap());
}

#[tokio::test]
async fn a_pid_file_that_names_another_process_is_no_hindrance() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let server = embedded::start(&settings).await.unwrap();
    remember(&own, &server).await;
    assert!(server.stop().await.unwrap());
    // As after a power cut: the file is there, and its number belongs to somebody else by now.
    let mut other = tokio::process::Command::new("sleep").arg("600").spawn().unwrap();
    let number = other.id().unwrap();
    let file = settings.folder.join("data/postmaster.pid");
    fs::write(&file, format!("{number}\n{}\n", settings.folder.join("data").display())).unwrap();
    let again = embedded::start(&settings).await;
    assert!(other.try_wait().unwrap().is_none(), "the other process was ended");
    other.kill().await.unwrap();
    let again = again.unwrap();
    assert!(remembers(&own, &again).await);
    assert!(again.discard().await.unwrap());
}

#[tokio::test]
async fn what_a_killed_initdb_left_is_made_anew() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let unfinished = settings.folder.join("data.new");
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let server = embedded::start(&settings).await.unwrap();
    assert!(!unfinished.exists());
    assert!(server.discard().await.unwrap());
}

#[tokio::test]
async fn a_folder_too_deep_for_a_socket_works() {
    let mut own = OwnServer::new();
    own.settings.folder = own.settings.folder.join("x".repeat(100));
    fs::create_dir_all(own.settings.folder.parent().unwrap()).unwrap();
    let server = embedded::start(&own.settings).await.unwrap();
    let socket = server.socket_folder().to_owned();
    remember(&own, &server).await;
    assert!(server.discard().await.unwrap());
    assert!(!socket.exists(), "the socket's folder stays behind");
}

#[tokio::test]
async fn a_folder_that_the_servers_user_cannot_reach_is_named() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let Some(identity) = settings.identity else { return };
    fs::set_permissions(own.folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = embedded::start(&settings).await.unwrap_err().to_string();
    assert!(error.contains(&own.folder.path().display().to_string()), "{error}");
    assert!(error.contains(&identity.uid.to_string()), "{error}");
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_is_left_alone() {
    let own = OwnServer::new();
    let settings = own.settings.clone();
    let data = settings.folder.join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "8.4\n").unwrap();
    let error = embedded::start(&settings).await.unwrap_err().to_string();
    assert!(error.contains("8.4"), "{error}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
}

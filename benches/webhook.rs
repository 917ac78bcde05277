//! How many signed deliveries a second are stored and enqueued before they are answered.
//!
//! A private, durable Postgres, 64 connections, bodies of 23.6 kB; the sender shares the machine.
//! `cargo bench --bench webhook -- 20000` sends so many deliveries a round.

mod support;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use baton::{
    clock::Clock,
    db::partitions,
    queue::Wakes,
    webhook::{PostgresStore, Receiver, Settings, Writer, router},
};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use sqlx::PgPool;
use tokio::{net::TcpStream, task::JoinSet};
use uuid::Uuid;

use support::Database;

const SECRET: &str = "bench";
const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
/// The size of a `pull_request` payload.
const BODY: usize = 23_600;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let deliveries: usize =
        std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000);
    let database = Database::start(20, 4).await;
    let measured = measure(&database.pool, deliveries).await;
    database.stop().await;
    measured
}

async fn measure(pool: &PgPool, deliveries: usize) -> anyhow::Result<()> {
    partitions::ensure(pool, Clock::system().now()).await?;
    let (writer, tasks) = Writer::start(PostgresStore::new(pool.clone(), Wakes::new()));
    let settings = Settings::new(vec![SECRET.into()]);
    let receiver = Receiver::new(&settings, writer, Clock::system())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let listening = tokio::spawn(axum::serve(listener, router(receiver)).into_future());
    for round in 1..=ROUNDS {
        println!("round {round}: {}", send_all(&address, deliveries).await?);
    }
    listening.abort();
    // The tasks end with the last writer, which the aborted listener drops.
    let _ = listening.await;
    tasks.join().await;
    let sent = i64::try_from(deliveries / CONNECTIONS * CONNECTIONS * ROUNDS)?;
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM delivery_bodies").fetch_one(pool).await?;
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs").fetch_one(pool).await?;
    ensure!((stored, jobs) == (sent, sent), "{sent} sent, {stored} stored, {jobs} jobs");
    println!("{stored} stored, {jobs} jobs: as many as were sent");
    Ok(())
}

async fn send_all(address: &str, deliveries: usize) -> anyhow::Result<String> {
    let (body, signature) = signed();
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (address, body, signature) = (address.to_owned(), body.clone(), signature.clone());
        senders.spawn(send(address, body, signature, deliveries / CONNECTIONS));
    }
    let mut times = Vec::new();
    while let Some(sent) = senders.join_next().await {
        times.extend(sent??);
    }
    let took = began.elapsed();
    times.sort_unstable();
    let per_second = times.len() as f64 / took.as_secs_f64();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64() * 1000.0;
    Ok(format!("{per_second:.0}/s, p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99)))
}

/// Text that compresses about as payloads do.
fn signed() -> (Bytes, String) {
    let line =
        |number: usize| format!("\"url_{number}\":\"https://api.example.com/{}\",", number * 7919);
    let mut body: Vec<u8> = (0..).flat_map(|number| line(number).into_bytes()).take(BODY).collect();
    body[0] = b'{';
    let mut sum = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    sum.update(&body);
    let digits: String = sum.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    (body.into(), format!("sha256={digits}"))
}

async fn send(
    address: String,
    body: Bytes,
    signature: String,
    count: usize,
) -> anyhow::Result<Vec<Duration>> {
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let request = Request::post("/webhook")
            .header("host", &address)
            .header("content-type", "application/json")
            .header("x-github-delivery", Uuid::new_v4().to_string())
            .header("x-github-event", "pull_request")
            .header("x-hub-signature-256", &signature)
            .body(Full::new(body.clone()))?;
        let began = Instant::now();
        let answer = sender.send_request(request).await.context("sending")?;
        ensure!(answer.status() == StatusCode::ACCEPTED, "answered {}", answer.status());
        times.push(began.elapsed());
    }
    drop(sender);
    connection.await??;
    Ok(times)
}

//! What whoever follows an agent's lines hears of the database, and when.

use std::{collections::BTreeSet, time::Duration};

use baton::{
    cli::logs::{News, Told},
    clock::Clock,
    db::agent_lines::{self, Line},
    model::{AgentId, EventId, Job, NewJob, ReportId},
    queue::{Wakes, enqueue},
};
use sqlx::PgPool;

use crate::support::database::TestDatabase;

/// Longer than any test: what is heard was told.
const NEVER: Duration = Duration::from_secs(3_600);

fn line(agent: i64, seq: i64) -> Line {
    let (stream, text) = ("out".to_owned(), "said".to_owned());
    Line { agent: AgentId(agent), seq, at: Clock::system().now(), stream, text }
}

async fn print(pool: &PgPool, lines: &[(i64, i64)]) {
    let lines: Vec<_> = lines.iter().map(|(agent, seq)| line(*agent, *seq)).collect();
    agent_lines::insert_batch(pool, &lines).await.unwrap();
}

/// Makes work as a server does.
async fn work(pool: &PgPool, job: Job) {
    let job = NewJob {
        job,
        key: None,
        dedup: None,
        priority: 0,
        repository: None,
        shares: Vec::new(),
        run_at: Clock::system().now(),
    };
    let wakes = Wakes::new();
    let mut transaction = pool.begin().await.unwrap();
    let wake = enqueue(&mut transaction, &[job]).await.unwrap();
    transaction.commit().await.unwrap();
    wake.release(&wakes);
    wakes.flush(pool).await.unwrap();
}

fn lines_of(agents: impl IntoIterator<Item = i64>) -> Told {
    Told::Lines(agents.into_iter().map(AgentId).collect::<BTreeSet<_>>())
}

#[tokio::test]
async fn a_batch_of_lines_is_told_once_with_whose_they_are() {
    let database = TestDatabase::new().await;
    let mut news = News::listen(&database.another_pool().await, NEVER).await.unwrap();
    print(&database.pool, &[(7, 1), (7, 2), (12, 1), (7, 3)]).await;
    print(&database.pool, &[(12, 2)]).await;
    assert_eq!(news.next().await, lines_of([7, 12]));
    assert_eq!(news.next().await, lines_of([12]));
}

#[tokio::test]
async fn work_is_told_where_it_says_something_and_else_not() {
    let database = TestDatabase::new().await;
    let mut news = News::listen(&database.another_pool().await, NEVER).await.unwrap();
    work(&database.pool, Job::Route { event: EventId(1) }).await;
    print(&database.pool, &[(7, 1)]).await;
    work(&database.pool, Job::Say { report: ReportId(1) }).await;
    assert_eq!(news.next().await, lines_of([7]), "that an event came is no news");
    assert_eq!(news.next().await, Told::Word);
}

#[tokio::test]
async fn lines_of_more_agents_than_a_notice_holds_are_stored_and_can_be_anybodys() {
    let database = TestDatabase::new().await;
    let mut news = News::listen(&database.another_pool().await, NEVER).await.unwrap();
    let many: Vec<_> = (0..1_000).map(|n| (1_000_000_000 + n, 1)).collect();
    print(&database.pool, &many).await;
    assert_eq!(news.next().await, Told::Anything);
    let stored = agent_lines::last_seq(&database.pool, AgentId(1_000_000_999)).await.unwrap();
    assert_eq!(stored, Some(1));
}

#[tokio::test]
async fn a_lost_connection_and_a_long_silence_can_be_anything_and_then_it_is_heard_again() {
    let database = TestDatabase::new().await;
    let mut news = News::listen(&database.another_pool().await, NEVER).await.unwrap();
    let ended: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    )
    .fetch_one(&database.pool)
    .await
    .unwrap();
    assert_eq!(ended, 1);
    assert_eq!(news.next().await, Told::Anything);
    print(&database.pool, &[(7, 1)]).await;
    assert_eq!(news.next().await, lines_of([7]));

    let at_once = Duration::from_millis(1);
    let mut news = News::listen(&database.pool, at_once).await.unwrap();
    assert_eq!(news.next().await, Told::Anything);
}

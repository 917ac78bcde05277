//! What comes in and goes out: deliveries, events, reports, acts.

use std::sync::Arc;

use baton::{
    clock::Clock,
    logs::{DatabaseLines, LogSettings, LogStream, Logs, Redactor},
};

use super::*;

#[tokio::test]
async fn a_delivery_is_stored_once_byte_for_byte() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    partitions::ensure(pool, noon()).await.unwrap();
    let delivery = |n: u128, at| deliveries::NewDelivery {
        guid: DeliveryGuid(Uuid::from_u128(n)),
        received_at: at,
        event: "issues".into(),
        target_id: (n == 1).then_some(5),
        headers: json!({"x-hub-signature-256": "sha256=00"}),
        body: Bytes::from_static(b"{\"a\":\"\\u0000\xff\"}"),
    };
    // One day has a partition, the other falls into the default one.
    let old = noon() - TimeDelta::days(400);
    let batch = [delivery(1, noon()), delivery(2, old), delivery(1, old)];
    let mut fresh = deliveries::insert_batch(pool, &batch).await.unwrap();
    fresh.sort();
    assert_eq!(fresh, [1, 2].map(|n| DeliveryGuid(Uuid::from_u128(n))));
    let again = deliveries::insert_batch(pool, &[delivery(2, noon()), delivery(3, noon())]).await;
    assert_eq!(again.unwrap(), [DeliveryGuid(Uuid::from_u128(3))]);

    let guid = DeliveryGuid(Uuid::from_u128(2));
    let stored = deliveries::load_body(pool, guid).await.unwrap();
    assert_eq!(stored.body, batch[1].body);
    assert_eq!((stored.received_at, stored.headers), (old, batch[1].headers.clone()));
    let asked = [guid, DeliveryGuid(Uuid::from_u128(9))];
    assert_eq!(deliveries::unknown_of(pool, &asked).await.unwrap(), [asked[1]]);

    let reason = Some("not for us");
    deliveries::mark(pool, guid, deliveries::DeliveryState::Ignored, reason).await.unwrap();
    let unread = deliveries::list_unread(pool, noon() + TimeDelta::days(1), 9).await.unwrap();
    assert_eq!(unread.len(), 2);
    assert_eq!(deliveries::delete_before(pool, noon(), 9).await.unwrap(), 1);
}

#[tokio::test]
async fn days_are_made_ahead_and_dropped_whole() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    assert_eq!(partitions::ensure(pool, noon()).await.unwrap(), 3 * 8);
    assert_eq!(partitions::ensure(pool, noon()).await.unwrap(), 0);
    let line = |days, seq| agent_lines::Line {
        agent: AgentId(1),
        seq,
        at: noon() + TimeDelta::days(days),
        stream: "out".into(),
        text: "a\0b".into(),
    };
    let lines = [line(0, 1), line(1, 2), line(-30, 3)];
    agent_lines::insert_batch(pool, &lines).await.unwrap();
    agent_lines::insert_batch(pool, &lines).await.unwrap();
    let read = agent_lines::list_after(pool, AgentId(1), 1, 9).await.unwrap();
    assert_eq!(read.iter().map(|line| line.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(read[0].text, "a\u{FFFD}b");
    let last = agent_lines::list_last(pool, AgentId(1), 2).await.unwrap();
    assert_eq!(last.iter().map(|line| line.seq).collect::<Vec<_>>(), [2, 3]);

    // A day that has rows in the default partition stays there; nothing fails.
    let past = noon() - TimeDelta::days(30);
    assert_eq!(partitions::ensure(pool, past).await.unwrap(), 3 * 8 - 1);
    let table = partitions::Partitioned::AgentLines;
    let tomorrow = noon() + TimeDelta::days(1);
    assert_eq!(partitions::drop_before(pool, table, tomorrow).await.unwrap(), 7 + 1);
    let left = agent_lines::list_after(pool, AgentId(1), 0, 9).await.unwrap();
    assert_eq!(left.iter().map(|line| line.seq).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn the_same_thing_told_twice_is_one_event_and_decided_once() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let id = with_event(pool, "issue:17:labeled").await;
    let event = events::load(pool, id).await.unwrap();
    let again = NewEvent {
        at: event.at,
        repository: event.repository,
        subject: event.subject.clone(),
        actor: event.actor.clone(),
        cause: event.cause.clone(),
        dedup_key: "issue:17:labeled".into(),
        what: event.what.clone(),
    };
    assert_eq!(events::insert(pool, &again).await.unwrap(), None);

    let facts = Facts { permission: Some(Permission::Write), ..Facts::default() };
    let decide =
        async || decisions::insert(pool, task, id, noon(), "rule", &facts, &json!({})).await;
    assert!(decide().await.unwrap());
    assert!(!decide().await.unwrap());
    assert!(decisions::exists(pool, task, id).await.unwrap());
    let kept = decisions::list(pool, task).await.unwrap();
    assert_eq!((kept.len(), kept[0].event_name.as_str()), (1, "task.assigned"));
    assert_eq!(kept[0].facts, facts);
}

#[tokio::test]
async fn a_report_lags_until_what_is_wanted_was_said() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let kind = ReportKind::Check(StageKey::Review, sha('7'));
    let id = reports::raise(pool, task, &kind, noon()).await.unwrap();
    assert_eq!(reports::raise(pool, task, &kind, noon() + TimeDelta::hours(1)).await.unwrap(), id);
    let report = reports::load(pool, id).await.unwrap();
    assert_eq!((&report.kind, report.wanted_version), (&kind, 2));
    assert_eq!(reports::list_lagging(pool, noon(), 9).await.unwrap(), [id]);
    let five_minutes = noon() + TimeDelta::minutes(5);
    assert_eq!(reports::count_lagging_since(pool, five_minutes).await.unwrap(), 1);

    reports::set_error(pool, id, "limit", Some(five_minutes)).await.unwrap();
    assert!(reports::list_lagging(pool, noon(), 9).await.unwrap().is_empty());
    let said =
        |version| reports::Applied { version, hash: "h".into(), github_id: Some(5), node_id: None };
    // Raised while it was being said: it still lags.
    reports::applied(pool, id, &said(1), noon()).await.unwrap();
    assert_eq!(reports::list_lagging(pool, noon(), 9).await.unwrap(), [id]);
    reports::applied(pool, id, &said(2), noon()).await.unwrap();
    assert!(reports::list_lagging(pool, five_minutes, 9).await.unwrap().is_empty());
    assert!(reports::applied(pool, id, &said(1), noon()).await.is_err(), "went back");
}

#[tokio::test]
async fn an_act_is_intended_once_and_ended_once() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let act = ledger::NewAct {
        repository: RepositoryId(1),
        task: Some(task),
        event: None,
        act: Act::ReopenIssue { number: 17 },
        marker: "baton:1".into(),
        rule: "verify_failed".into(),
        now: noon(),
    };
    let id = ledger::intend(pool, &act).await.unwrap();
    assert_eq!(ledger::intend(pool, &act).await.unwrap(), id);
    assert_eq!(ledger::list_unfinished(pool, noon() + TimeDelta::hours(1), 9).await.unwrap(), [id]);
    ledger::mark_done(pool, id, Some(3), noon()).await.unwrap();
    assert!(ledger::mark_failed(pool, id, "late", noon()).await.is_err());
    let entry = ledger::load(pool, id).await.unwrap();
    assert_eq!((entry.state, entry.github_id), (ledger::ActState::Done, Some(3)));
    assert_eq!(entry.act, act.act);
}

#[tokio::test]
async fn what_an_agent_printed_is_kept_without_secrets_and_zeros() {
    let database = TestDatabase::new().await;
    let pool = database.pool.clone();
    let task = with_task(&pool).await;
    let agent = with_agent(&mut pool.acquire().await.unwrap(), task, None).await;
    let store = Arc::new(DatabaseLines(pool.clone()));
    let redactor = Redactor::new(["open-sesame"]);
    let logs = Logs::start(store, redactor, Clock::system(), LogSettings::default());
    let mut writer = logs.open(agent);
    writer.line(LogStream::Output, b"open-sesame \0").await;
    drop(writer);
    logs.stop().await;
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT seq, stream, text FROM agent_lines").fetch_all(&pool).await.unwrap();
    assert_eq!(rows, [(1, "out".to_owned(), "[redacted] \u{FFFD}".to_owned())]);
}

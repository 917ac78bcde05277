//! Money held back, spent and given back.

use super::*;

/// Holds money back for a request that is expected to cost 600, as the gateway does.
async fn hold(pool: &PgPool, task: TaskId, agent: AgentId, reserved: i64) -> usage::UsageId {
    let payers = budgets::Payers { agent, task, repository: RepositoryId(1), at: noon() };
    let mut tx = pool.begin().await.unwrap();
    budgets::lock(&mut tx, &payers).await.unwrap();
    budgets::reserve(&mut tx, &payers, &[Micros(5_000); 4], Micros(reserved)).await.unwrap();
    let (model, expected) = ("opus".to_owned(), Micros(600));
    let new = usage::NewUsage { agent, model, reserved: Micros(reserved), expected, now: noon() };
    let request = usage::insert(&mut *tx, &new, 100).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    request
}

async fn settle(pool: &PgPool, id: usage::UsageId, how: usage::Settled) -> Result<(), DbError> {
    let mut tx = pool.begin().await.unwrap();
    usage::settle(&mut tx, id, how, noon()).await?;
    tx.commit().await.unwrap();
    Ok(())
}

/// Spent, reserved and beyond of the four budgets, which are the same here.
async fn booked(pool: &PgPool, task: TaskId, agent: AgentId) -> (i64, i64, i64) {
    let scopes = [
        (format!("agent:{agent}"), ""),
        (format!("task:{task}"), ""),
        ("repository:1".to_owned(), "2026-03-01"),
        ("server".to_owned(), "2026-03-01"),
    ];
    let mut seen = Vec::new();
    for (scope, period) in scopes {
        let row = budgets::find(pool, &scope, period).await.unwrap().unwrap();
        seen.push((row.spent.0, row.reserved.0, row.beyond.0));
    }
    assert!(seen.iter().all(|row| *row == seen[0]), "{seen:?}");
    seen[0]
}

#[tokio::test]
async fn money_is_held_back_before_and_settled_once() {
    let (database, task, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    let request = hold(pool, task, agent, 900).await;
    assert_eq!(booked(pool, task, agent).await, (0, 900, 0));
    assert_eq!(usage::spent(pool, task).await.unwrap(), Micros(600), "what is expected is shown");
    let tokens = TokenUsage { input: 5, ..TokenUsage::default() };
    let used = |cost| usage::Settled::Used(tokens, Micros(cost));
    settle(pool, request, used(300)).await.unwrap();
    assert_eq!(booked(pool, task, agent).await, (300, 0, 0));
    let twice = settle(pool, request, used(300)).await;
    assert!(matches!(twice, Err(DbError::Stale { .. })), "{twice:?}");
    assert_eq!(booked(pool, task, agent).await, (300, 0, 0));
    assert_eq!(agents::load(pool, agent).await.unwrap().agent.cost, Micros(300));
    assert_eq!(tasks::load(pool, task).await.unwrap().task.spent, Micros(300));
    let tomorrow = noon() + TimeDelta::hours(12);
    for (at, sum) in [(noon(), 300), (tomorrow, 0)] {
        let repository = usage::spent_today(pool, RepositoryId(1), at).await.unwrap();
        assert_eq!(
            (repository, usage::spent_today_in_all(pool, at).await.unwrap()),
            (Micros(sum), Micros(sum))
        );
    }
    // More than was held back is kept apart: the limit holds, and the sum is true.
    let dear = hold(pool, task, agent, 900).await;
    settle(pool, dear, used(6_000)).await.unwrap();
    assert_eq!(booked(pool, task, agent).await, (5_000, 0, 1_300));
    assert_eq!(usage::spent(pool, task).await.unwrap(), Micros(6_300));
}

#[tokio::test]
async fn what_nobody_saw_the_end_of_counts_with_what_was_expected() {
    let (database, task, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    let request = hold(pool, task, agent, 900).await;
    assert_eq!(usage::list_open_of(pool, agent, None).await.unwrap(), [request]);
    let before = |at| usage::list_open_of(pool, agent, Some(at));
    assert_eq!(before(noon()).await.unwrap(), [], "it was made at noon, not before");
    assert_eq!(before(noon() + TimeDelta::seconds(1)).await.unwrap(), [request]);
    let later = noon() + TimeDelta::hours(1);
    assert_eq!(usage::list_unseen(pool, later).await.unwrap(), [], "its agent is at work");
    agents::finish(pool, agent, agents::Finished::only(End::Lost), noon()).await.unwrap();
    assert_eq!(usage::list_unseen(pool, later).await.unwrap(), [request]);
    settle(pool, request, usage::Settled::Unseen).await.unwrap();
    assert_eq!(booked(pool, task, agent).await, (600, 0, 0));
    assert_eq!(usage::list_unseen(pool, later).await.unwrap(), []);
}

#[tokio::test]
async fn budgets_that_were_forgotten_are_opened_again_with_what_was_spent() {
    let (database, task, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    let first = hold(pool, task, agent, 900).await;
    let tokens = TokenUsage::default();
    settle(pool, first, usage::Settled::Used(tokens, Micros(250))).await.unwrap();
    let open = hold(pool, task, agent, 700).await;
    assert_eq!(budgets::forget(pool, noon() + TimeDelta::days(1)).await.unwrap(), 0, "held back");
    sqlx::query("DELETE FROM budgets").execute(pool).await.unwrap();
    let third = hold(pool, task, agent, 500).await;
    assert_eq!(booked(pool, task, agent).await, (250, 1_200, 0));
    for request in [open, third] {
        settle(pool, request, usage::Settled::Used(tokens, Micros(100))).await.unwrap();
    }
    assert_eq!(booked(pool, task, agent).await, (450, 0, 0));
    // The days are over; agent and task are not.
    assert_eq!(budgets::forget(pool, noon() + TimeDelta::days(1)).await.unwrap(), 2);
}

#[tokio::test]
async fn a_table_refuses_what_no_budget_has_room_for() {
    let (database, task, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    let payers = budgets::Payers { agent, task, repository: RepositoryId(1), at: noon() };
    let limits = [5_000, 5_000, 5_000, 400].map(Micros);
    let mut tx = pool.begin().await.unwrap();
    assert_eq!(budgets::lock(&mut tx, &payers).await.unwrap(), [Micros::ZERO; 4]);
    let refused = budgets::reserve(&mut tx, &payers, &limits, Micros(401)).await;
    assert!(matches!(refused, Err(DbError::Database(_))), "{refused:?}");
}

#[tokio::test]
async fn a_credential_rests_until_its_time_under_a_name() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let until = noon() + TimeDelta::hours(1);
    let (name, reason) = ("anthropic-00000000".to_owned(), "quota".to_owned());
    let mut rest = provider_keys::Cooldown { name, until: noon(), reason };
    for time in [noon(), until] {
        rest.until = time;
        provider_keys::rest(pool, "anthropic", &rest).await.unwrap();
    }
    assert_eq!(provider_keys::list_resting(pool, noon()).await.unwrap(), [rest]);
    assert_eq!(provider_keys::list_resting(pool, until).await.unwrap(), []);
}

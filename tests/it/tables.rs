//! The tables: what is written is what is read, and guards hold.

mod money;
mod pipeline;
mod states;
mod work;

use baton::{
    db::{
        self, DbError, agent_lines, agents, approvals, budgets, decisions, deliveries, deployments,
        events, findings, installations, ledger, partitions, plans, provider_keys, reports,
        repositories, server, situations, stages, task_refs, tasks, usage,
    },
    model::*,
};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::support::database::TestDatabase;

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn sha(digit: char) -> Sha {
    Sha::new(digit.to_string().repeat(40)).unwrap()
}

fn plan_hash() -> PlanHash {
    PlanHash::new("a".repeat(64)).unwrap()
}

fn person() -> Person {
    Person { id: ActorId(9), login: Login::new("octocat").unwrap() }
}

fn repository() -> Repository {
    Repository {
        id: RepositoryId(1),
        installation: InstallationId(2),
        name: RepositoryName::new("Acme", "range").unwrap(),
        default_branch: BranchName::new("main").unwrap(),
        private: true,
        off: false,
        policy_error: None,
    }
}

/// A repository with one open task on issue 17.
async fn with_task(pool: &PgPool) -> TaskId {
    let mut connection = pool.acquire().await.unwrap();
    let account = Login::new("Acme").unwrap();
    installations::upsert(&mut *connection, InstallationId(2), ActorId(3), &account).await.unwrap();
    repositories::upsert(&mut *connection, &repository()).await.unwrap();
    tasks::open(&mut connection, new_task()).await.unwrap()
}

fn new_task() -> tasks::NewTask {
    tasks::NewTask {
        repository: RepositoryId(1),
        origin: TaskOrigin::Issue,
        number: 17,
        input: TaskInput {
            title: "Open ranges".into(),
            body: "zero: \0".into(),
            ..TaskInput::default()
        },
        input_hash: InputHash::new("b".repeat(64)).unwrap(),
        policy: Policy { max_rounds: 5, ..Policy::default() },
        requested_by: Some(person()),
        pull: None,
        now: noon(),
    }
}

async fn with_agent(
    connection: &mut PgConnection,
    task: TaskId,
    resumes: Option<AgentId>,
) -> AgentId {
    let state = StageState::Blocked;
    let stage = stages::save(&mut *connection, task, StageKey::Code, &state, 1, None, noon())
        .await
        .unwrap();
    let agent = agents::NewAgent {
        task,
        stage,
        part: None,
        provider: "claude".into(),
        model: "opus".into(),
        resumes,
        inputs: Inputs { messages: vec![Message::GoOn] },
        base: sha('1'),
        salt: Uuid::from_u128(5),
        now: noon(),
    };
    agents::insert(connection, agent).await.unwrap()
}

/// A database with one task, and an agent of it.
async fn with_agent_at_work() -> (TestDatabase, TaskId, AgentId) {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
    (database, task, agent)
}

async fn with_event(pool: &PgPool, key: &str) -> EventId {
    let event = NewEvent {
        at: noon(),
        repository: RepositoryId(1),
        subject: Subject::Issue(17),
        actor: Actor::Person(person()),
        cause: Cause::Delivery { guid: DeliveryGuid(Uuid::from_u128(1)) },
        dedup_key: key.into(),
        what: What::TaskAssigned { trigger: Trigger::Label },
    };
    events::insert(pool, &event).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_token_finds_its_agent_until_the_agent_ends() {
    let (database, task, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    agents::set_token_hash(pool, agent, &[7; 32]).await.unwrap();
    let grant = agents::by_token_hash(pool, &[7; 32]).await.unwrap().unwrap();
    assert_eq!((grant.agent, grant.task, grant.role), (agent, task, Role::Coding));
    assert_eq!((grant.requests, grant.policy), (0, new_task().policy));
    let ended = agents::Finished::only(End::Succeeded);
    agents::finish(pool, agent, ended, noon()).await.unwrap();
    assert_eq!(agents::by_token_hash(pool, &[7; 32]).await.unwrap(), None);
}

#[tokio::test]
async fn a_repository_keeps_its_policy_through_a_mistake_and_a_renaming() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    with_task(pool).await;
    let id = RepositoryId(1);
    assert_eq!(repositories::policy(pool, id).await.unwrap(), None);
    let policy = Policy { until: Until::Deploy, ..Policy::default() };
    repositories::set_policy(pool, id, &sha('8'), &policy).await.unwrap();
    repositories::set_policy_error(pool, id, Some("unknown key")).await.unwrap();
    repositories::set_off(pool, id, true).await.unwrap();
    let renamed = Repository { name: RepositoryName::new("acme", "span").unwrap(), ..repository() };
    repositories::upsert(pool, &renamed).await.unwrap();
    assert_eq!(repositories::policy(pool, id).await.unwrap(), Some((sha('8'), policy)));
    let found = RepositoryName::new("ACME", "Span").unwrap();
    let found = repositories::by_name(pool, &found).await.unwrap().unwrap();
    assert_eq!((found.off, found.policy_error.as_deref()), (true, Some("unknown key")));
    assert_eq!(repositories::list_active(pool).await.unwrap().len(), 1);
    repositories::mark_removed(pool, id, noon()).await.unwrap();
    assert!(repositories::list_active(pool).await.unwrap().is_empty());
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = TestDatabase::new().await;
    let salt = server::salt(&database.pool).await.unwrap();
    db::migrate(&database.pool).await.unwrap();
    assert_eq!(server::salt(&database.pool).await.unwrap(), salt);
}

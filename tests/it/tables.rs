//! The tables: what is written is what is read, and guards hold.

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

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::ProtectedPath("a".into()),
        Refusal::Workflows("b".into()),
        Refusal::TooLarge { what: "9 files".into() },
        Refusal::Secret { path: "c".into() },
        Refusal::Submodule("d".into()),
        Refusal::Symlink("e".into()),
        Refusal::ForeignAuthor { commit: "abc1234".into() },
        Refusal::NoTrailer { commit: "abc1234".into() },
        Refusal::Nothing,
        Refusal::BranchMoved,
        Refusal::GitHub("f".into()),
    ]
}

fn cancellers() -> Vec<CancelledBy> {
    use CancelledBy::{Operator, Person, Shutdown, Superseded};
    vec![Person(ActorId(4)), Operator, Shutdown, Superseded]
}

fn waits() -> Vec<WaitFor> {
    let answer = WaitFor::Answer(QuestionId(6));
    vec![
        WaitFor::PlanApproval(plan_hash()),
        WaitFor::PushApproval(sha('6')),
        answer,
        WaitFor::Merge(sha('2')),
    ]
}

fn fail_kinds() -> Vec<FailKind> {
    vec![
        FailKind::Setup("a".into()),
        FailKind::Provider("b".into()),
        FailKind::InvalidOutcome("c".into()),
        FailKind::Model("d".into()),
        FailKind::Tools("f".into()),
        FailKind::Commands,
        FailKind::Verdict,
        FailKind::Crashed("e".into()),
    ]
}

fn task_states() -> Vec<TaskState> {
    let mut parks = vec![
        ParkReason::Budget,
        ParkReason::Quota { until: noon() },
        ParkReason::NotConverging,
        ParkReason::Failed(StageKey::Code),
        ParkReason::NoSandbox { remedy: "install bubblewrap".into() },
        ParkReason::PullClosed,
        ParkReason::BranchDeleted,
        ParkReason::Off,
    ];
    parks.extend(refusals().into_iter().map(ParkReason::Refused));
    parks.extend(cancellers().into_iter().map(ParkReason::Stopped));
    let mut states = vec![TaskState::Open];
    states.extend(waits().into_iter().map(TaskState::Waiting));
    states.extend(parks.into_iter().map(TaskState::Parked));
    states.push(TaskState::Done);
    states.extend(cancellers().into_iter().map(|by| TaskState::Cancelled { by }));
    states
}

fn ends() -> Vec<End> {
    let mut ends =
        vec![End::Succeeded, End::OutOfQuota { until: noon() }, End::OutOfBudget, End::Lost];
    ends.push(End::Asked(QuestionId(6)));
    ends.extend(fail_kinds().into_iter().map(End::Failed));
    ends.extend([Watchdog::Total, Watchdog::Silence, Watchdog::Linger].map(End::TimedOut));
    ends.extend(cancellers().into_iter().map(End::Cancelled));
    ends
}

#[tokio::test]
async fn every_state_of_a_task_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let id = with_task(&database.pool).await;
    for state in task_states() {
        let mut task = tasks::load(&database.pool, id).await.unwrap().task;
        task.state = state;
        task.rounds += 1;
        let version = task.version;
        tasks::save(&database.pool, &task, version, noon()).await.unwrap();
        task.version += 1;
        assert_eq!(tasks::load(&database.pool, id).await.unwrap().task, task);
        let is_open = tasks::by_thread(&database.pool, RepositoryId(1), 17).await.unwrap();
        assert_eq!(is_open.is_none(), task.state.is_final(), "{:?}", task.state);
    }
}

#[tokio::test]
async fn every_state_of_a_stage_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut states = vec![
        StageState::Blocked,
        StageState::Running(AgentId(3)),
        StageState::Commands(CommandRunId(4)),
        StageState::Publishing { from: AgentId(3), head: sha('3') },
        StageState::Passed,
        StageState::Cancelled,
    ];
    states.extend(waits().into_iter().map(StageState::Waiting));
    states.extend(fail_kinds().into_iter().map(StageState::Failed));
    for (round, state) in states.iter().enumerate() {
        let (round, head) = (round as u32, sha('4'));
        for key in StageKey::ALL {
            let head = Some(&head);
            let saved = stages::save(&database.pool, task, key, state, round, head, noon()).await;
            saved.unwrap();
        }
        let read = stages::list(&database.pool, task).await.unwrap();
        assert!(read.iter().map(|stage| stage.key).eq(StageKey::ALL));
        assert!(read.iter().all(|it| it.state == *state && it.round == round), "{read:?}");
    }
}

#[tokio::test]
async fn every_state_of_an_agent_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut connection = database.pool.acquire().await.unwrap();
    for (place, end) in ends().into_iter().enumerate() {
        let id = with_agent(&mut connection, task, None).await;
        let mut state = AgentState::Queued;
        for next in [AgentState::Preparing, AgentState::Running, AgentState::Finishing] {
            agents::set_state(&mut *connection, id, &state, &next, noon()).await.unwrap();
            assert_eq!(agents::load(&mut *connection, id).await.unwrap().agent.state, next);
            state = next;
        }
        let until = noon();
        let limited = [
            Some(Limited::Budget { scope: BudgetScope::Task, left: Micros(1), needs: Micros(2) }),
            Some(Limited::Requests { most: 3 }),
            Some(Limited::Model { model: "opus".into() }),
            Some(Limited::Quota { until, shortage: Shortage::Overloaded }),
            None,
        ];
        let limited = &limited[place % limited.len()];
        let summary: Untrusted = "did\0it".into();
        let outcome =
            Outcome::Code(CodeOutcome { summary, tests_run: "".into(), notes: "".into() });
        let finished = agents::Finished {
            end: end.clone(),
            outcome: Some(outcome),
            head: Some(sha('5')),
            limited: limited.clone(),
        };
        agents::finish(&mut *connection, id, finished.clone(), noon()).await.unwrap();
        let row = agents::load(&mut *connection, id).await.unwrap();
        assert_eq!(row.agent.state, AgentState::Ended(end));
        assert_eq!(row.agent.limited, *limited);
        assert_eq!(row.agent.attempt as usize, place + 1);
        assert_eq!(row.agent.role, Role::Coding);
        let twice = agents::finish(&mut *connection, id, finished, noon()).await;
        assert!(matches!(twice, Err(DbError::Stale { .. })), "{twice:?}");
    }
    assert!(agents::list_open(&mut *connection).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_saves_a_task_of_an_older_version_is_refused() {
    let database = TestDatabase::new().await;
    let id = with_task(&database.pool).await;
    let task = tasks::load(&database.pool, id).await.unwrap().task;
    tasks::save(&database.pool, &task, task.version, noon()).await.unwrap();
    let second = tasks::save(&database.pool, &task, task.version, noon()).await;
    assert!(matches!(second, Err(DbError::Stale { what: "task", .. })), "{second:?}");
    let absent = tasks::load(&database.pool, TaskId(999)).await;
    assert!(matches!(absent, Err(DbError::Absent { .. })), "{absent:?}");
}

#[tokio::test]
async fn a_thread_has_one_open_task_and_counts_its_generations() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let first = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    assert!(tasks::open(&mut connection, new_task()).await.is_err());
    let mut task = tasks::load(pool, first).await.unwrap().task;
    assert_eq!(task.input.body.0, "zero: \u{FFFD}");
    task.state = TaskState::Done;
    tasks::save(pool, &task, task.version, noon()).await.unwrap();

    let second = tasks::open(&mut connection, new_task()).await.unwrap();
    assert_eq!(tasks::load(pool, second).await.unwrap().task.generation, 2);
    let (repository, issue) = (RepositoryId(1), task_refs::RefKind::Issue);
    let found = task_refs::find(pool, repository, issue, "17").await.unwrap();
    assert_eq!(found, [second], "a closed task was found, or the open one was not");
    assert_eq!(tasks::last_by_thread(pool, repository, 17).await.unwrap(), Some(second));
    assert_eq!(tasks::list_open(pool, None, 9).await.unwrap(), [second]);
}

#[tokio::test]
async fn a_stage_has_one_agent_unless_the_other_was_asked_to_end() {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut connection = database.pool.acquire().await.unwrap();
    let first = with_agent(&mut connection, task, None).await;
    let open = agents::list_open(&mut *connection).await.unwrap().remove(0);
    let second = agents::NewAgent {
        task,
        stage: open.stage_id,
        provider: "claude".into(),
        model: "opus".into(),
        resumes: Some(first),
        inputs: Inputs::default(),
        base: sha('1'),
        salt: Uuid::from_u128(5),
        now: noon(),
    };
    assert!(agents::insert(&mut connection, second.clone()).await.is_err());
    let by = CancelledBy::Person(ActorId(4));
    let asked = agents::want(&mut *connection, task, Stop::Kill, &by).await.unwrap();
    assert_eq!(asked, [first]);
    agents::want(&mut *connection, task, Stop::Interrupt, &CancelledBy::Operator).await.unwrap();
    let wanted = agents::wanted(&mut *connection, first).await.unwrap();
    assert_eq!(wanted, Some((Stop::Kill, by)), "a kill was softened");

    let second = agents::insert(&mut connection, second).await.unwrap();
    let second = agents::load(&mut *connection, second).await.unwrap().agent;
    assert_eq!((second.session, second.attempt), (open.agent.session, 2));
    assert_eq!(open.agent.session, SessionId::of_agent(Uuid::from_u128(5), first));
}

#[tokio::test]
async fn a_task_is_loaded_with_all_that_belongs_to_it() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let id = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, id, None).await;
    let plan = Plan {
        number: 1,
        hash: plan_hash(),
        input_hash: new_task().input_hash,
        body: PlanOutcome {
            summary: "s".into(),
            steps: vec![],
            acceptance: vec!["works".into()],
            risks: vec![],
            questions: vec![],
        },
    };
    plans::insert(pool, id, &plan, noon()).await.unwrap();
    let approval = Approval {
        of: Approved::Plan(plan_hash()),
        actor: person(),
        permission: Permission::Maintain,
        at: noon(),
    };
    let push = Approval { of: Approved::Push(sha('6')), ..approval.clone() };
    for _ in 0..2 {
        approvals::insert(pool, id, &approval, None).await.unwrap();
        approvals::insert(pool, id, &push, None).await.unwrap();
    }
    assert_eq!(approvals::list_alive(pool, id).await.unwrap(), [approval.clone(), push]);
    let but = sha('6');
    assert_eq!(approvals::kill_pushes_but(pool, id, Some(&but), noon()).await.unwrap(), 0);
    assert_eq!(approvals::kill_pushes_but(pool, id, None, noon()).await.unwrap(), 1);
    let mut finding = Finding {
        number: 1,
        fingerprint: "f".into(),
        severity: Severity::MustFix,
        path: "src/a.rs".into(),
        line: 3,
        title: "t".into(),
        body: "b".into(),
        suggestion: Some("c".into()),
        state: FindingState::Open,
        first_round: 1,
        last_round: 1,
    };
    findings::insert(pool, id, &finding).await.unwrap();
    findings::set_thread(pool, id, 1, "PRRT_1").await.unwrap();
    finding.last_round = 2;
    findings::insert(pool, id, &finding).await.unwrap();
    findings::mark(pool, id, 1, FindingState::Settled).await.unwrap();
    finding.state = FindingState::Settled;
    assert_eq!(findings::thread(pool, id, 1).await.unwrap().as_deref(), Some("PRRT_1"));
    let production = Environment::new("production").unwrap();
    for state in [DeploymentState::Queued, DeploymentState::Success] {
        let saved = deployments::save(pool, id, &production, &sha('6'), 1, state, noon()).await;
        saved.unwrap();
    }
    let run = db::command_runs::NewCommandRun {
        task: id,
        stage: StageKey::Code,
        kind: RunKind::Test,
        commands: vec!["make check".into()],
        sha: sha('6'),
        now: noon(),
    };
    let run = db::command_runs::insert(pool, run).await.unwrap();
    let broken = RunState::Broken { reason: "away".into() };
    db::command_runs::finish(pool, run, &broken, noon()).await.unwrap();
    let fetches = [
        Fetch { host: "a.test".into(), port: 81, package: Some("pad 1.0".into()), blocked: None },
        Fetch {
            host: "b.test".into(),
            port: 443,
            package: None,
            blocked: Some(Blocked::Address([10, 0, 0, 5].into())),
        },
    ];
    db::fetches::insert_all(pool, id, Fetcher::Run(run), &fetches, noon()).await.unwrap();
    let by_agent = Fetcher::Agent(agent);
    db::fetches::insert_all(pool, id, by_agent, &fetches[1..], noon()).await.unwrap();
    let mut follow_up = FollowUp {
        number: 1,
        agent,
        title: "t".into(),
        text: "zero: \u{FFFD}".into(),
        issue: None,
    };
    let (title, text) = (follow_up.title.clone(), "zero: \0".into());
    let noticed = db::follow_ups::NewFollowUp { task: id, agent, title, text, now: noon() };
    assert_eq!(db::follow_ups::insert(pool, &noticed).await.unwrap(), 1);
    db::follow_ups::set_issue(pool, id, 1, 12).await.unwrap();
    follow_up.issue = Some(12);
    assert!(db::follow_ups::set_issue(pool, id, 2, 12).await.is_err());
    let asking = reports::raise(pool, id, &ReportKind::Asking(1), noon()).await.unwrap();
    let applied = reports::Applied { version: 1, github_id: Some(77), ..Default::default() };
    reports::applied(pool, asking, &applied, noon()).await.unwrap();

    let loaded = situations::load(&mut connection, id).await.unwrap();
    assert_eq!(loaded.repository, repository());
    assert_eq!(loaded.policy, new_task().policy);
    assert_eq!(loaded.task.requested_by, Some(person()));
    assert_eq!(loaded.stages.len(), 1);
    assert_eq!(loaded.plans, [plan]);
    assert_eq!(loaded.approvals, [approval]);
    assert_eq!(loaded.findings, [finding]);
    assert_eq!(loaded.follow_ups, [follow_up]);
    let by: Vec<Fetcher> = loaded.fetches.iter().map(|fetched| fetched.by).collect();
    assert_eq!(by, [Fetcher::Run(run), Fetcher::Run(run), by_agent]);
    assert!(loaded.fetches.iter().map(|one| &one.fetch).eq(fetches.iter().chain(&fetches[1..])));
    assert_eq!(loaded.agents.iter().map(|it| it.id).collect::<Vec<_>>(), [agent]);
    assert_eq!(loaded.runs[0].state, broken);
    assert_eq!(loaded.deployments[0].state, DeploymentState::Success);
    assert_eq!(loaded.asked, [(1, CommentId(77))]);

    assert_eq!(approvals::kill_all(pool, id, noon()).await.unwrap(), 1);
    assert!(approvals::list_alive(pool, id).await.unwrap().is_empty());
}

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
    ledger::mark_unknown(pool, id, "timeout", noon()).await.unwrap();
    ledger::mark_done(pool, id, Some(3), noon()).await.unwrap();
    assert!(ledger::mark_failed(pool, id, "late", noon()).await.is_err());
    let entry = ledger::load(pool, id).await.unwrap();
    assert_eq!((entry.state, entry.github_id), (ledger::ActState::Done, Some(3)));
    assert_eq!(entry.act, act.act);
}

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
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
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
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
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
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
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
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
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

#[tokio::test]
async fn a_token_finds_its_agent_until_the_agent_ends() {
    let database = TestDatabase::new().await;
    let pool = &database.pool;
    let task = with_task(pool).await;
    let mut connection = pool.acquire().await.unwrap();
    let agent = with_agent(&mut connection, task, None).await;
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

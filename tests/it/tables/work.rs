//! Tasks, their stages and agents, and all that belongs to them.

use super::*;

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
        part: None,
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

async fn planned(pool: &PgPool, id: TaskId) -> Plan {
    let body = PlanOutcome {
        summary: "s".into(),
        steps: vec![],
        acceptance: vec!["works".into()],
        risks: vec![],
        questions: vec![],
    };
    let input_hash = new_task().input_hash;
    let plan = Plan { number: 1, hash: plan_hash(), input_hash, body };
    plans::insert(pool, id, &plan, noon()).await.unwrap();
    plan
}

/// Approved are a plan and a push; the push's approval does not hold any more.
async fn approved(pool: &PgPool, id: TaskId) -> Approval {
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
    approval
}

/// A finding of two rounds, settled and with its thread.
async fn found(pool: &PgPool, id: TaskId) -> Finding {
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
    finding
}

async fn deployed(pool: &PgPool, id: TaskId) {
    let production = Environment::new("production").unwrap();
    for state in [DeploymentState::Queued, DeploymentState::Success] {
        let saved = deployments::save(pool, id, &production, &sha('6'), 1, state, noon()).await;
        saved.unwrap();
    }
}

/// A run that broke off, and why.
async fn broken_run(pool: &PgPool, id: TaskId) -> (CommandRunId, RunState) {
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
    (run, broken)
}

/// What a run fetched, and what an agent did not get.
async fn fetched(pool: &PgPool, id: TaskId, run: CommandRunId, agent: AgentId) -> Vec<Fetched> {
    let let_through =
        Fetch { host: "a.test".into(), port: 81, package: Some("pad 1.0".into()), blocked: None };
    let blocked = Some(Blocked::Address([10, 0, 0, 5].into()));
    let blocked = Fetch { host: "b.test".into(), port: 443, package: None, blocked };
    let both = [let_through.clone(), blocked.clone()];
    let (by_run, by_agent) = (Fetcher::Run(run), Fetcher::Agent(agent));
    db::fetches::insert_all(pool, id, by_run, &both, noon()).await.unwrap();
    db::fetches::insert_all(pool, id, by_agent, &both[1..], noon()).await.unwrap();
    [(by_run, let_through), (by_run, blocked.clone()), (by_agent, blocked)]
        .map(|(by, fetch)| Fetched { by, fetch })
        .into()
}

/// What an agent noticed, with the issue that was opened for it.
async fn noticed(pool: &PgPool, id: TaskId, agent: AgentId) -> FollowUp {
    let (title, text) = ("t".into(), "zero: \0".into());
    let new = db::follow_ups::NewFollowUp { task: id, agent, title, text, now: noon() };
    assert_eq!(db::follow_ups::insert(pool, &new).await.unwrap(), 1);
    db::follow_ups::set_issue(pool, id, 1, 12).await.unwrap();
    assert!(db::follow_ups::set_issue(pool, id, 2, 12).await.is_err());
    let text = "zero: \u{FFFD}".into();
    FollowUp { number: 1, agent, title: "t".into(), text, issue: Some(12) }
}

async fn asked(pool: &PgPool, id: TaskId) {
    let asking = reports::raise(pool, id, &ReportKind::Asking(1), noon()).await.unwrap();
    let applied = reports::Applied { version: 1, github_id: Some(77), ..Default::default() };
    reports::applied(pool, asking, &applied, noon()).await.unwrap();
}

#[tokio::test]
async fn a_task_is_loaded_with_all_that_belongs_to_it() {
    let (database, id, agent) = with_agent_at_work().await;
    let pool = &database.pool;
    let (plan, approval) = (planned(pool, id).await, approved(pool, id).await);
    let finding = found(pool, id).await;
    deployed(pool, id).await;
    let (run, broken) = broken_run(pool, id).await;
    let fetches = fetched(pool, id, run, agent).await;
    let follow_up = noticed(pool, id, agent).await;
    asked(pool, id).await;

    let mut connection = pool.acquire().await.unwrap();
    let loaded = situations::load(&mut connection, id).await.unwrap();
    assert_eq!(loaded.repository, repository());
    assert_eq!(loaded.policy, new_task().policy);
    assert_eq!(loaded.task.requested_by, Some(person()));
    assert_eq!(loaded.stages.len(), 1);
    assert_eq!(loaded.plans, [plan]);
    assert_eq!(loaded.approvals, [approval]);
    assert_eq!(loaded.findings, [finding]);
    assert_eq!(loaded.follow_ups, [follow_up]);
    assert_eq!(loaded.fetches, fetches);
    assert_eq!(loaded.agents.iter().map(|it| it.id).collect::<Vec<_>>(), [agent]);
    assert_eq!(loaded.runs[0].state, broken);
    assert_eq!(loaded.deployments[0].state, DeploymentState::Success);
    assert_eq!(loaded.asked, [(1, CommentId(77))]);

    assert_eq!(approvals::kill_all(pool, id, noon()).await.unwrap(), 1);
    assert!(approvals::list_alive(pool, id).await.unwrap().is_empty());
}

//! Puts together everything that is known at one moment.

use sqlx::PgConnection;

use super::{Failure, Parts};
use crate::{
    db::{ledger, repositories, situations, tasks, usage},
    model::{Facts, Repository, Server, Situation, TaskId},
    queue,
    workflow::policy::within,
};

/// The situation of a task, without facts from GitHub.
pub(super) async fn of_task(parts: &Parts, task: TaskId) -> Result<Situation, Failure> {
    let mut connection = parts.pool.acquire().await?;
    let repository = tasks::load(&mut *connection, task).await?.repository;
    let repository = repositories::load(&mut *connection, repository).await?;
    load(parts, &mut connection, &repository, Some(task), Facts::default()).await
}

/// The situation that an act is performed in.
pub(super) async fn of_act(parts: &Parts, row: &ledger::Entry) -> Result<Situation, Failure> {
    if let Some(task) = row.task {
        return of_task(parts, task).await;
    }
    let mut connection = parts.pool.acquire().await?;
    let repository = repositories::load(&mut *connection, row.repository).await?;
    load(parts, &mut connection, &repository, None, Facts::default()).await
}

/// Loads the rows and joins them with what is known otherwise.
pub(super) async fn load(
    parts: &Parts,
    connection: &mut PgConnection,
    repository: &Repository,
    task: Option<TaskId>,
    facts: Facts,
) -> Result<Situation, Failure> {
    let settings = &parts.settings;
    let server = server(parts, connection, repository, task).await?;
    let mut situation = Situation {
        now: parts.clock.now(),
        name: settings.name.clone(),
        slug: parts.identity.slug.clone(),
        repository: repository.clone(),
        policy: repositories::policy(&mut *connection, repository.id)
            .await?
            .map(|(_, policy)| policy)
            .unwrap_or_default(),
        task: None,
        stages: Vec::new(),
        plans: Vec::new(),
        approvals: Vec::new(),
        findings: Vec::new(),
        questions: Vec::new(),
        follow_ups: Vec::new(),
        audit_wishes: Vec::new(),
        agents: Vec::new(),
        runs: Vec::new(),
        fetches: Vec::new(),
        deployments: Vec::new(),
        asked: Vec::new(),
        tail: None,
        difference: None,
        server,
        facts,
    };
    if let Some(task) = task {
        let loaded = situations::load(connection, task).await?;
        situation.policy = loaded.policy;
        situation.task = Some(loaded.task);
        situation.stages = loaded.stages;
        situation.plans = loaded.plans;
        situation.approvals = loaded.approvals;
        situation.findings = loaded.findings;
        situation.questions = loaded.questions;
        situation.follow_ups = loaded.follow_ups;
        situation.audit_wishes = loaded.audit_wishes;
        situation.agents = loaded.agents;
        situation.runs = loaded.runs;
        situation.fetches = loaded.fetches;
        situation.deployments = loaded.deployments;
        situation.asked = loaded.asked;
    }
    situation.policy = within(situation.policy, &settings.limits);
    Ok(situation)
}

async fn server(
    parts: &Parts,
    connection: &mut PgConnection,
    repository: &Repository,
    task: Option<TaskId>,
) -> Result<Server, Failure> {
    let settings = &parts.settings;
    let now = parts.clock.now();
    let grants = settings.grants.iter().filter(|grant| grant.repository == repository.name);
    Ok(Server {
        paused: queue::paused(&mut *connection, Some(repository.id)).await?,
        no_sandbox: parts.runtime.remedy(),
        limits: settings.limits.clone(),
        provider: settings.provider.clone(),
        providers: settings.providers.clone(),
        model: settings.model.clone(),
        repository_spent_today: usage::spent_today(&mut *connection, repository.id, now).await?,
        spent_today: usage::spent_today_in_all(&mut *connection, now).await?,
        open_pulls: tasks::count_open_pulls(&mut *connection, repository.id, task).await?,
        deploys_to: grants.map(|grant| grant.environment.clone()).collect(),
    })
}

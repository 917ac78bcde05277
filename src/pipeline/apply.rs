//! Makes the effects of a decision rows and jobs, in the decision's transaction.

mod task;

use sqlx::PgConnection;

use super::{Failure, Parts, perform};
use crate::{
    db::{
        agent_inbox, agents, approvals,
        command_runs::{self, NewCommandRun},
        deployments, findings, ledger, plans, questions, reports, repositories, stages,
        task_refs::{self, RefKind},
        tasks,
    },
    model::{
        Act, AgentId, BranchName, CancelledBy, Event, Inputs, Job, LedgerId, NewJob, Part, Policy,
        ReportId, ReportKind, Role, RunKind, Sha, Share, Situation, Stage, StageId, StageKey,
        StageState, Stop, Task, TaskId, Timestamp, What,
    },
    workflow::{Effect, restart_pause},
};

/// Effects being applied.
pub(super) struct Apply<'a> {
    parts: &'a Parts,
    situation: &'a Situation,
    event: &'a Event,
    rule: &'a str,
    now: Timestamp,
    /// The task as it will be saved.
    task: Option<Task>,
    /// The policy that it keeps.
    policy: Policy,
    /// Its stages as they are being changed.
    stages: Vec<Stage>,
    jobs: Vec<NewJob>,
    acts: u32,
}

impl<'a> Apply<'a> {
    pub fn new(
        parts: &'a Parts,
        situation: &'a Situation,
        event: &'a Event,
        rule: &'a str,
    ) -> Self {
        Self {
            parts,
            situation,
            event,
            rule,
            now: situation.now,
            task: situation.task.clone(),
            policy: situation.policy.clone(),
            stages: situation.stages.clone(),
            jobs: Vec::new(),
            acts: 0,
        }
    }

    /// The task that the decision is about, also when it began with it.
    pub fn task_id(&self) -> Option<TaskId> {
        self.task.as_ref().map(|task| task.id)
    }

    /// What has to run now.
    pub fn into_jobs(self) -> Vec<NewJob> {
        self.jobs
    }

    /// Applies all effects and saves the task.
    pub async fn all(&mut self, tx: &mut PgConnection, effects: &[Effect]) -> Result<(), Failure> {
        for effect in effects {
            self.one(tx, effect).await?;
        }
        // What changes nothing is no new version: else a sweep would tell the same again and again.
        if let Some(task) = self.task.as_ref().filter(|_| !effects.is_empty()) {
            tasks::save(tx, task, task.version, self.now).await?;
        }
        Ok(())
    }

    /// One effect: what it changes of the task, its stages and its jobs, and the rows of it.
    async fn one(&mut self, tx: &mut PgConnection, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Open(new) => self.open(tx, new).await,
            Effect::Task { next } => self.task_state(next),
            Effect::Input { input, hash } => self.input(tx, input, hash).await,
            Effect::Outsider { login } => self.outsider(login),
            Effect::Budget { budget } => self.change(|task| task.budget = *budget),
            Effect::Provider { provider } => self.provider(tx, provider).await,
            Effect::Rounds { rounds } => self.change(|task| task.rounds = *rounds),
            Effect::Pull { number, head } => self.pull(tx, *number, head).await,
            Effect::Merged { commit } => self.change(|task| task.merged = Some(commit.clone())),
            Effect::Stage { key, next } => {
                self.stage(tx, *key, next.clone(), None).await.map(|_| ())
            }
            Effect::StartAgent { stage, part, resumes, inputs, base } => {
                self.start(tx, *stage, *part, *resumes, inputs, base).await
            }
            Effect::StartNow { agent } => self.start_now(tx, *agent).await,
            Effect::StopAgents { stop, by } => self.stop(tx, *stop, by).await,
            Effect::FollowUp { agent, message } => {
                Ok(agent_inbox::insert(tx, *agent, message, self.now).await?)
            }
            Effect::StartRun { stage, kind, commands, sha } => {
                self.start_run(tx, *stage, *kind, commands, sha).await
            }
            Effect::Publish { stage, agent, head, branch } => {
                self.publish(tx, *stage, *agent, head, branch).await
            }
            Effect::Discard => self.discard(tx).await,
            Effect::Plan(plan) => {
                let task = self.task()?.id;
                Ok(plans::insert(tx, task, plan, self.now).await?)
            }
            Effect::Approve(approval) => {
                let task = self.task()?.id;
                Ok(approvals::insert(tx, task, approval, Some(self.event.id)).await?)
            }
            Effect::Answer { question, answer } => {
                Ok(questions::answer(tx, *question, answer).await?)
            }
            Effect::Finding(finding) => {
                let task = self.task()?.id;
                Ok(findings::insert(tx, task, finding).await?)
            }
            Effect::Deployment { environment, sha, attempt, state } => {
                let (task, now) = (self.task()?.id, self.now);
                deployments::save(tx, task, environment, sha, *attempt, *state, now).await?;
                Ok(())
            }
            Effect::Act(act) => self.act(tx, act).await,
            Effect::Raise(kind) => self.raise(tx, kind).await,
            Effect::Switch { off } => self.switch(tx, *off).await,
        }
    }

    fn task(&mut self) -> Result<&mut Task, Failure> {
        self.task
            .as_mut()
            .ok_or_else(|| Failure::Hopeless("the effect is about no task".to_owned()))
    }

    /// Gives a stage its next state; a new one where there is none yet.
    async fn stage(
        &mut self,
        tx: &mut PgConnection,
        key: StageKey,
        next: StageState,
        starts_at: Option<&Sha>,
    ) -> Result<StageId, Failure> {
        let task = self.task()?.id;
        let known = self.stages.iter().find(|stage| stage.key == key);
        let (before, round, head) = match known {
            Some(stage) => (stage.state.clone(), stage.round, stage.head.clone()),
            None => (StageState::Blocked, 0, None),
        };
        let next = before
            .to(next)
            .map_err(|error| Failure::Hopeless(format!("{}: {error}", key.name())))?;
        let round = round + u32::from(starts_at.is_some());
        let head = starts_at.cloned().or(head);
        let id = stages::save(&mut *tx, task, key, &next, round, head.as_ref(), self.now).await?;
        self.stages.retain(|stage| stage.key != key);
        self.stages.push(Stage { id, key, state: next, round, head, changed_at: self.now });
        Ok(id)
    }

    /// A new agent: its row, its stage, and the job that runs it after the stage's earlier ones.
    async fn start(
        &mut self,
        tx: &mut PgConnection,
        key: StageKey,
        part: Option<Part>,
        resumes: Option<AgentId>,
        inputs: &Inputs,
        base: &Sha,
    ) -> Result<(), Failure> {
        let task = self.task()?.id;
        if key == StageKey::Code {
            // The coder makes another head: what was approved was the one before.
            approvals::kill_pushes_but(&mut *tx, task, None, self.now).await?;
        }
        let stage = self.stage(tx, key, StageState::Blocked, None).await?;
        let role = part.map_or(key.role(), |part| part.role);
        let server = &self.situation.server;
        let (provider, model) = self.policy.played_by(role, &server.provider, &server.model);
        let new = agents::NewAgent {
            task,
            stage,
            part,
            provider: provider.to_owned(),
            model: model.to_owned(),
            resumes,
            inputs: inputs.clone(),
            base: base.clone(),
            salt: self.parts.settings.salt,
            now: self.now,
        };
        let shares = self.shares(role, provider);
        let agent = agents::insert(&mut *tx, new).await?;
        self.stage(tx, key, StageState::Running(agent), Some(base)).await?;
        let mut run_at = self.now;
        // Whoever asks for it by a command does not wait.
        if matches!(self.event.what, What::AgentFinished { .. }) {
            run_at += restart_pause(&self.situation.agents, key);
        }
        if run_at > self.now {
            agents::set_not_before(&mut *tx, agent, Some(run_at)).await?;
        }
        self.run_agent(agent, stage, shares, run_at);
        Ok(())
    }

    /// The job that runs an agent; where it waits already, it comes forward.
    fn run_agent(&mut self, agent: AgentId, stage: StageId, shares: Vec<Share>, at: Timestamp) {
        let dedup = format!("agent:{agent}");
        self.job(Job::RunAgent { agent }, Some(format!("stage:{stage}")), Some(dedup));
        if let Some(job) = self.jobs.last_mut() {
            job.shares = shares;
            job.run_at = at;
        }
    }

    /// What an agent has a share in, by the server's limits and the repository's own.
    fn shares(&self, role: Role, provider: &str) -> Vec<Share> {
        let limits = &self.situation.server.limits;
        let of_role = limits.role_agents.get(&role);
        let of_role =
            of_role.map(|most| Share { name: format!("role:{}", role.name()), most: *most });
        let of_provider = limits.provider_agents.get(provider);
        let of_provider =
            of_provider.map(|most| Share { name: format!("provider:{provider}"), most: *most });
        let own = self.situation.policy.agents;
        let own = own.map(|most| Share { name: format!("repo:{}", self.event.repository), most });
        [of_role, of_provider, own].into_iter().flatten().collect()
    }

    /// An agent that waits for its time does not wait any more.
    async fn start_now(&mut self, tx: &mut PgConnection, agent: AgentId) -> Result<(), Failure> {
        agents::set_not_before(tx, agent, None).await?;
        let known = self.situation.agent(agent);
        if let Some(stage) = known.and_then(|agent| self.situation.stage(agent.stage)) {
            self.run_agent(agent, stage.id, Vec::new(), self.now);
        }
        Ok(())
    }

    async fn start_run(
        &mut self,
        tx: &mut PgConnection,
        key: StageKey,
        kind: RunKind,
        commands: &[String],
        sha: &Sha,
    ) -> Result<(), Failure> {
        let new = NewCommandRun {
            task: self.task()?.id,
            stage: key,
            kind,
            commands: commands.to_vec(),
            sha: sha.clone(),
            now: self.now,
        };
        let run = command_runs::insert(&mut *tx, new).await?;
        let stage = self.stage(tx, key, StageState::Commands(run), None).await?;
        self.job(Job::RunCommands { run }, Some(format!("stage:{stage}")), None);
        Ok(())
    }

    /// The branch is the task's before it is there, so that its webhooks find the task.
    async fn publish(
        &mut self,
        tx: &mut PgConnection,
        key: StageKey,
        agent: AgentId,
        head: &Sha,
        branch: &BranchName,
    ) -> Result<(), Failure> {
        let task = self.task()?;
        task.branch = Some(branch.clone());
        let (id, repository) = (task.id, self.event.repository);
        task_refs::insert(&mut *tx, repository, RefKind::Branch, branch.as_str(), id).await?;
        let next = StageState::Publishing { from: agent, head: head.clone() };
        let stage = self.stage(tx, key, next, None).await?;
        self.job(Job::Publish { stage, agent }, Some(format!("push:{id}")), None);
        Ok(())
    }

    async fn discard(&mut self, tx: &mut PgConnection) -> Result<(), Failure> {
        let task = self.task()?;
        agents::discard_unpublished(tx, task.id, task.head.as_ref()).await?;
        Ok(())
    }

    async fn stop(
        &mut self,
        tx: &mut PgConnection,
        stop: Stop,
        by: &CancelledBy,
    ) -> Result<(), Failure> {
        let task = self.task()?.id;
        agents::want(&mut *tx, task, stop, by).await?;
        Ok(())
    }

    /// One ledger row, and the job that performs it. The marker is the same for every repetition of
    /// this decision.
    async fn act(&mut self, tx: &mut PgConnection, act: &Act) -> Result<(), Failure> {
        self.acts += 1;
        let subject = format!("{}:{}", self.event.id, self.acts);
        let task = self.task_id();
        let name = &self.parts.settings.name;
        let marker = crate::report::marker(name, task.unwrap_or(TaskId(0)), act.name(), &subject);
        let repository = self.event.repository;
        let new = ledger::NewAct {
            repository,
            task,
            event: Some(self.event.id),
            act: act.clone(),
            marker,
            rule: self.rule.to_owned(),
            now: self.now,
        };
        let id: LedgerId = ledger::intend(&mut *tx, &new).await?;
        let key = perform::key(task, Some(self.event.id), id);
        self.job(Job::Perform { act: id }, Some(key), Some(format!("perform:{id}")));
        Ok(())
    }

    async fn raise(&mut self, tx: &mut PgConnection, kind: &ReportKind) -> Result<(), Failure> {
        let task = self.task()?.id;
        let id: ReportId = reports::raise(&mut *tx, task, kind, self.now).await?;
        self.jobs.push(NewJob::say(id, Some(self.event.repository), self.now));
        Ok(())
    }

    /// Off: every agent of the repository is asked to end; nothing is claimed or written any more.
    async fn switch(&mut self, tx: &mut PgConnection, off: bool) -> Result<(), Failure> {
        let repository = self.event.repository;
        repositories::set_off(&mut *tx, repository, off).await?;
        if off {
            let by = match self.event.actor.account() {
                Some(person) => CancelledBy::Person(person.id),
                None => CancelledBy::Operator,
            };
            for task in tasks::list_open_of(&mut *tx, repository).await? {
                agents::want(&mut *tx, task, Stop::Interrupt, &by).await?;
            }
        }
        // Once it is on again, the sweep of reports says what was left unsaid.
        Ok(())
    }

    fn job(&mut self, job: Job, key: Option<String>, dedup: Option<String>) {
        let repository = Some(self.event.repository);
        self.jobs.push(NewJob {
            job,
            key,
            dedup,
            priority: 0,
            repository,
            shares: Vec::new(),
            run_at: self.now,
        });
    }
}

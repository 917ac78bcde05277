//! Makes the effects of a decision rows and jobs, in the decision's transaction.

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
        Act, AgentId, CancelledBy, Event, Inputs, Job, LedgerId, NewJob, Part, Policy, ReportId,
        ReportKind, Role, Sha, Share, Situation, Stage, StageId, StageKey, StageState, Stop, Task,
        TaskId, TaskState, Timestamp, What,
    },
    workflow::{Effect, NewTask, restart_pause},
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

    async fn one(&mut self, tx: &mut PgConnection, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::Open(new) => self.open(tx, new).await?,
            Effect::Task { next } => self.task_state(next)?,
            Effect::Input { input, hash } => {
                let task = self.task()?;
                task.input = input.clone();
                task.input_hash = hash.clone();
                let id = task.id;
                approvals::kill_all(&mut *tx, id, self.now).await?;
            }
            Effect::Outsider { login } => {
                let outsiders = &mut self.task()?.input.outsiders;
                if !outsiders.contains(login) {
                    outsiders.push(login.clone());
                }
            }
            Effect::Budget { budget } => self.task()?.budget = *budget,
            Effect::Provider { provider } => {
                self.policy.play_by(provider, &self.situation.server.provider);
                let task = self.task()?.id;
                tasks::set_roles(&mut *tx, task, &self.policy.roles).await?;
            }
            Effect::Rounds { rounds } => self.task()?.rounds = *rounds,
            Effect::Pull { number, head } => self.pull(tx, *number, head).await?,
            Effect::Merged { commit } => self.task()?.merged = Some(commit.clone()),
            Effect::Stage { key, next } => {
                self.stage(tx, *key, next.clone(), None).await?;
            }
            Effect::StartAgent { stage, part, resumes, inputs, base } => {
                self.start(tx, *stage, *part, *resumes, inputs, base).await?;
            }
            Effect::StartNow { agent } => {
                agents::set_not_before(&mut *tx, *agent, None).await?;
                let known = self.situation.agent(*agent);
                if let Some(stage) = known.and_then(|agent| self.situation.stage(agent.stage)) {
                    self.run_agent(*agent, stage.id, Vec::new(), self.now);
                }
            }
            Effect::StopAgents { stop, by } => self.stop(tx, *stop, by).await?,
            Effect::FollowUp { agent, message } => {
                agent_inbox::insert(&mut *tx, *agent, message, self.now).await?;
            }
            Effect::StartRun { stage, kind, commands, sha } => {
                let task = self.task()?.id;
                let new = NewCommandRun {
                    task,
                    stage: *stage,
                    kind: *kind,
                    commands: commands.clone(),
                    sha: sha.clone(),
                    now: self.now,
                };
                let run = command_runs::insert(&mut *tx, new).await?;
                let stage = self.stage(tx, *stage, StageState::Commands(run), None).await?;
                self.job(Job::RunCommands { run }, Some(format!("stage:{stage}")), None);
            }
            Effect::Publish { stage, agent, head, branch } => {
                let task = self.task()?;
                task.branch = Some(branch.clone());
                let id = task.id;
                task_refs::insert(
                    &mut *tx,
                    self.event.repository,
                    RefKind::Branch,
                    branch.as_str(),
                    id,
                )
                .await?;
                let next = StageState::Publishing { from: *agent, head: head.clone() };
                let stage = self.stage(tx, *stage, next, None).await?;
                self.job(Job::Publish { stage, agent: *agent }, Some(format!("push:{id}")), None);
            }
            Effect::Discard => {
                let task = self.task()?;
                agents::discard_unpublished(&mut *tx, task.id, task.head.as_ref()).await?;
            }
            Effect::Plan(plan) => {
                let task = self.task()?.id;
                plans::insert(&mut *tx, task, plan, self.now).await?;
            }
            Effect::Approve(approval) => {
                let task = self.task()?.id;
                approvals::insert(&mut *tx, task, approval, Some(self.event.id)).await?;
            }
            Effect::Answer { question, answer } => {
                questions::answer(&mut *tx, *question, answer).await?;
            }
            Effect::Finding(finding) => {
                let task = self.task()?.id;
                findings::insert(&mut *tx, task, finding).await?;
            }
            Effect::Deployment { environment, sha, attempt, state } => {
                let task = self.task()?.id;
                deployments::save(&mut *tx, task, environment, sha, *attempt, *state, self.now)
                    .await?;
            }
            Effect::Act(act) => self.act(tx, act).await?,
            Effect::Raise(kind) => self.raise(tx, kind).await?,
            Effect::Switch { off } => self.switch(tx, *off).await?,
        }
        Ok(())
    }

    fn task(&mut self) -> Result<&mut Task, Failure> {
        self.task
            .as_mut()
            .ok_or_else(|| Failure::Hopeless("the effect is about no task".to_owned()))
    }

    async fn open(&mut self, tx: &mut PgConnection, new: &NewTask) -> Result<(), Failure> {
        let repository = self.situation.repository.id;
        let policy = &self.policy;
        let row = tasks::NewTask {
            repository,
            origin: new.origin,
            number: new.number,
            input: new.input.clone(),
            input_hash: new.input_hash.clone(),
            policy: policy.clone(),
            requested_by: new.requested_by.clone(),
            pull: new.pull.clone(),
            now: self.now,
        };
        let id = tasks::open(&mut *tx, row).await?;
        self.task = Some(tasks::load(&mut *tx, id).await?.task);
        Ok(())
    }

    fn task_state(&mut self, next: &TaskState) -> Result<(), Failure> {
        let ends = next.is_final() || matches!(next, TaskState::Parked(_));
        let task = self.task()?;
        let illegal = |error: crate::model::InvalidTransition| Failure::Hopeless(error.to_string());
        task.state = task.state.clone().to(next.clone()).map_err(illegal)?;
        task.endings += u32::from(ends);
        Ok(())
    }

    async fn pull(
        &mut self,
        tx: &mut PgConnection,
        number: u64,
        head: &Sha,
    ) -> Result<(), Failure> {
        let repository = self.event.repository;
        let task = self.task()?;
        task.pull = Some(number);
        task.head = Some(head.clone());
        let id = task.id;
        approvals::kill_pushes_but(&mut *tx, id, Some(head), self.now).await?;
        task_refs::insert(&mut *tx, repository, RefKind::Pull, &number.to_string(), id).await?;
        task_refs::insert(&mut *tx, repository, RefKind::Sha, head.as_str(), id).await?;
        Ok(())
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

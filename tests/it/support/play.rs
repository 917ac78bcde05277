//! A task played in memory: decisions are applied to a situation, without a database.

use baton::{
    model::*,
    workflow::{Decision, Effect, decide},
};
use chrono::TimeZone;
use uuid::Uuid;

/// A situation and what happened in it.
#[derive(Clone)]
pub struct Play {
    pub s: Situation,
    pub rules: Vec<String>,
    next: i64,
}

pub fn sha(n: u8) -> Sha {
    Sha::new(format!("{n:02x}").repeat(20)).unwrap()
}

pub fn mara() -> Person {
    Person { id: ActorId(7), login: Login::new("mara").unwrap() }
}

pub fn now() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2026, 3, 4, 14, 2, 0).unwrap()
}

/// A repository with tests, a deployment and its verification; no task yet.
pub fn situation() -> Situation {
    let environment = Environment::new("production").unwrap();
    let policy = Policy {
        until: Until::Deploy,
        test: vec!["node --test".into()],
        deploy: Some(DeployPolicy {
            environment: environment.clone(),
            commands: vec!["./deploy".into()],
        }),
        verify: vec!["./verify".into()],
        ..Policy::default()
    };
    Situation {
        now: now(),
        name: "baton".into(),
        slug: "baton-app".into(),
        repository: Repository {
            id: RepositoryId(9),
            installation: InstallationId(3),
            name: RepositoryName::new("acme", "files").unwrap(),
            default_branch: BranchName::new("main").unwrap(),
            private: false,
            off: false,
            policy_error: None,
        },
        policy,
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
        server: Server {
            paused: None,
            no_sandbox: None,
            limits: Limits { accounts: vec!["acme".into()], ..Limits::default() },
            provider: "claude".into(),
            providers: vec!["claude".into(), "codex".into()],
            model: "claude-sonnet-4-5".into(),
            repository_spent_today: Micros::ZERO,
            spent_today: Micros::ZERO,
            open_pulls: 0,
            deploys_to: vec![environment],
        },
        facts: Facts::default(),
    }
}

pub fn issue(open: bool) -> IssueFacts {
    let input = TaskInput {
        title: "Open range loses the last byte".into(),
        body: "bytes=500- is one byte short".into(),
        author: "mara".into(),
        comments: Vec::new(),
        outsiders: Vec::new(),
    };
    IssueFacts { open, labels: vec!["baton".into()], input, is_pull: false }
}

pub fn pull(head: Sha) -> PullFacts {
    PullFacts {
        number: 2,
        open: true,
        merged: None,
        head,
        branch: Some(BranchName::new("baton/1-open-range").unwrap()),
        base: BranchName::new("main").unwrap(),
        draft: true,
        author: ActorId(1),
        author_login: Login::new("baton-app[bot]").unwrap(),
    }
}

fn step(role: Option<StepRole>) -> PlanStep {
    PlanStep { title: "Correct it".into(), files: vec!["range.mjs".into()], role }
}

/// The same plan, with a step of each of these roles.
pub fn divided_outcome(roles: &[StepRole]) -> Outcome {
    let Outcome::Plan(plan) = plan_outcome() else { unreachable!("it is a plan") };
    let steps = roles.iter().map(|role| step(Some(*role))).collect();
    Outcome::Plan(PlanOutcome { steps, ..plan })
}

pub fn analysis_outcome() -> Outcome {
    Outcome::Analysis(AnalysisOutcome { summary: "Two callers.".into(), report: "a:1, b:2".into() })
}

pub fn plan_outcome() -> Outcome {
    Outcome::Plan(PlanOutcome {
        summary: "Correct the end of open ranges.".into(),
        steps: vec![step(None)],
        acceptance: vec!["bytes=500- gives all bytes to the end".into()],
        risks: Vec::new(),
        questions: Vec::new(),
    })
}

pub fn code_outcome() -> Outcome {
    Outcome::Code(CodeOutcome {
        summary: "Corrected.".into(),
        tests_run: "node --test".into(),
        notes: "".into(),
    })
}

pub fn review_outcome(remarks: &[&str]) -> Outcome {
    let finding = |title: &&str| ReviewFinding {
        severity: Severity::MustFix,
        path: "range.mjs".into(),
        line: 12,
        title: Untrusted((*title).to_owned()),
        body: "It shows when asked for bytes=9-2.".into(),
        suggestion: None,
    };
    Outcome::Review(ReviewOutcome {
        verdict: if remarks.is_empty() { Verdict::Approve } else { Verdict::Changes },
        summary: "Read.".into(),
        findings: remarks.iter().map(finding).collect(),
        settled: Vec::new(),
        looked_at: Vec::new(),
        not_looked_at: Vec::new(),
    })
}

pub fn deploy_outcome(ready: bool) -> Outcome {
    Outcome::Deploy(DeployOutcome {
        ready,
        summary: "".into(),
        watch: Vec::new(),
        rollback: "".into(),
    })
}

pub fn verify_outcome(passed: bool) -> Outcome {
    Outcome::Verify(VerifyOutcome { passed, summary: "".into(), criteria: Vec::new() })
}

impl Play {
    pub fn new() -> Self {
        Self { s: situation(), rules: Vec::new(), next: 1 }
    }

    fn id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// Lets something happen on issue 1, done by mara with write access.
    pub fn person(&mut self, what: What) -> Decision {
        self.s.facts = Facts {
            permission: Some(Permission::Maintain),
            issue: Some(IssueFacts {
                labels: (what != What::TaskUnassigned)
                    .then(|| "baton".into())
                    .into_iter()
                    .collect(),
                ..issue(true)
            }),
            pull: self.s.task.as_ref().and_then(|task| task.head.clone()).map(pull),
            default_head: Some(sha(1)),
        };
        self.happens(Actor::Person(mara()), what)
    }

    pub fn command(&mut self, command: Command) -> Decision {
        self.person(What::CommandGiven { command, form: Form::Typed, comment: Some(CommentId(50)) })
    }

    pub fn happens(&mut self, actor: Actor, what: What) -> Decision {
        let outside = matches!(actor, Actor::Person(_));
        if outside && self.s.task.as_ref().is_some_and(|task| task.state.is_final()) {
            self.s = Situation {
                server: self.s.server.clone(),
                facts: self.s.facts.clone(),
                ..situation()
            };
        }
        let event = Event {
            id: EventId(self.id()),
            at: now(),
            repository: RepositoryId(9),
            subject: Subject::Issue(1),
            actor,
            cause: Cause::Sweep,
            what,
        };
        let decision = decide(&self.s, &event);
        for effect in &decision.effects {
            self.apply(effect);
        }
        self.rules.push(decision.rule.clone());
        decision
    }

    /// Ends the newest agent of a stage.
    pub fn agent_ends(
        &mut self,
        key: StageKey,
        end: End,
        outcome: Option<Outcome>,
        head: Option<Sha>,
    ) -> Decision {
        let agent =
            self.s.agents.iter_mut().rev().find(|agent| agent.stage == key).expect("an agent runs");
        agent.state = AgentState::Ended(end);
        agent.outcome = outcome;
        agent.head = head;
        let id = agent.id;
        self.s.facts = Facts { default_head: Some(sha(1)), ..Facts::default() };
        self.happens(Actor::System, What::AgentFinished { agent: id })
    }

    pub fn succeeds(&mut self, key: StageKey, outcome: Outcome, head: Option<Sha>) -> Decision {
        self.agent_ends(key, End::Succeeded, Some(outcome), head)
    }

    /// Ends the newest agent of a stage with a question that has two options; the first counts after a day.
    pub fn asks(&mut self, key: StageKey) -> Decision {
        let number = u32::try_from(self.s.questions.len()).unwrap() + 1;
        let id = QuestionId(i64::from(number));
        let agent = self.s.last_agent(key).expect("an agent runs").id;
        let fallback = Some(Fallback { option: 1, at: now() + chrono::TimeDelta::days(1) });
        let options = vec!["round up".into(), "round down".into()];
        let text = "Which way?".into();
        self.s.questions.push(Question {
            id,
            number,
            agent,
            text,
            options,
            fallback,
            answer: None,
        });
        self.agent_ends(key, End::Asked(id), None, Some(sha(3)))
    }

    /// Lets the newest agent of a stage notice something outside of its task. Gives whose it is.
    pub fn notices(&mut self, key: StageKey) -> AgentId {
        let agent = self.s.last_agent(key).expect("an agent runs").id;
        let number = u32::try_from(self.s.follow_ups.len()).unwrap() + 1;
        let (title, text) = ("The log grows".into(), "It is never cut.".into());
        self.s.follow_ups.push(FollowUp { number, agent, title, text, issue: None });
        self.happens(Actor::System, What::FollowUpNoted { number });
        agent
    }

    /// The last agent of a stage wants an audit.
    pub fn wants_audit(&mut self, key: StageKey) -> Decision {
        let agent = self.s.last_agent(key).expect("an agent runs").id;
        let wish = AuditWish { agent, reason: "It parses a header".into(), paths: Vec::new() };
        self.s.audit_wishes.push(wish.clone());
        self.happens(Actor::System, What::AuditWanted { wish })
    }

    pub fn run_ends(&mut self, passed: bool) -> Decision {
        let run = self.s.runs.last_mut().expect("a run was started");
        run.state = RunState::Ended { results: Vec::new(), passed };
        let id = run.id;
        self.happens(Actor::System, What::CommandsFinished { run: id })
    }

    pub fn merge(&mut self) -> Decision {
        let head = self.s.task.as_ref().and_then(|task| task.head.clone()).expect("a head");
        let facts = PullFacts { merged: Some(sha(9)), open: false, ..pull(head) };
        self.s.facts = Facts { pull: Some(facts), ..Facts::default() };
        self.happens(Actor::Person(mara()), What::PullMerged { commit: sha(9) })
    }

    fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Open(new) => self.open(new),
            Effect::Task { next } => self.task_state(next),
            Effect::Input { input, hash } => self.task(|task| {
                task.input = input.clone();
                task.input_hash = hash.clone();
            }),
            Effect::Outsider { login } => {
                self.task(|task| task.input.outsiders.push(login.clone()));
            }
            Effect::Budget { budget } => self.task(|task| task.budget = *budget),
            Effect::Provider { provider } => {
                let usual = self.s.server.provider.clone();
                self.s.policy.play_by(provider, &usual);
            }
            Effect::Rounds { rounds } => self.task(|task| task.rounds = *rounds),
            Effect::Pull { number, head } => self.task(|task| {
                task.pull = Some(*number);
                task.head = Some(head.clone());
            }),
            Effect::Merged { commit } => self.task(|task| task.merged = Some(commit.clone())),
            Effect::Stage { key, next } => self.stage(*key, next.clone(), false),
            Effect::StartAgent { stage, part, resumes, inputs, base } => {
                self.start(*stage, *part, *resumes, inputs, base);
            }
            Effect::StopAgents { stop, .. } => self.stop(*stop),
            Effect::StartRun { stage, kind, commands, sha } => {
                self.start_run(*stage, *kind, commands, sha);
            }
            Effect::Publish { stage, agent, head, .. } => {
                let next = StageState::Publishing { from: *agent, head: head.clone() };
                self.stage(*stage, next, false);
            }
            Effect::Discard => self.discard(),
            Effect::Plan(plan) => self.s.plans.push(plan.clone()),
            Effect::Approve(approval) => self.s.approvals.push(approval.clone()),
            Effect::Answer { question, answer } => {
                let asked = self.s.questions.iter_mut().find(|asked| asked.id == *question);
                asked.expect("the question is there").answer = Some(answer.clone());
            }
            Effect::Finding(finding) => {
                self.s.findings.retain(|other| other.number != finding.number);
                self.s.findings.push(finding.clone());
            }
            Effect::Deployment { environment, sha, attempt, state } => {
                self.deployment(environment, sha, *attempt, *state);
            }
            Effect::Switch { off } => self.s.repository.off = *off,
            Effect::StartNow { agent } => {
                let waiting = self.s.agents.iter_mut().find(|it| it.id == *agent).unwrap();
                waiting.not_before = None;
            }
            Effect::FollowUp { .. } | Effect::Act(_) | Effect::Raise(_) => {}
        }
    }

    fn task(&mut self, change: impl FnOnce(&mut Task)) {
        change(self.s.task.as_mut().expect("the effect is about a task"));
    }

    fn task_state(&mut self, next: &TaskState) {
        let ends = next.is_final() || matches!(next, TaskState::Parked(_));
        self.task(|task| {
            task.state = task.state.clone().to(next.clone()).unwrap();
            task.endings += u32::from(ends);
        });
    }

    fn stop(&mut self, stop: Stop) {
        let alive = |agent: &&mut Agent| !matches!(agent.state, AgentState::Ended(_));
        for agent in self.s.agents.iter_mut().filter(alive) {
            agent.wanted = Some(stop);
        }
    }

    fn start_run(&mut self, stage: StageKey, kind: RunKind, commands: &[String], sha: &Sha) {
        let id = CommandRunId(self.id());
        self.stage(stage, StageState::Commands(id), true);
        let (commands, sha) = (commands.to_vec(), sha.clone());
        let state = RunState::Pending;
        self.s.runs.push(CommandRun { id, stage, kind, commands, sha, state, at: now() });
    }

    fn discard(&mut self) {
        let published = self.s.task.as_ref().and_then(|task| task.head.clone());
        for agent in self.s.agents.iter_mut().filter(|agent| agent.head != published) {
            agent.head = None;
        }
    }

    fn deployment(
        &mut self,
        environment: &Environment,
        sha: &Sha,
        attempt: u32,
        state: DeploymentState,
    ) {
        self.s.deployments.retain(|other| other.attempt != attempt);
        let id = DeploymentId(i64::from(attempt));
        let (environment, sha) = (environment.clone(), sha.clone());
        self.s.deployments.push(Deployment { id, environment, sha, attempt, state });
    }

    fn open(&mut self, new: &baton::workflow::NewTask) {
        self.s.task = Some(Task {
            id: TaskId(1),
            origin: new.origin,
            number: new.number,
            generation: 1,
            state: TaskState::Open,
            version: 1,
            input: new.input.clone(),
            input_hash: new.input_hash.clone(),
            rounds: 0,
            max_rounds: self.s.policy.max_rounds,
            budget: self.s.policy.budget,
            spent: Micros::ZERO,
            requested_by: new.requested_by.clone(),
            pull: new.pull.as_ref().map(|(number, _)| *number),
            branch: None,
            head: new.pull.as_ref().map(|(_, head)| head.clone()),
            merged: None,
            opened_at: now(),
            endings: 0,
        });
    }

    fn stage(&mut self, key: StageKey, next: StageState, starts: bool) {
        if !self.s.stages.iter().any(|stage| stage.key == key) {
            let id = StageId(self.id());
            let state = StageState::Blocked;
            self.s.stages.push(Stage { id, key, state, round: 0, head: None, changed_at: now() });
            self.s.stages.sort_by_key(|stage| stage.key);
        }
        let stage = self.s.stages.iter_mut().find(|stage| stage.key == key).expect("just made");
        stage.state =
            stage.state.clone().to(next).unwrap_or_else(|error| panic!("{key:?}: {error}"));
        stage.round += u32::from(starts && matches!(stage.state, StageState::Running(_)));
    }

    fn start(
        &mut self,
        stage: StageKey,
        part: Option<Part>,
        resumes: Option<AgentId>,
        inputs: &Inputs,
        base: &Sha,
    ) {
        let id = AgentId(self.id());
        self.stage(stage, StageState::Running(id), true);
        let attempt = self.s.agents.iter().filter(|agent| agent.stage == stage).count() + 1;
        self.s.agents.push(Agent {
            id,
            stage,
            role: part.map_or(stage.role(), |part| part.role),
            subtask: part.map(|part| part.subtask),
            attempt: u32::try_from(attempt).unwrap(),
            provider: "claude".into(),
            model: "claude-sonnet-4-5".into(),
            session: SessionId(Uuid::nil()),
            resumes,
            inputs: inputs.clone(),
            base: base.clone(),
            state: AgentState::Running,
            outcome: None,
            head: None,
            cost: Micros(140_000),
            footprint: Footprint::default(),
            tally: Tally::default(),
            waits_for: None,
            not_before: None,
            todo: Vec::new(),
            last_line: None,
            wanted: None,
            limited: None,
            refused: Vec::new(),
            started_at: Some(now()),
            ended_at: None,
        });
    }
}

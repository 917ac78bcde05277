//! A decision while it is being made: collects effects and adds what always goes with them.

use crate::model::{
    Act, AgentId, BranchName, CancelledBy, CommentId, DeploymentState, Environment, Event,
    FailKind, Form, Inputs, Message, Micros, NotHere, ParkReason, Part, Permission, Reaction,
    Reply, ReportKind, RunKind, Sha, Situation, StageKey, StageState, Stop, Subject, Task,
    TaskState, WaitFor, What,
};

use super::{Decision, Effect, threads::may};

/// Collects the effects of one decision.
pub(super) struct Draft<'a> {
    pub s: &'a Situation,
    pub event: &'a Event,
    effects: Vec<Effect>,
    /// Whether the task, or anything that its texts show, changes.
    told: bool,
    /// What the task may cost, where the decision raises it.
    budget: Option<Micros>,
}

impl<'a> Draft<'a> {
    pub fn new(s: &'a Situation, event: &'a Event) -> Self {
        Self { s, event, effects: Vec::new(), told: false, budget: None }
    }

    /// Ends the decision: whatever changed about the task is also said.
    pub fn rule(mut self, rule: &str) -> Decision {
        if self.told {
            self.raise_asking_push();
            self.effects.push(Effect::Raise(ReportKind::Progress));
            self.effects.push(Effect::Raise(ReportKind::Labels));
        }
        Decision { rule: rule.to_owned(), effects: self.effects }
    }

    /// The comment that asks for a push may have to be folded away.
    fn raise_asking_push(&mut self) {
        let state = self.s.task.as_ref().map(|task| &task.state);
        if let Some(TaskState::Waiting(WaitFor::PushApproval(head))) = state {
            self.effects.push(Effect::Raise(ReportKind::AskingPush(head.clone())));
        }
    }

    /// Notes that the event's actor, who may not push, gives the agents words to follow.
    pub fn note_outsider(&mut self) {
        if may(self, Permission::Write) {
            return;
        }
        if let Some(person) = self.event.actor.account() {
            self.tell(Effect::Outsider { login: person.login.to_string() });
        }
    }

    /// Ends the decision with nothing done.
    pub fn nothing(self, rule: &str) -> Decision {
        Decision { rule: rule.to_owned(), effects: Vec::new() }
    }

    /// Adds an effect that changes what the task's texts say.
    pub fn tell(&mut self, effect: Effect) {
        self.told = true;
        self.effects.push(effect);
    }

    /// Adds an effect that does not.
    pub fn add(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Lets the task cost so much; what the decision starts already counts with that.
    pub fn raise_budget(&mut self, budget: Micros) {
        self.budget = Some(budget);
        self.tell(Effect::Budget { budget });
    }

    pub fn task(&mut self, next: TaskState) {
        if let Some(question) = self.s.waiting_question() {
            // It is answered, or nobody needs the answer any more.
            self.add(Effect::Raise(ReportKind::Question(question.number)));
        }
        if next.is_final() || matches!(next, TaskState::Parked(_)) {
            let endings = self.s.task.as_ref().map_or(0, |task| task.endings);
            self.tell(Effect::Task { next });
            self.add(Effect::Raise(ReportKind::Closing(endings + 1)));
        } else {
            self.tell(Effect::Task { next });
        }
    }

    pub fn stage(&mut self, key: StageKey, next: StageState) {
        self.tell(Effect::Stage { key, next });
        self.raise_check(key);
    }

    /// Raises the check of a stage, where there is a commit that it can stand on.
    pub fn raise_check(&mut self, key: StageKey) {
        let Some(task) = &self.s.task else { return };
        let on = match key {
            StageKey::Plan | StageKey::Review => task.head.clone(),
            // No coder made what a person pushed: a check there would never come to an end.
            StageKey::Code => task.head.clone().filter(|head| self.s.is_made_here(head)),
            StageKey::Deploy | StageKey::Verify => task.merged.clone(),
            StageKey::Audit => None,
        };
        if let Some(sha) = on {
            self.add(Effect::Raise(ReportKind::Check(key, sha)));
        }
    }

    /// Parks the task: agents end, what is there is kept.
    pub fn park(&mut self, reason: ParkReason) {
        self.stop_agents(Stop::Interrupt, CancelledBy::Superseded);
        self.task(TaskState::Parked(reason));
    }

    pub fn fail(&mut self, key: StageKey, kind: FailKind) {
        self.stage(key, StageState::Failed(kind));
        self.task(TaskState::Parked(ParkReason::Failed(key)));
    }

    pub fn stop_agents(&mut self, stop: Stop, by: CancelledBy) {
        if self
            .s
            .agents
            .iter()
            .any(|agent| !matches!(agent.state, crate::model::AgentState::Ended(_)))
        {
            self.tell(Effect::StopAgents { stop, by });
        }
    }

    /// Starts an agent, or parks the task with the reason why none can start.
    pub fn start(
        &mut self,
        stage: StageKey,
        resumes: Option<AgentId>,
        messages: Vec<Message>,
        base: Sha,
    ) {
        self.start_part(stage, None, resumes, messages, base);
    }

    /// The same for a part of a stage that a plan divides.
    pub fn start_part(
        &mut self,
        stage: StageKey,
        part: Option<Part>,
        resumes: Option<AgentId>,
        messages: Vec<Message>,
        base: Sha,
    ) {
        if let Some(reason) = self.obstacle() {
            self.stage(stage, StageState::Blocked);
            self.task(TaskState::Parked(reason));
            return;
        }
        let inputs = Inputs { messages };
        self.tell(Effect::StartAgent { stage, part, resumes, inputs, base });
        self.raise_check(stage);
        self.task(TaskState::Open);
    }

    /// Starts an agent beside whatever the task is doing.
    pub fn start_unchecked(
        &mut self,
        stage: StageKey,
        resumes: Option<AgentId>,
        messages: Vec<Message>,
        base: Sha,
    ) {
        let inputs = Inputs { messages };
        self.tell(Effect::StartAgent { stage, part: None, resumes, inputs, base });
        self.raise_check(stage);
    }

    /// Why no agent may start, if so.
    pub fn obstacle(&self) -> Option<ParkReason> {
        let server = &self.s.server;
        let spent = self.s.task.as_ref().map_or(Micros::ZERO, |task| task.spent);
        let budget = self.s.task.as_ref().map_or(self.s.policy.budget, |task| task.budget);
        let budget = self.budget.unwrap_or(budget);
        if self.s.repository.off {
            Some(ParkReason::Off)
        } else if let Some(remedy) = &server.no_sandbox {
            Some(ParkReason::NoSandbox { remedy: remedy.clone() })
        } else if spent >= budget.min(server.limits.task)
            || server.repository_spent_today >= server.limits.repository_day
            || server.spent_today >= server.limits.server_day
        {
            Some(ParkReason::Budget)
        } else {
            None
        }
    }

    pub fn run(&mut self, stage: StageKey, kind: RunKind, commands: &[String], sha: Sha) {
        if let Some(reason) = self.obstacle() {
            self.stage(stage, StageState::Blocked);
            self.task(TaskState::Parked(reason));
            return;
        }
        self.tell(Effect::StartRun { stage, kind, commands: commands.to_vec(), sha });
        self.raise_check(stage);
        self.task(TaskState::Open);
    }

    pub fn publish(&mut self, agent: AgentId, head: Sha, branch: BranchName) {
        if self.s.repository.off {
            self.stage(StageKey::Code, StageState::Blocked);
            self.task(TaskState::Parked(ParkReason::Off));
            return;
        }
        self.tell(Effect::Publish { stage: StageKey::Code, agent, head, branch });
        self.task(TaskState::Open);
    }

    pub fn deployment(
        &mut self,
        environment: &Environment,
        sha: &Sha,
        attempt: u32,
        state: DeploymentState,
    ) {
        let (environment, sha) = (environment.clone(), sha.clone());
        let report =
            ReportKind::Deployment { environment: environment.clone(), sha: sha.clone(), attempt };
        self.tell(Effect::Deployment { environment, sha, attempt, state });
        self.add(Effect::Raise(report));
    }

    /// The thread on which people and Baton talk about this event.
    pub fn thread(&self) -> Option<u64> {
        match self.event.subject {
            Subject::Issue(number) | Subject::Pull(number) => Some(number),
            Subject::Commit(_)
            | Subject::Check(_)
            | Subject::Branch(_)
            | Subject::Task(_)
            | Subject::Repository => self.s.task.as_ref().map(|task| task.number),
        }
    }

    pub fn reply(&mut self, reply: Reply) {
        if let Some(number) = self.thread() {
            self.add(Effect::Act(Act::Reply { number, reply }));
        }
    }

    /// Reacts to the comment that gave the command. A tick needs no reaction: the box shows it.
    pub fn react(&mut self, reaction: Reaction) {
        if let What::CommandGiven {
            comment: Some(comment), form: Form::Typed | Form::Edited, ..
        } = self.event.what
        {
            self.react_to(comment, reaction);
        }
    }

    fn react_to(&mut self, comment: CommentId, reaction: Reaction) {
        self.add(Effect::Act(Act::React { comment, reaction }));
    }

    /// Declines a command: 😕 and a line.
    pub fn decline(mut self, command: &str, why: NotHere) -> Decision {
        self.react(Reaction::Confused);
        self.reply(Reply::NotHere { command: command.to_owned(), why });
        self.rule("command_declined")
    }

    /// The newest commit of the default branch, as asked for with the facts.
    pub fn default_head(&self) -> Option<Sha> {
        self.s.facts.default_head.clone()
    }

    /// Where work on the code starts: what Baton already made on top of what is on GitHub, else that, else
    /// the default branch.
    pub fn code_base(&self, task: &Task) -> Option<Sha> {
        let made = self.s.agents.iter().filter(|agent| agent.stage == StageKey::Code);
        let Some(pushed) = task.head.clone() else {
            let newest = made.rev().filter_map(|agent| agent.head.clone()).next();
            return newest.or_else(|| self.default_head());
        };
        // Only what was made on top of the pushed head, a person's perhaps, can go out after it.
        Some(made.fold(pushed, |base, agent| match &agent.head {
            Some(head) if agent.base == base => head.clone(),
            Some(_) | None => base,
        }))
    }
}

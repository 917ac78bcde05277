//! One arm a job.

use std::sync::Arc;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Settings, commands, decide, execute, last_word, parse, perform, publish, route, say,
    sweep,
};
use crate::{
    agent::{Prompts, Runtime},
    clock::Clock,
    event::Identity,
    github::App,
    logs::{Logs, Redactor},
    model::Job,
    queue::{Claimed, Outcome, Wakes},
};

/// What the pipeline works with.
pub struct Parts {
    /// The database.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// GitHub.
    pub github: App,
    /// Who Baton is on GitHub.
    pub identity: Identity,
    /// Where and how agents run.
    pub runtime: Runtime,
    /// What agents are told.
    pub prompts: Prompts,
    /// What agents print.
    pub logs: Logs,
    /// Wakes the workers of this process and others.
    pub wakes: Wakes,
    /// Cancelled when the server is being stopped: agents are interrupted and go on after the restart.
    pub shutting_down: CancellationToken,
    /// The configuration.
    pub settings: Settings,
}

impl Parts {
    /// Takes the server's own secrets out of texts.
    pub(super) fn redactor(&self) -> Redactor {
        Redactor::new(self.settings.secrets.iter().map(secrecy::ExposeSecret::expose_secret))
    }
}

/// Runs jobs. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    parts: Arc<Parts>,
}

impl Pipeline {
    /// Takes the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// What it works with.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Gives the parts back, where nobody else holds them any more.
    #[must_use]
    pub fn into_parts(self) -> Option<Parts> {
        Arc::into_inner(self.parts)
    }

    /// Does one job, up to the transaction that finishes it.
    pub async fn run(&self, claimed: &Claimed) -> Outcome {
        let parts = &*self.parts;
        let done: Result<(), Failure> = match &claimed.job {
            Job::ParseDelivery { guid } => parse::delivery(parts, claimed, *guid).await,
            Job::Route { event } => route::event(parts, claimed, *event).await,
            Job::Decide { event, task } => decide::event(parts, claimed, *event, *task).await,
            Job::RunAgent { agent } => execute::agent(parts, claimed, *agent).await,
            Job::RunCommands { run } => commands::run(parts, claimed, *run).await,
            Job::Publish { stage, agent } => publish::change(parts, claimed, *stage, *agent).await,
            Job::Perform { act } => perform::act(parts, claimed, *act).await,
            Job::Say { report } => say::report(parts, claimed, *report).await,
            Job::Sweep(sweep) => sweep::run(parts, claimed, *sweep).await,
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(failure) => {
                let kind = claimed.job.kind();
                tracing::warn!(job.id = %claimed.id, job.kind = kind, error = %failure, "job not done");
                give_up_or_retry(parts, claimed, failure).await
            }
        }
    }
}

/// What the queue does with a job that was not done. One that is given up has its last word first.
async fn give_up_or_retry(parts: &Parts, claimed: &Claimed, failure: Failure) -> Outcome {
    let (error, again) = match failure.outcome(&parts.clock, claimed.attempts) {
        Outcome::Fail { error } => (error, false),
        Outcome::Retry { error, after } if claimed.attempts < claimed.max_attempts => {
            return Outcome::Retry { error, after };
        }
        Outcome::Retry { error, .. } => (error, true),
        done @ (Outcome::Done | Outcome::Finish) => return done,
    };
    // An act that nobody knows to be refused stays in the ledger: the sweep of what is unsaid finds it.
    if again && matches!(claimed.job, Job::Perform { .. }) {
        return Outcome::Fail { error };
    }
    if let Err(failure) = last_word::of_failed(parts, claimed, &error).await {
        // The lease runs out now, and the job comes again or is found among the lost ones.
        tracing::error!(job.id = %claimed.id, error = %failure, "a job could not even be given up");
    }
    Outcome::Done
}

//! What an agent or a run is given to build with, and the set-up that brings it.
//!
//! A set-up is a run of commands of its own, seen in the progress comment like any other. It runs on
//! the default branch, where nobody but people merges, before the first agent or run that needs what it
//! brings, and nowhere near a model's words. What it brought serves all that come later, until a lock
//! file, the commands or the tools change.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{Failure, Parts, commands, mirrors, say};
use crate::{
    agent::{Errand, Ground, Reach, Stock, Supplies, Wires},
    db::{
        command_runs::{self, NewCommandRun},
        fetches,
    },
    logs::Redactor,
    model::{
        Agent, CommandRun, CommandRunId, Fetcher, RunKind, RunState, SET_UP, Situation, StageKey,
        TaskId, Untrusted,
    },
    queue::Claimed,
    workspace::{Found, Making, WorkspaceKey},
};

/// What comes of asking for supplies.
pub(super) enum Supplied {
    /// They are there; none where the repository needs none.
    Ready(Option<Box<Supplies>>),
    /// The set-up was stopped together with what it was for.
    Stopped,
    /// There are none, for this reason.
    Failed(String),
}

/// Gives what a reader of the tree sees: a layer that is there already. Nothing is set up for it.
pub(super) async fn shown(
    parts: &Parts,
    situation: &Situation,
) -> Result<Option<Supplies>, Failure> {
    let Some(ground) = ground(parts, situation).await? else { return Ok(None) };
    let workspaces = &parts.runtime.workspaces;
    if !ground.has_set_up() || parts.runtime.missing_for(&ground).is_some() {
        return Ok(None);
    }
    let layer = workspaces.layer(situation.repository.id, &ground.key).map_err(later)?;
    Ok(layer.map(|layer| Supplies { ground, stock: Stock::Shown(layer), reach: Reach::Other }))
}

/// Who builds.
#[derive(Clone, Copy)]
pub(super) enum For<'a> {
    /// An agent, whose log has what its set-up prints.
    Agent(&'a Agent),
    /// A run of the repository's commands.
    Run(&'a CommandRun),
}

impl For<'_> {
    fn stage(self) -> StageKey {
        match self {
            Self::Agent(agent) => agent.stage,
            Self::Run(run) => run.stage,
        }
    }
}

/// Gives what a writer or a run of commands works with, after a set-up where there was none yet.
pub(super) async fn supplied(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    whom: For<'_>,
    on_the_machines_network: bool,
) -> Result<Supplied, Failure> {
    let Some(task) = situation.task.as_ref() else { return Ok(Supplied::Ready(None)) };
    command_runs::end_lost_setups(&parts.pool, task.id, whom.stage(), parts.clock.now()).await?;
    let Some(ground) = ground(parts, situation).await? else { return Ok(Supplied::Ready(None)) };
    if let Some(missing) = parts.runtime.missing_for(&ground) {
        return Ok(Supplied::Failed(missing));
    }
    let reach = match (on_the_machines_network, ground.agents_fetch) {
        (true, _) => Reach::Other,
        (false, true) => Reach::Named,
        (false, false) => Reach::Nothing,
    };
    let ready = |ground, stock| {
        let supplies = Supplies { ground, stock, reach };
        Ok(Supplied::Ready(Some(Box::new(supplies))))
    };
    if !ground.has_set_up() {
        return ready(ground, Stock::Empty);
    }
    let (repository, kept) = (situation.repository.id, ground.kept.len());
    let looking = parts.runtime.workspaces.layer_or_making(repository, &ground.key, kept);
    // Another task may be at the same set-up for as long as it takes.
    let found = tokio::select! {
        found = looking => found.map_err(later)?,
        () = commands::until_stopped(parts, claimed, task.id) => return Ok(Supplied::Stopped),
    };
    match found {
        Found::Layer(layer) => ready(ground, Stock::Copied(layer)),
        Found::Making(making) => {
            let set_up = SetUp { parts, claimed, situation, whom, task: task.id };
            match set_up.run(ground.clone(), making).await? {
                Made::Layer(layer) => ready(ground, Stock::Copied(layer)),
                Made::Stopped => Ok(Supplied::Stopped),
                Made::Nothing(why) => Ok(Supplied::Failed(why)),
            }
        }
    }
}

/// What the repository needs by its default branch; none where its policy says nothing of it.
async fn ground(parts: &Parts, situation: &Situation) -> Result<Option<Ground>, Failure> {
    let (repository, build) = (&situation.repository, &situation.policy.build);
    if build.is_empty() {
        return Ok(None);
    }
    let branch = repository.default_branch.clone();
    let hopeless = |error: crate::workspace::WorkspaceError| Failure::Hopeless(error.to_string());
    let reading =
        parts.runtime.workspaces.read(repository.id, move |mirror| mirror.branch(&branch));
    let Some(tip) = reading.await.map_err(hopeless)? else {
        return Err(Failure::Hopeless("the default branch has no commit".to_owned()));
    };
    let ceiling = &parts.settings.limits.egress;
    parts.runtime.ground(repository.id, &tip, build, ceiling).await.map(Some).map_err(hopeless)
}

fn later(error: std::io::Error) -> Failure {
    Failure::Later {
        after: Duration::from_secs(30),
        reason: format!("the set-up's layer: {error}"),
    }
}

/// What a set-up brought.
enum Made {
    Layer(crate::workspace::Layer),
    Stopped,
    Nothing(String),
}

/// One set-up.
struct SetUp<'a> {
    parts: &'a Parts,
    claimed: &'a Claimed,
    situation: &'a Situation,
    whom: For<'a>,
    task: TaskId,
}

impl SetUp<'_> {
    async fn run(&self, ground: Ground, making: Making) -> Result<Made, Failure> {
        mirrors::refresh(self.parts, self.situation, Some(&ground.tip)).await?;
        let new = NewCommandRun {
            task: self.task,
            stage: self.whom.stage(),
            kind: RunKind::Setup,
            commands: ground.commands.clone(),
            sha: ground.tip.clone(),
            now: self.parts.clock.now(),
        };
        let id = command_runs::insert(&self.parts.pool, new).await?;
        self.told().await?;
        let notes = self.parts.runtime.notes_on(&ground).await;
        let (mut ended, stock) = self.played(id, ground, making).await;
        if let RunState::Ended { passed: false, results } = &mut ended
            && let Some(last) = results.last_mut()
        {
            let said = notes.iter().map(|note| format!("\n[Baton] {note}")).collect::<String>();
            last.output = Untrusted(last.output.0.trim_end().to_owned() + &said);
        }
        let made = match (&ended, stock) {
            (RunState::Ended { passed: true, .. }, Stock::Making(making)) => {
                let finishing = tokio::task::spawn_blocking(move || making.finish());
                let finished =
                    finishing.await.map_err(|error| later(std::io::Error::other(error)))?;
                Made::Layer(finished.map_err(later)?)
            }
            (RunState::Broken { .. }, _)
                if commands::is_stopped(self.parts, self.claimed, self.task).await =>
            {
                Made::Stopped
            }
            (ended, _) => Made::Nothing(why(ended)),
        };
        command_runs::finish(&self.parts.pool, id, &ended, self.parts.clock.now()).await?;
        self.told().await?;
        Ok(made)
    }

    /// Runs the commands, keeps what they asked for, and gives back what they were run on.
    async fn played(&self, id: CommandRunId, ground: Ground, making: Making) -> (RunState, Stock) {
        let key = WorkspaceKey::new(&format!("run-{id}")).expect("digits and a hyphen are a key");
        let mut errand = Errand::set_up(key, self.situation.repository.id, ground, making);
        let (notes, heard) = mpsc::channel(256);
        let (give, orders) = mpsc::channel(1);
        let running = self.parts.runtime.run_commands(&errand, Wires { notes, orders });
        let log = match self.whom {
            For::Agent(agent) => Some(self.parts.logs.open(agent.id)),
            For::Run(_) => None,
        };
        let watch = commands::watch(self.parts, self.claimed, self.task, heard, give, log);
        let (ended, fetched) = tokio::join!(running, watch);
        let by = Fetcher::Run(id);
        let now = self.parts.clock.now();
        let kept = fetches::insert_all(&self.parts.pool, self.task, by, &fetched, now).await;
        if let Err(error) = kept {
            tracing::warn!(run.id = %id, %error, "what a set-up fetched could not be kept");
        }
        let secrets = self.parts.settings.secrets.iter();
        let redactor = Redactor::new(secrets.map(secrecy::ExposeSecret::expose_secret));
        let stock = errand.supplies.take().map_or(Stock::Empty, |supplies| supplies.stock);
        (commands::redacted(ended, &redactor), stock)
    }

    /// Lets the progress comment say what is going on.
    async fn told(&self) -> Result<(), Failure> {
        let (parts, now) = (self.parts, self.parts.clock.now());
        let mut tx = parts.pool.begin().await?;
        let repository = self.situation.repository.id;
        let wake = say::progress(&mut tx, self.task, repository, now, now).await?;
        tx.commit().await?;
        wake.release(&parts.wakes);
        Ok(())
    }
}

/// Why a set-up brought nothing, in a line. The run's row has the rest.
fn why(ended: &RunState) -> String {
    match ended {
        RunState::Broken { reason } => format!("{SET_UP} broke off: {reason}"),
        RunState::Ended { results, .. } => {
            let last = results.iter().find(|result| result.exit != Some(0));
            last.map_or_else(
                || format!("{SET_UP} did not pass"),
                |last| format!("{SET_UP}'s command {:?} failed", last.command),
            )
        }
        RunState::Pending => format!("{SET_UP} did not end"),
    }
}

//! The repository's own commands, run by Baton: tests, deployment, verification.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    Failure, Parts,
    desk::stream_of,
    mirrors,
    own::own_event,
    parse,
    setup::{self, Supplied},
    situation,
};
use crate::{
    agent::{Errand, Note, Order, Wires},
    db::{command_runs, fetches},
    logs::{LogWriter, Redactor},
    model::{
        CancelledBy, CommandRun, CommandRunId, Fetch, Fetcher, RunKind, RunState, Situation, Stop,
        TaskId, TaskState, Untrusted, What,
    },
    queue::{self, Claimed},
    workspace::WorkspaceKey,
};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Runs the commands of a run, unless somebody may have run them before.
pub(super) async fn run(parts: &Parts, claimed: &Claimed, id: CommandRunId) -> Result<(), Failure> {
    let (task, run) = command_runs::load(&parts.pool, id).await?;
    if run.state != RunState::Pending {
        let mut tx = parts.pool.begin().await?;
        queue::finish(&mut tx, claimed, parts.clock.now()).await?;
        return Ok(tx.commit().await?);
    }
    let situation = situation::of_task(parts, task).await?;
    let (ended, fetched) = outcome(parts, claimed, &situation, &run).await;
    let now = parts.clock.now();
    let what = What::CommandsFinished { run: id };
    let mut tx = parts.pool.begin().await?;
    let event = own_event(parts, &mut tx, task, format!("run:{id}:finished"), what).await?;
    command_runs::finish(&mut *tx, id, &ended, now).await?;
    command_runs::end_lost_setups(&mut *tx, task, run.stage, now).await?;
    fetches::insert_all(&mut *tx, task, Fetcher::Run(id), &fetched, now).await?;
    let wake = parse::save(&mut tx, &[event], now).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

/// How the run ended, and what it asked of hosts.
async fn outcome(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    run: &CommandRun,
) -> (RunState, Vec<Fetch>) {
    match begun(parts, claimed, situation, run).await {
        Ok((errand, secrets)) => played(parts, claimed, situation, &errand, &secrets).await,
        Err(reason) => (RunState::Broken { reason }, Vec::new()),
    }
}

/// Everything that is needed, or why nothing can be run.
async fn begun(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    run: &CommandRun,
) -> Result<(Errand, Vec<secrecy::SecretString>), String> {
    // Deploying twice can do harm; reading twice cannot.
    if run.kind == RunKind::Deploy && claimed.attempts > 1 {
        return Err("Baton was ended while it deployed; nobody knows how far it came".to_owned());
    }
    if let Some(reason) = parts.runtime.remedy() {
        return Err(reason);
    }
    if situation.repository.off {
        return Err("Baton was switched off here before it began".to_owned());
    }
    let Some(task) = situation.task.as_ref() else { return Err("the task is gone".to_owned()) };
    if task.state.is_final() || matches!(task.state, TaskState::Parked(_)) {
        return Err("it was stopped before it began".to_owned());
    }
    mirrors::refresh(parts, situation, Some(&run.sha))
        .await
        .map_err(|failure| failure.to_string())?;
    let network = matches!(run.kind, RunKind::Deploy | RunKind::Verify);
    let supplies = match run.kind {
        RunKind::Test | RunKind::Verify => {
            match setup::supplied(parts, claimed, situation, setup::For::Run(run), network).await {
                Ok(Supplied::Ready(supplies)) => supplies.map(|supplies| *supplies),
                Ok(Supplied::Stopped) => return Err("it was stopped".to_owned()),
                Ok(Supplied::Failed(reason)) => return Err(reason),
                Err(failure) => return Err(failure.to_string()),
            }
        }
        RunKind::Deploy | RunKind::Setup => None,
    };
    let (environment, secrets) = variables(parts, situation, run.kind)?;
    let errand = Errand {
        key: WorkspaceKey::new(&format!("run-{}", run.id)).expect("digits and a hyphen are a key"),
        repository: situation.repository.id,
        sha: run.sha.clone(),
        commands: run.commands.clone(),
        environment,
        supplies,
        network,
        limit: LIMIT,
    };
    Ok((errand, secrets))
}

async fn played(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    errand: &Errand,
    secrets: &[secrecy::SecretString],
) -> (RunState, Vec<Fetch>) {
    let (notes, heard) = mpsc::channel(256);
    let (give, orders) = mpsc::channel(1);
    let running = parts.runtime.run_commands(errand, Wires { notes, orders });
    let task = situation.task.as_ref().map_or(TaskId(0), |task| task.id);
    let watch = watch(parts, claimed, task, heard, give, None);
    let (ended, fetched) = tokio::join!(running, watch);
    let all = parts.settings.secrets.iter().chain(secrets);
    (redacted(ended, &Redactor::new(all.map(secrecy::ExposeSecret::expose_secret))), fetched)
}

/// Variables by name, and the values among them that must not be shown.
type Variables = (Vec<(String, String)>, Vec<secrecy::SecretString>);

/// What the server lets the commands have: variables for both, secrets for deploying alone.
fn variables(parts: &Parts, situation: &Situation, kind: RunKind) -> Result<Variables, String> {
    use secrecy::ExposeSecret;
    if matches!(kind, RunKind::Test | RunKind::Setup) {
        return Ok((Vec::new(), Vec::new()));
    }
    let name = &situation.repository.name;
    let grant = situation
        .policy
        .deploy
        .as_ref()
        .and_then(|deploy| parts.settings.grant(name, &deploy.environment));
    let Some(grant) = grant else { return Err(format!("the server grants {name} no deployment")) };
    let mut variables: Vec<(String, String)> =
        grant.variables.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if kind == RunKind::Deploy {
        let secret = grant
            .secrets
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        variables.extend(secret);
    }
    if let Some(merged) = situation.task.as_ref().and_then(|task| task.merged.as_ref()) {
        variables.push(("DEPLOY_SHA".to_owned(), merged.to_string()));
    }
    Ok((variables, grant.secrets.values().cloned().collect()))
}

pub(super) fn redacted(state: RunState, redactor: &Redactor) -> RunState {
    match state {
        RunState::Ended { results, passed } => {
            let mut results = results;
            for result in &mut results {
                result.output = Untrusted(redactor.redact(&result.output.0));
            }
            RunState::Ended { results, passed }
        }
        RunState::Broken { reason } => RunState::Broken { reason: redactor.redact(&reason) },
        RunState::Pending => RunState::Pending,
    }
}

/// Reads what is printed, into a log where there is one, and looks now and then whether the task was
/// stopped. Gives what was asked of hosts.
pub(super) async fn watch(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    mut heard: mpsc::Receiver<Note>,
    give: mpsc::Sender<Order>,
    mut log: Option<LogWriter>,
) -> Vec<Fetch> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let mut fetched = Vec::new();
    loop {
        tokio::select! {
            note = heard.recv() => match note {
                Some(Note::Fetched(fetches)) => fetched = fetches,
                Some(Note::Line { stream, text }) => if let Some(log) = &mut log {
                    log.line(stream_of(stream), text.as_bytes()).await;
                },
                Some(_) => {}
                None => {
                    if let Some(log) = log {
                        log.leave_off();
                    }
                    return fetched;
                }
            },
            _ = tick.tick() => {
                if is_stopped(parts, claimed, task).await {
                    let order = Order::Stop { stop: Stop::Kill, by: CancelledBy::Superseded };
                    // It has ended meanwhile.
                    let _ = give.try_send(order);
                }
            }
        }
    }
}

/// Waits until nothing may run for the task any more.
pub(super) async fn until_stopped(parts: &Parts, claimed: &Claimed, task: TaskId) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        if is_stopped(parts, claimed, task).await {
            return;
        }
    }
}

/// Whether nothing may run for the task any more: it was stopped, the server is being stopped, or
/// another worker may have the job soon.
pub(super) async fn is_stopped(parts: &Parts, claimed: &Claimed, task: TaskId) -> bool {
    parts.shutting_down.is_cancelled()
        || claimed.lost.is_cancelled()
        || crate::db::tasks::load(&parts.pool, task).await.is_ok_and(|row| {
            row.task.state.is_final() || matches!(row.task.state, TaskState::Parked(_))
        })
}

//! The repository's own commands, run by Baton: tests, deployment, verification.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    Failure, Parts,
    execute::{own_event, refresh_mirror},
    parse, situation,
};
use crate::{
    agent::{Errand, Note, Order, Wires},
    db::command_runs,
    logs::Redactor,
    model::{
        CancelledBy, CommandRun, CommandRunId, RunKind, RunState, Situation, Stop, TaskId,
        TaskState, Untrusted, What,
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
    let ended = outcome(parts, claimed, &situation, &run).await;
    let now = parts.clock.now();
    let what = What::CommandsFinished { run: id };
    let mut tx = parts.pool.begin().await?;
    let event = own_event(parts, &mut tx, task, format!("run:{id}:finished"), what).await?;
    command_runs::finish(&mut *tx, id, &ended, now).await?;
    let wake = parse::save(&mut tx, &[event], now).await?;
    queue::finish(&mut tx, claimed, now).await?;
    tx.commit().await?;
    wake.release(&parts.wakes);
    Ok(())
}

async fn outcome(
    parts: &Parts,
    claimed: &Claimed,
    situation: &Situation,
    run: &CommandRun,
) -> RunState {
    let broken = |reason: &str| RunState::Broken { reason: reason.to_owned() };
    // Deploying twice can do harm; reading twice cannot.
    if run.kind == RunKind::Deploy && claimed.attempts > 1 {
        return broken("Baton was ended while it deployed; nobody knows how far it came");
    }
    if let Some(reason) = parts.runtime.remedy() {
        return RunState::Broken { reason };
    }
    if situation.repository.off {
        return broken("Baton was switched off here before it began");
    }
    let Some(task) = situation.task.as_ref() else { return broken("the task is gone") };
    if task.state.is_final() || matches!(task.state, TaskState::Parked(_)) {
        return broken("it was stopped before it began");
    }
    if let Err(failure) = refresh_mirror(parts, situation).await {
        return RunState::Broken { reason: failure.to_string() };
    }
    let (environment, secrets) = match variables(parts, situation, run.kind) {
        Ok(variables) => variables,
        Err(reason) => return RunState::Broken { reason },
    };
    let errand = Errand {
        key: WorkspaceKey::new(&format!("run-{}", run.id)).expect("digits and a hyphen are a key"),
        repository: situation.repository.id,
        sha: run.sha.clone(),
        commands: run.commands.clone(),
        environment,
        network: matches!(run.kind, RunKind::Deploy | RunKind::Verify),
        limit: LIMIT,
    };
    let (notes, heard) = mpsc::channel(256);
    let (give, orders) = mpsc::channel(1);
    let running = parts.runtime.run_commands(&errand, Wires { notes, orders });
    let watch = watch(parts, claimed, task.id, heard, give);
    let (ended, ()) = tokio::join!(running, watch);
    let all = parts.settings.secrets.iter().chain(&secrets);
    redacted(ended, &Redactor::new(all.map(secrecy::ExposeSecret::expose_secret)))
}

/// Variables by name, and the values among them that must not be shown.
type Variables = (Vec<(String, String)>, Vec<secrecy::SecretString>);

/// What the server lets the commands have: variables for both, secrets for deploying alone.
fn variables(parts: &Parts, situation: &Situation, kind: RunKind) -> Result<Variables, String> {
    use secrecy::ExposeSecret;
    if kind == RunKind::Test {
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

fn redacted(state: RunState, redactor: &Redactor) -> RunState {
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

/// Reads what is printed, and looks now and then whether the task was stopped.
async fn watch(
    parts: &Parts,
    claimed: &Claimed,
    task: TaskId,
    mut heard: mpsc::Receiver<Note>,
    give: mpsc::Sender<Order>,
) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            note = heard.recv() => if note.is_none() { return },
            _ = tick.tick() => {
                let stopped = parts.shutting_down.is_cancelled()
                    || claimed.lost.is_cancelled()
                    || crate::db::tasks::load(&parts.pool, task).await.is_ok_and(|row| {
                        row.task.state.is_final() || matches!(row.task.state, TaskState::Parked(_))
                    });
                if stopped {
                    let order = Order::Stop { stop: Stop::Kill, by: CancelledBy::Superseded };
                    // It has ended meanwhile.
                    let _ = give.try_send(order);
                }
            }
        }
    }
}

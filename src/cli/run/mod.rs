//! `baton run`: requests on a repository of this machine, without GitHub.
//!
//! - `show` – what is shown while agents work, and at the end

mod show;

use std::{io::Read, path::PathBuf, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

use super::database::{At, environment};
use crate::{
    app::local::{Local, Options, Order, Repository, Wires, Work},
    config,
    model::{CancelledBy, Micros, Role, Stop},
    telemetry::{self, Format},
};
use show::Screen;

/// Carries out requests in a git repository on this machine, without GitHub.
///
/// Each request gets an agent that works on a copy of the commit that the repository is on; what it
/// commits becomes a branch of its own. Nothing else in the repository changes.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// What is wanted, in your words; several are carried out each by an agent of its own. `-` reads it from
    /// standard input
    #[arg(required = true)]
    requests: Vec<String>,
    /// How it is gone about: generic, refactor, test-generation, or analysis, which reads only
    #[arg(long, default_value = "generic", value_parser = role)]
    role: Role,
    /// Files that it is about, from the repository's root, parted by commas
    #[arg(long, value_delimiter = ',')]
    files: Vec<String>,
    /// The repository; any folder in it will do
    #[arg(long, default_value = ".")]
    repo: PathBuf,
    /// Which program agents are, instead of the configured one
    #[arg(long)]
    provider: Option<String>,
    /// Which model, instead of the configured one; it needs a price
    #[arg(long)]
    model: Option<String>,
    /// What all requests together may cost, in dollars, instead of the configured limit of a task
    #[arg(long)]
    max_usd: Option<f64>,
    /// How long each may take in all
    #[arg(long)]
    minutes: Option<u32>,
    /// How many are carried out at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    parallel: u16,
    /// Without a sandbox, on the bare machine: agents can then do what you can
    #[arg(long)]
    bare: bool,
}

/// How many notes of an agent may wait to be shown.
const NOTES: usize = 256;

impl Run {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let filter = std::env::var("BATON_LOG").ok().or(Some("error".to_owned()));
        telemetry::start(Format::Text, filter.as_deref());
        let repository = Repository::discover(&self.repo)
            .with_context(|| format!("looking for a repository at {}", self.repo.display()))?;
        let config = self.config(at)?;
        let budget = self.max_usd.map_or(config.limits.task, Micros::from_dollars);
        if budget <= Micros::ZERO {
            bail!("--max-usd has to be an amount above 0");
        }
        let works = self.works()?;
        let screen = Arc::new(Screen::new(at.json, works.len()));
        screen.begin(&repository, &config.agents, budget, self.bare);
        let options = Options { bridge: None, budget, bare: self.bare };
        let local = Arc::new(Local::start(config, repository, options).await?);
        local.take_over().await?.iter().for_each(|left| screen.left(left));
        set_up(&local, &screen).await?;
        let all_succeeded = self.carry_out(&local, works, &screen).await;
        screen.end(local.spent());
        if let Some(local) = Arc::into_inner(local) {
            local.stop().await;
        }
        Ok(u8::from(!all_succeeded?))
    }

    /// What is configured, with what was asked for here laid over it.
    fn config(&self, at: &At) -> anyhow::Result<config::Local> {
        let mut environment = environment();
        let given = [("BATON_PROVIDER", &self.provider), ("BATON_MODEL", &self.model)];
        for (name, value) in given {
            if let Some(value) = value {
                environment.insert(name.to_owned(), value.clone());
            }
        }
        Ok(config::Local::read(environment, at.file()?.as_deref())?)
    }

    fn works(&self) -> anyhow::Result<Vec<Work>> {
        let numbered = self.requests.iter().zip(1..);
        let work = |(text, number): (&String, i64)| {
            let mut text = text.clone();
            if text == "-" {
                text.clear();
                std::io::stdin().read_to_string(&mut text)?;
            }
            if text.trim().is_empty() {
                bail!("request {number} is empty");
            }
            let (role, files, minutes) = (self.role, self.files.clone(), self.minutes);
            Ok(Work { number, role, text, files, minutes })
        };
        numbered.map(work).collect()
    }

    /// Carries out all of them, so many at once; true if all succeeded. The first signal interrupts
    /// the agents, whose commits are kept; the second kills them.
    async fn carry_out(
        &self,
        local: &Arc<Local>,
        works: Vec<Work>,
        screen: &Arc<Screen>,
    ) -> anyhow::Result<bool> {
        let room = Arc::new(Semaphore::new(self.parallel.into()));
        let (tell, stop) = watch::channel(None);
        let mut running = JoinSet::new();
        for work in works {
            let (local, screen) = (Arc::clone(local), Arc::clone(screen));
            let (room, stop) = (Arc::clone(&room), stop.clone());
            running.spawn(async move {
                let _place = room.acquire_owned().await;
                one(&local, &work, &screen, stop).await
            });
        }
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut all_succeeded = true;
        loop {
            tokio::select! {
                ended = running.join_next() => match ended {
                    Some(succeeded) => all_succeeded &= succeeded?,
                    None => return Ok(all_succeeded),
                },
                _ = interrupt.recv() => stop_more(&tell, screen),
                _ = terminate.recv() => stop_more(&tell, screen),
            }
        }
    }
}

/// Runs what the repository's policy names to be run before anything is built. A signal ends it.
async fn set_up(local: &Local, screen: &Screen) -> anyhow::Result<()> {
    screen.sets_up(local.set_up_commands()?);
    let (notes, mut heard) = mpsc::channel(NOTES);
    // Nobody gives orders: whoever ends it drops it, and its sandbox with it.
    let (_give, orders) = mpsc::channel(1);
    let showing = async {
        while let Some(note) = heard.recv().await {
            screen.set_up_note(note);
        }
    };
    let setting_up = async { tokio::join!(local.set_up(Wires { notes, orders }), showing).0 };
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = setting_up => done,
        interrupted = tokio::signal::ctrl_c() => { interrupted?; bail!("stopped while it was set up") }
        _ = terminate.recv() => bail!("stopped while it was set up"),
    }
}

/// Interrupts, or kills where that was done already.
fn stop_more(tell: &watch::Sender<Option<Stop>>, screen: &Screen) {
    let next = if tell.borrow().is_some() { Stop::Kill } else { Stop::Interrupt };
    screen.stopping(next);
    tell.send_replace(Some(next));
}

/// Carries out one and shows it. True if it succeeded.
async fn one(
    local: &Local,
    work: &Work,
    screen: &Screen,
    mut stop: watch::Receiver<Option<Stop>>,
) -> bool {
    if stop.borrow().is_some() {
        screen.not_begun(work);
        return false;
    }
    screen.begins(work);
    let (notes, mut heard) = mpsc::channel(NOTES);
    let (give, orders) = mpsc::channel(4);
    let working = local.carry_out(work, Wires { notes, orders });
    let showing = async {
        while let Some(note) = heard.recv().await {
            screen.note(work, note);
        }
    };
    let stopping = async {
        while stop.changed().await.is_ok() {
            let wanted = *stop.borrow_and_update();
            if let Some(stop) = wanted {
                // It has ended meanwhile.
                let _ = give.send(Order::Stop { stop, by: CancelledBy::Operator }).await;
            }
        }
    };
    let (done, ()) = tokio::select! {
        both = async { tokio::join!(working, showing) } => both,
        () = stopping => unreachable!("whoever stops outlives what is stopped"),
    };
    match done {
        Ok(done) => screen.done(work, &done),
        Err(error) => screen.broken(work, &error),
    }
}

fn role(name: &str) -> Result<Role, String> {
    let known = Role::REQUESTED.into_iter().find(|role| role.name() == name);
    known.ok_or_else(|| {
        let names = Role::REQUESTED.map(Role::name).join(", ");
        format!("it is one of {names}")
    })
}

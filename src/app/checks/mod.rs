//! What `baton doctor` looks at, in the order in which one thing rests on another.
//!
//! - `check`    – what one look gives
//! - `machine`  – the data folder, its disk, git
//! - `database` – the programs or the address, the tables
//! - `work`     – what the queue and the reports say
//! - `capacity` – for how many agents there is room, and what queued ones wait for
//! - `kept`     – what lies on the disk, and why
//! - `forks`    – the forks that branches go to
//! - `github`   – the App's key, registration, installations, webhooks, and the clock
//! - `agents`   – the sandbox, the agent's program, the models' APIs
//!
//! Everything works beside a running server, and changes nothing but that it makes the data folder.

mod agents;
mod capacity;
mod check;
mod database;
mod forks;
mod github;
mod kept;
mod machine;
mod work;

use std::collections::BTreeMap;

pub use check::{Check, Verdict};
pub use machine::LEAST_FREE;

use super::Place;
use crate::{clock::Clock, config::Config, model::Keep};

/// What the checks go by.
#[derive(Debug, Clone)]
pub struct Given {
    /// The environment's variables.
    pub environment: BTreeMap<String, String>,
    /// The text of `baton.toml` where there is one, or why it cannot be read.
    pub file: Result<Option<String>, String>,
    /// The time.
    pub clock: Clock,
    /// Bytes that have to be free on the data folder's disk.
    pub least_free: u64,
}

/// Looks at everything, telling each check as soon as it is done.
pub async fn run(given: &Given, tell: &mut (dyn FnMut(Check) + Send)) {
    let config = configuration(given, tell);
    let place = given
        .file
        .as_ref()
        .ok()
        .and_then(|file| Place::read(&given.environment, file.as_deref()).ok());
    let data = match &place {
        Some(place) => machine::data(&place.data, given.least_free, tell),
        None => None,
    };
    tell(machine::git().await);
    let keep = config.as_ref().map(|config| config.keep).unwrap_or_default();
    let forks = match (&place, &data) {
        (Some(place), Some(_)) => stored(place, &keep, given, tell).await,
        (Some(place), None) if place.database_url.is_some() => {
            stored(place, &keep, given, tell).await
        }
        (_, _) => {
            tell(Check::skipped("database", "it is in the data folder"));
            Vec::new()
        }
    };
    let Some(config) = config else {
        for name in ["GitHub App", "sandbox", "tools", "egress", "agent program", "model API"] {
            tell(Check::skipped(name, "needs the whole configuration"));
        }
        return;
    };
    github::all(&config, &given.clock, &forks, tell).await;
    match &data {
        Some(data) => agents::sandbox(&config, data, tell).await,
        None => tell(Check::skipped("sandbox", "needs the data folder")),
    }
    tell(agents::tools(&config));
    tell(agents::egress(&config));
    tell(agents::program(&config, data.as_deref()).await);
    for check in agents::model_apis(&config, given.environment.get("HTTPS_PROXY")).await {
        tell(check);
    }
}

fn configuration(given: &Given, tell: &mut (dyn FnMut(Check) + Send)) -> Option<Config> {
    const NAME: &str = "configuration";
    let file = match &given.file {
        Ok(file) => file.as_deref(),
        Err(error) => {
            tell(Check::fails(
                NAME,
                error,
                "let Baton's account read it, or name another with BATON_CONFIG",
            ));
            return None;
        }
    };
    match Config::read(given.environment.clone(), file) {
        Ok(config) => {
            let source =
                if file.is_some() { "the environment and baton.toml" } else { "the environment" };
            tell(Check::holds(NAME, format!("{source}, App {}", config.github.app_id)));
            Some(config)
        }
        Err(mistakes) => {
            let list: Vec<String> =
                mistakes.0.iter().map(|one| format!("{}: {}", one.name, one.message)).collect();
            tell(Check::fails(NAME, format!("{} mistake(s)", list.len()), list.join("\n")));
            None
        }
    }
}

/// The database, and what is told by what is in it. Gives the forks that policies name.
async fn stored(
    place: &Place,
    keep: &Keep,
    given: &Given,
    tell: &mut (dyn FnMut(Check) + Send),
) -> Vec<forks::Forked> {
    let opened = database::open(place, tell).await;
    let mut named = Vec::new();
    if let Some(opened) = &opened {
        work::all(&opened.pool, given.clock.now(), tell).await;
        // A database that cannot be read was told above.
        named = forks::named(&opened.pool).await.unwrap_or_default();
    }
    tell(kept::kept(&place.data, keep, given.clock.now().into()));
    tell(work::layers(&place.data));
    if let Some(opened) = opened {
        opened.close().await;
    }
    named
}

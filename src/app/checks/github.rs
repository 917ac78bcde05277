//! GitHub: the App's key, how it is registered, where it is installed, what was delivered, the clock.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{Check, forks};
use crate::{
    app::parts,
    clock::Clock,
    config::Config,
    event::{PERMISSIONS, SUBSCRIBED},
    github::{App, DeliverySummary, GitHubError, Registration},
    model::Timestamp,
};

/// A clock further off than this makes GitHub refuse the App's signature.
const SKEW: TimeDelta = TimeDelta::seconds(30);
/// Deliveries older than this say nothing about now.
const LATELY: TimeDelta = TimeDelta::hours(24);

/// Looks at all of it.
pub(super) async fn all(
    config: &Config,
    clock: &Clock,
    forked: &[forks::Forked],
    tell: &mut (dyn FnMut(Check) + Send),
) {
    let reached = async {
        let app = parts::github(config, clock)?;
        let registration = app.registration().await?;
        anyhow::Ok((app, registration))
    };
    let (app, registration) = match reached.await {
        Ok(reached) => reached,
        Err(error) => {
            tell(Check::fails("GitHub App", format!("{error:#}"), advice(&error, config)));
            return;
        }
    };
    let seen = format!("{} of {}, key accepted", registration.slug, registration.owner_login);
    tell(Check::holds("GitHub App", seen));
    tell(time(&registration, clock.now()));
    tell(registered(&registration));
    tell(installations(&app, &registration, config).await.unwrap_or_else(away("installations")));
    if !forked.is_empty() {
        let looked = forks::all(&app, &registration.install_url, forked).await;
        tell(looked.unwrap_or_else(away("forks")));
    }
    tell(webhooks(&app, &registration, clock.now()).await.unwrap_or_else(away("webhooks")));
}

fn away(name: &'static str) -> impl FnOnce(GitHubError) -> Check {
    move |error| Check::fails(name, error, "see what GitHub says, then run baton doctor again")
}

fn advice(error: &anyhow::Error, config: &Config) -> String {
    let id = config.github.app_id;
    match error.downcast_ref::<GitHubError>() {
        Some(GitHubError::Unauthorized { .. }) => format!(
            "in the App's settings, compare the App ID with GITHUB_APP_ID ({id}) and make a new private \
             key for GITHUB_PRIVATE_KEY_FILE; see that this machine's clock is right"
        ),
        Some(GitHubError::Settings { .. }) => {
            "set GITHUB_PRIVATE_KEY_FILE to the .pem file that GitHub gave for the App".to_owned()
        }
        _ => format!(
            "see that this machine reaches {} (GITHUB_API_URL, HTTPS_PROXY)",
            config.github.api_url
        ),
    }
}

fn time(registration: &Registration, now: Timestamp) -> Check {
    const NAME: &str = "clock";
    let Some(theirs) = registration.answered_at else {
        return Check::skipped(NAME, "GitHub did not tell its time");
    };
    let apart = (now - theirs).abs();
    let seen = format!("{} s from GitHub's", apart.num_seconds());
    if apart <= SKEW {
        return Check::holds(NAME, seen);
    }
    Check::fails(NAME, seen, "set this machine's clock: timedatectl set-ntp true")
}

/// Compares with what `app-manifest.yml` wants: no less, and no more either.
fn registered(registration: &Registration) -> Check {
    const NAME: &str = "App permissions";
    let page = &registration.settings_url;
    let mut todo = Vec::new();
    for (name, level) in PERMISSIONS {
        if registration.permissions.get(*name).map(String::as_str) != Some(level) {
            todo.push(format!("set the permission {name} to {level}"));
        }
    }
    let wanted: BTreeSet<&str> = PERMISSIONS.iter().map(|(name, _)| *name).collect();
    let more = registration.permissions.keys().filter(|name| !wanted.contains(name.as_str()));
    todo.extend(more.map(|name| format!("take the permission {name} away: Baton never needs it")));
    let events: BTreeSet<&str> = registration.events.iter().map(String::as_str).collect();
    let lacking = SUBSCRIBED.iter().filter(|event| !events.contains(*event));
    todo.extend(lacking.map(|event| format!("subscribe to the event {event}")));
    if todo.is_empty() {
        let seen = format!(
            "{} permissions, {} events, as in app-manifest.yml",
            wanted.len(),
            SUBSCRIBED.len()
        );
        return Check::holds(NAME, seen);
    }
    let seen = format!("{} difference(s) from app-manifest.yml", todo.len());
    todo.insert(0, format!("on {page}/permissions:"));
    Check::fails(NAME, seen, todo.join("\n"))
}

async fn installations(
    app: &App,
    registration: &Registration,
    config: &Config,
) -> Result<Check, GitHubError> {
    const NAME: &str = "installations";
    let all = app.installations().await?;
    if all.is_empty() {
        let remedy = format!("install the App on a repository: {}", registration.install_url);
        return Ok(Check::fails(NAME, "none", remedy));
    }
    let mut todo = Vec::new();
    for one in &all {
        let login = &one.account_login;
        if one.suspended {
            todo.push(format!(
                "{login}: unsuspend the App in that account's settings, under installed Apps"
            ));
        } else if !grants(&one.permissions) {
            todo.push(format!(
                "{login}: accept the App's new permissions in that account's settings"
            ));
        }
    }
    let own = std::slice::from_ref(&registration.owner_login);
    let served = if config.limits.accounts.is_empty() { own } else { &config.limits.accounts };
    let others = all
        .iter()
        .map(|one| &one.account_login)
        .filter(|login| !served.iter().any(|account| account.eq_ignore_ascii_case(login)));
    let logins: Vec<&str> = all.iter().map(|one| one.account_login.as_str()).collect();
    let mut seen = format!("on {}", logins.join(", "));
    for login in others {
        seen.push_str(&format!("\n{login} is not served: it is not among accounts in [limits]"));
    }
    if todo.is_empty() {
        return Ok(Check::holds(NAME, seen));
    }
    Ok(Check::fails(NAME, seen, todo.join("\n")))
}

fn grants(permissions: &BTreeMap<String, String>) -> bool {
    PERMISSIONS.iter().all(|(name, level)| {
        permissions
            .get(*name)
            .is_some_and(|given| given == level || given == "write" || given == "admin")
    })
}

async fn webhooks(
    app: &App,
    registration: &Registration,
    now: Timestamp,
) -> Result<Check, GitHubError> {
    const NAME: &str = "webhooks";
    let mut recent = app.deliveries(None).await?.deliveries;
    recent.retain(|delivery| delivery.delivered_at >= now - LATELY);
    let Some(newest) = recent.first() else {
        return Ok(Check::holds(NAME, "nothing was delivered in the last day"));
    };
    let failed = recent.iter().filter(|delivery| !arrived(delivery)).count();
    let seen = format!("{failed} of the last {} deliveries did not arrive", recent.len());
    if arrived(newest) {
        return Ok(Check::holds(NAME, format!("{seen}; the newest did")));
    }
    let page = &registration.settings_url;
    let remedy = match newest.status_code {
        401 | 403 => format!("set the same webhook secret on {page} as in GITHUB_WEBHOOK_SECRET"),
        404 | 405 => format!("let the webhook URL on {page} end in /webhook"),
        _ => format!(
            "see that baton serve runs and that the webhook URL on {page} reaches it; the server fetches \
             by itself what did not arrive"
        ),
    };
    let answer = match newest.status_code {
        0 => "no answer".to_owned(),
        code => format!("answer {code}"),
    };
    Ok(Check::fails(NAME, format!("{seen}, the newest neither ({answer})"), remedy))
}

fn arrived(delivery: &DeliverySummary) -> bool {
    (200..300).contains(&delivery.status_code)
}

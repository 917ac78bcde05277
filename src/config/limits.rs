//! What no repository can raise.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Source;
use crate::model::{EgressRule, HostRule, Limits, Micros, Preset, Role};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accounts: Option<Vec<String>>,
    max_usd_per_task: Option<f64>,
    max_usd_per_repository_and_day: Option<f64>,
    max_usd_per_day: Option<f64>,
    agents: Option<u32>,
    agents_per_repository: Option<u32>,
    agents_per_role: Option<BTreeMap<String, u32>>,
    agents_per_provider: Option<BTreeMap<String, u32>>,
    open_pulls_per_repository: Option<u32>,
    egress: Option<Vec<String>>,
}

pub(super) fn read(source: &mut Source) -> Limits {
    let file: File = source.section("limits");
    let default = Limits::default();
    let agents = source.parsed("BATON_AGENTS", file.agents.map(|n| n.to_string()));
    let mut money = |name: &str, dollars: Option<f64>, default: Micros| match dollars {
        Some(dollars) if dollars > 0.0 && dollars.is_finite() => Micros::from_dollars(dollars),
        Some(dollars) => {
            source.mistake(
                &format!("{name} in [limits]"),
                format_args!("{dollars} is no amount above 0"),
            );
            default
        }
        None => default,
    };
    let limits = Limits {
        task: money("max_usd_per_task", file.max_usd_per_task, default.task),
        repository_day: money(
            "max_usd_per_repository_and_day",
            file.max_usd_per_repository_and_day,
            default.repository_day,
        ),
        server_day: money("max_usd_per_day", file.max_usd_per_day, default.server_day),
        agents: agents.unwrap_or(default.agents),
        repository_agents: file.agents_per_repository.unwrap_or(default.repository_agents),
        role_agents: roles(source, file.agents_per_role.unwrap_or_default()),
        provider_agents: providers(source, file.agents_per_provider.unwrap_or_default()),
        open_pulls: file.open_pulls_per_repository.unwrap_or(default.open_pulls),
        accounts: file.accounts.unwrap_or_default(),
        egress: default.egress,
    };
    match file.egress {
        Some(entries) => Limits { egress: egress(source, &entries), ..limits },
        None => limits,
    }
}

/// How many agents of each role may run at once.
fn roles(source: &mut Source, named: BTreeMap<String, u32>) -> BTreeMap<Role, u32> {
    let mut limits = BTreeMap::new();
    for (name, most) in named {
        match Role::by_name(&name) {
            Some(role) if most > 0 => drop(limits.insert(role, most)),
            Some(_) => none_at_all(source, "agents_per_role", &name),
            None => {
                let known: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
                let wrong = format!("{name:?} is no role: there are {}", known.join(", "));
                source.mistake("agents_per_role in [limits]", wrong);
            }
        }
    }
    limits
}

/// How many agents of each provider may run at once. Which providers there are is not known here: one that
/// nobody uses limits nothing.
fn providers(source: &mut Source, named: BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    for (name, _) in named.iter().filter(|(_, most)| **most == 0) {
        none_at_all(source, "agents_per_provider", name);
    }
    named
}

fn none_at_all(source: &mut Source, key: &str, name: &str) {
    let wrong = format!("none of {name:?} at once would let none ever start: 1 or more");
    source.mistake(&format!("{key} in [limits]"), wrong);
}

/// Hosts that a set-up may reach at most: names of presets, hosts, and hosts with their address.
fn egress(source: &mut Source, entries: &[String]) -> Vec<EgressRule> {
    let mut rules = Vec::new();
    for entry in entries {
        match (Preset::by_name(entry), rule(entry)) {
            (Some(preset), _) => rules.extend(EgressRule::of_preset(preset)),
            (None, Ok(rule)) => rules.push(rule),
            (None, Err(wrong)) => source.mistake("egress in [limits]", wrong),
        }
    }
    rules
}

/// `HOST`, or `HOST=ADDRESS`.
fn rule(entry: &str) -> Result<EgressRule, String> {
    let (host, address) = match entry.split_once('=') {
        Some((host, address)) => (host, Some(address)),
        None => (entry, None),
    };
    let host = HostRule::new(host.trim()).map_err(|error| error.to_string())?;
    let parse = |text: &str| {
        text.trim().parse().map_err(|_| format!("{text:?} in {entry:?} is no IP address"))
    };
    Ok(EgressRule { host, address: address.map(parse).transpose()? })
}

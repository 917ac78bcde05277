//! What no repository can raise.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Source;
use crate::model::{AfterQuota, EgressRule, HostRule, Limits, Micros, Preset, Role};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accounts: Option<Vec<String>>,
    max_usd_per_agent: Option<f64>,
    max_usd_per_task: Option<f64>,
    max_usd_per_repository_and_day: Option<f64>,
    max_usd_per_day: Option<f64>,
    requests_per_agent: Option<u32>,
    models: Option<BTreeMap<Role, Vec<String>>>,
    resume_after_quota: Option<AfterQuota>,
    agents: Option<u32>,
    agents_per_repository: Option<u32>,
    agents_per_role: Option<BTreeMap<Role, u32>>,
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
    let agent = file
        .max_usd_per_agent
        .map(|dollars| money("max_usd_per_agent", Some(dollars), default.task));
    let limits = Limits {
        agent,
        task: money("max_usd_per_task", file.max_usd_per_task, default.task),
        repository_day: money(
            "max_usd_per_repository_and_day",
            file.max_usd_per_repository_and_day,
            default.repository_day,
        ),
        server_day: money("max_usd_per_day", file.max_usd_per_day, default.server_day),
        requests: file.requests_per_agent.unwrap_or(default.requests),
        models: file.models.unwrap_or_default(),
        after_quota: file.resume_after_quota.unwrap_or(default.after_quota),
        agents: agents.unwrap_or(default.agents),
        repository_agents: file.agents_per_repository.unwrap_or(default.repository_agents),
        role_agents: each(source, "agents_per_role", file.agents_per_role, |role| role.name()),
        provider_agents: each(
            source,
            "agents_per_provider",
            file.agents_per_provider,
            String::as_str,
        ),
        open_pulls: file.open_pulls_per_repository.unwrap_or(default.open_pulls),
        accounts: file.accounts.unwrap_or_default(),
        egress: default.egress,
    };
    match file.egress {
        Some(entries) => Limits { egress: egress(source, &entries), ..limits },
        None => limits,
    }
}

/// How many may run at once, by role or provider; one that nobody uses limits nothing.
fn each<K: Ord>(
    source: &mut Source,
    key: &str,
    named: Option<BTreeMap<K, u32>>,
    name: impl Fn(&K) -> &str,
) -> BTreeMap<K, u32> {
    let named = named.unwrap_or_default();
    for (whose, _) in named.iter().filter(|(_, most)| **most == 0) {
        let name = name(whose);
        let wrong = format!("none of {name} at once would let none ever start: 1 or more");
        source.mistake(&format!("{key} in [limits]"), wrong);
    }
    named
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_roles_and_providers_are_read_and_none_at_all_is_a_mistake() {
        let file = "[limits]\nagents_per_role = { reviewer = 2, coding = 0 }\n\
                    agents_per_provider = { claude = 3 }";
        let mut source = Source::new(BTreeMap::new(), Some(file));
        let limits = read(&mut source);
        assert_eq!(limits.role_agents[&Role::Reviewer], 2);
        assert_eq!(limits.provider_agents, BTreeMap::from([("claude".to_owned(), 3)]));
        let mistakes = source.finish().unwrap_err().to_string();
        assert!(mistakes.contains("agents_per_role in [limits]: none of coding"), "{mistakes}");
    }
}

//! What each role can be given, judged over its keys together.

use std::collections::BTreeMap;

use crate::model::{Role, RolePolicy};

/// The first thing that a role cannot have, in words for the person who wrote it.
pub(super) fn mistake(roles: &BTreeMap<Role, RolePolicy>) -> Option<String> {
    roles.iter().find_map(|(role, policy)| of_role(*role, policy))
}

fn of_role(role: Role, policy: &RolePolicy) -> Option<String> {
    let name = role.name();
    let tools = policy.tools.as_deref().unwrap_or_default();
    if let Some(tool) = tools.iter().find(|tool| tool.changes() && !role.writes()) {
        return Some(format!(
            "`roles.{name}.tools`: {} changes things and {name} only reads; `tools` can take away \
             and never give",
            tool.name()
        ));
    }
    // What the program cannot be held to is no promise.
    let codex = policy.provider.as_deref() == Some("codex");
    if codex && policy.tools.is_some() {
        return Some(format!(
            "`roles.{name}.tools`: codex does all it does in one shell, so no tool can be taken \
             from it; leave `tools` out, or let claude play the role"
        ));
    }
    if codex && policy.max_turns.is_some() {
        return Some(format!(
            "`roles.{name}.max_turns`: codex counts no turns; `requests` limits it as well"
        ));
    }
    None
}

//! A repository itself, its installation, and what people may do in it.

use serde_json::json;

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::Read;
use super::Call;
use super::app::as_app;

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    Some(match (method, segments) {
        ("GET", ["repos", owner, name]) => get(call, (owner, name)),
        ("GET", ["repos", owner, name, "installation"]) => installation(call, (owner, name)),
        ("GET", ["repos", owner, name, "collaborators", login, "permission"]) => {
            permission(call, (owner, name), login)
        }
        _ => return None,
    })
}

fn get(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["metadata"], Read)?;
    let repository = call.state.repository(id)?;
    let mut shape = call.state.repository_json(repository);
    if let Some(parent) = repository.parent {
        for (name, id) in [("parent", parent), ("source", call.state.source(id))] {
            shape[name] = call.state.repository_json(call.state.repository(id)?);
        }
    }
    Ok(Answer::ok(shape))
}

fn installation(call: &Call<'_>, (owner, name): (&str, &str)) -> Handled {
    as_app(call)?;
    let id = call.state.repository_id(owner, name).ok_or_else(Refusal::not_found)?;
    let mut all = call.state.installations.values();
    let known = all.find(|known| known.repositories.contains(&id));
    Ok(Answer::ok(call.state.installation_json(known.ok_or_else(Refusal::not_found)?)))
}

/// The role is in `role_name`; `permission` is the older word that knows neither maintain nor
/// triage. Outsiders may read what is public.
fn permission(call: &Call<'_>, repository: (&str, &str), login: &str) -> Handled {
    let id = call.reach(repository, &["metadata"], Read)?;
    let repository = call.state.repository(id)?;
    let account = call.state.account(login).ok_or_else(Refusal::not_found)?;
    let role = call.state.role(repository, account.id);
    let (role_name, permission) = match role {
        Some(role) => (role.name(), role.legacy_permission()),
        None if repository.private => ("none", "none"),
        None => ("read", "read"),
    };
    let mut user = call.state.account_json(account);
    user["role_name"] = json!(role_name);
    user["permissions"] = json!({
        "admin": role_name == "admin",
        "maintain": matches!(role_name, "admin" | "maintain"),
        "push": matches!(role_name, "admin" | "maintain" | "write"),
        "triage": !matches!(role_name, "read" | "none"),
        "pull": role_name != "none",
    });
    Ok(Answer::ok(json!({ "permission": permission, "role_name": role_name, "user": user })))
}

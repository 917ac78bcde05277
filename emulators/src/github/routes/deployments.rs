//! Deployments and their statuses.

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{Read, Write};
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, "deployments", rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", []) => list(call, repository),
        ("POST", []) => create(call, repository),
        ("GET", [id]) => get(call, repository, id),
        ("GET", [id, "statuses"]) => statuses(call, repository, id),
        ("POST", [id, "statuses"]) => create_status(call, repository, id),
        ("GET", [id, "statuses", status]) => get_status(call, repository, id, status),
        _ => return None,
    })
}

fn list(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["deployments"], Read)?;
    let repository = call.state.repository(id)?;
    let matches = |name: &str, value: &str| call.parameter(name).is_none_or(|asked| asked == value);
    let wanted = repository.deployments.iter().rev().filter(|known| {
        matches("sha", &known.sha)
            && matches("ref", &known.reference)
            && matches("task", &known.task)
            && matches("environment", &known.environment)
    });
    Ok(call.page(wanted.map(|known| call.state.deployment_json(repository, known)).collect()))
}

fn shown(call: &Call<'_>, id: u64, deployment: u64) -> Handled {
    let deployment = call.state.deployment(id, deployment)?;
    Ok(Answer::ok(call.state.deployment_json(call.state.repository(id)?, deployment)))
}

fn create(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["deployments"], Write)?;
    let deployment = call.state.create_deployment(id, call.bot(), &call.body)?;
    Ok(Answer { status: 201, ..shown(call, id, deployment)? })
}

fn get(call: &Call<'_>, repository: (&str, &str), deployment: &str) -> Handled {
    let id = call.reach(repository, &["deployments"], Read)?;
    shown(call, id, number(deployment)?)
}

fn statuses(call: &Call<'_>, repository: (&str, &str), deployment: &str) -> Handled {
    let id = call.reach(repository, &["deployments"], Read)?;
    let deployment = call.state.deployment(id, number(deployment)?)?;
    let repository = call.state.repository(id)?;
    let statuses = deployment.statuses.iter().rev();
    let shapes =
        statuses.map(|known| call.state.deployment_status_json(repository, deployment, known));
    Ok(call.page(shapes.collect()))
}

fn shown_status(call: &Call<'_>, id: u64, deployment: u64, status: u64) -> Handled {
    let deployment = call.state.deployment(id, deployment)?;
    let status = deployment.statuses.iter().find(|known| known.id == status);
    let status = status.ok_or_else(Refusal::not_found)?;
    let repository = call.state.repository(id)?;
    Ok(Answer::ok(call.state.deployment_status_json(repository, deployment, status)))
}

fn create_status(call: &mut Call<'_>, repository: (&str, &str), deployment: &str) -> Handled {
    let id = call.reach(repository, &["deployments"], Write)?;
    let deployment = number(deployment)?;
    let status = call.state.create_deployment_status(id, call.bot(), deployment, &call.body)?;
    Ok(Answer { status: 201, ..shown_status(call, id, deployment, status)? })
}

fn get_status(
    call: &Call<'_>,
    repository: (&str, &str),
    deployment: &str,
    status: &str,
) -> Handled {
    let id = call.reach(repository, &["deployments"], Read)?;
    shown_status(call, id, number(deployment)?, number(status)?)
}

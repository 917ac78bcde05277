//! The App's own routes: itself, its installations, their tokens, its deliveries; and users.

use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Caller;
use super::super::hooks::Delivery;
use super::super::json::time;
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    Some(match (method, segments) {
        ("GET", ["app"]) => as_app(call).map(|()| Answer::ok(call.state.app_json())),
        ("GET", ["app", "installations"]) => installations(call),
        ("GET", ["app", "installations", id]) => installation(call, id),
        ("POST", ["app", "installations", id, "access_tokens"]) => mint(call, id),
        ("GET", ["app", "hook", "deliveries"]) => deliveries(call),
        ("GET", ["app", "hook", "deliveries", id]) => delivery(call, id),
        ("POST", ["app", "hook", "deliveries", id, "attempts"]) => redeliver(call, id),
        ("GET", ["installation", "repositories"]) => repositories(call),
        ("GET", ["users", login]) => user(call, login),
        ("GET", ["rate_limit"]) => Ok(rate_limit(call)),
        _ => return None,
    })
}

/// Refuses callers that do not show the App's JWT.
pub(super) fn as_app(call: &Call<'_>) -> Result<(), Refusal> {
    match call.caller {
        Caller::App => Ok(()),
        Caller::Installation(_) | Caller::Anonymous => {
            Err(Refusal::new(401, "A JSON web token could not be decoded"))
        }
    }
}

fn installations(call: &Call<'_>) -> Handled {
    as_app(call)?;
    let all = call.state.installations.values();
    Ok(call.page(all.map(|known| call.state.installation_json(known)).collect()))
}

fn installation(call: &Call<'_>, id: &str) -> Handled {
    as_app(call)?;
    let known = call.state.installations.get(&number(id)?).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(call.state.installation_json(known)))
}

fn mint(call: &mut Call<'_>, id: &str) -> Handled {
    as_app(call)?;
    call.state.mint(number(id)?, &call.body)
}

fn repositories(call: &Call<'_>) -> Handled {
    let Caller::Installation(token) = &call.caller else {
        return Err(Refusal::new(401, "Requires authentication"));
    };
    let shown = call.state.token_repositories(token);
    let shown = shown.iter().filter_map(|id| call.state.repositories.get(id));
    let shown = shown.map(|known| call.state.repository_json(known)).collect();
    let mut answer = call.counted_page("repositories", shown);
    if let Some(body) = &mut answer.body {
        body["repository_selection"] = json!("selected");
    }
    Ok(answer)
}

fn user(call: &Call<'_>, login: &str) -> Handled {
    let account = call.state.account(login).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(call.state.public_user_json(account)))
}

fn rate_limit(call: &Call<'_>) -> Answer {
    let reset = call.state.now().timestamp() + 3_600;
    let core = json!({ "limit": 5000, "used": 1, "remaining": 4999, "reset": reset });
    let resources = json!({ "core": core, "search": core, "graphql": core });
    Answer::ok(json!({ "resources": resources, "rate": core }))
}

/// Newest first, by cursor: the id of the next one to show.
fn deliveries(call: &Call<'_>) -> Handled {
    as_app(call)?;
    let cursor = call.parameter("cursor").and_then(|cursor| cursor.parse::<u64>().ok());
    let size = call.page_size();
    let mut newest: Vec<&Delivery> = call
        .state
        .deliveries
        .iter()
        .filter(|delivery| delivery.status_code.is_some())
        .filter(|delivery| cursor.is_none_or(|cursor| delivery.id <= cursor))
        .collect();
    newest.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
    let shown = newest.iter().take(size).map(|delivery| delivery_json(delivery)).collect();
    let mut answer = Answer::ok(Value::Array(shown));
    if let Some(next) = newest.get(size) {
        let link = call.link_with("cursor", &next.id.to_string(), "next");
        answer.headers.push(("link".to_owned(), link));
    }
    Ok(answer)
}

fn delivery_json(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": time(delivery.delivered_at),
        "redelivery": delivery.redelivery,
        "duration": delivery.seconds,
        "status": delivery.status,
        "status_code": delivery.status_code.unwrap_or(0),
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation,
        "repository_id": delivery.repository,
        "throttled_at": null,
    })
}

fn delivery(call: &Call<'_>, id: &str) -> Handled {
    as_app(call)?;
    let id = number(id)?;
    let known = call.state.deliveries.iter().find(|delivery| delivery.id == id);
    let known = known.ok_or_else(Refusal::not_found)?;
    let body = known.payload.to_string();
    let headers = call.state.delivery_headers(known, body.as_bytes());
    let headers: serde_json::Map<String, Value> =
        headers.into_iter().map(|(name, value)| (name, json!(value))).collect();
    let mut shape = delivery_json(known);
    shape["url"] = json!(call.state.webhook_url);
    shape["request"] = json!({ "headers": headers, "payload": *known.payload });
    shape["response"] = json!({ "headers": {}, "payload": known.response_body });
    Ok(Answer::ok(shape))
}

fn redeliver(call: &mut Call<'_>, id: &str) -> Handled {
    as_app(call)?;
    if !call.state.redeliver(number(id)?) {
        return Err(Refusal::not_found());
    }
    Ok(Answer { status: 202, ..Answer::ok(json!({})) })
}

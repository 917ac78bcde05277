//! Check runs, suites and commit statuses.

use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{Read, Write};
use super::super::model::CheckRun;
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("POST", ["check-runs"]) => create(call, repository),
        ("GET", ["check-runs", id]) => get(call, repository, id),
        ("PATCH", ["check-runs", id]) => update(call, repository, id),
        ("GET", ["check-runs", id, "annotations"]) => annotations(call, repository, id),
        ("GET", ["check-suites", id]) => suite(call, repository, id),
        ("GET", ["check-suites", id, "check-runs"]) => suite_runs(call, repository, id),
        ("GET", ["commits", reference @ .., "check-runs"]) => {
            list(call, repository, &reference.join("/"))
        }
        ("GET", ["commits", reference @ .., "check-suites"]) => {
            suites(call, repository, &reference.join("/"))
        }
        ("GET", ["commits", reference @ .., "status"]) => {
            combined_status(call, repository, &reference.join("/"))
        }
        ("GET", ["commits", reference @ .., "statuses"]) => {
            statuses(call, repository, &reference.join("/"))
        }
        _ => return None,
    })
}

fn shown(call: &Call<'_>, id: u64, run: u64) -> Result<Value, Refusal> {
    Ok(call.state.check_run_json(call.state.repository(id)?, call.state.check_run(id, run)?))
}

fn create(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["checks"], Write)?;
    let slug = call.state.app.slug.clone();
    let run = call.state.create_check_run(id, call.bot(), &slug, &call.body)?;
    Ok(Answer::created(shown(call, id, run)?))
}

fn get(call: &Call<'_>, repository: (&str, &str), run: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    Ok(Answer::ok(shown(call, id, number(run)?)?))
}

/// An App can change its own check runs only.
fn update(call: &mut Call<'_>, repository: (&str, &str), run: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Write)?;
    let run = number(run)?;
    if call.state.check_run(id, run)?.app_slug != call.state.app.slug {
        return Err(Refusal::new(
            403,
            "Invalid app_id `app` - check run can only be modified by the GitHub App that created it.",
        ));
    }
    call.state.update_check_run(id, run, call.bot(), &call.body)?;
    Ok(Answer::ok(shown(call, id, run)?))
}

fn annotations(call: &Call<'_>, repository: (&str, &str), run: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    let run = call.state.check_run(id, number(run)?)?;
    Ok(call.page(run.annotations.iter().map(annotation).collect()))
}

fn annotation(given: &Value) -> Value {
    json!({
        "path": given["path"],
        "start_line": given["start_line"],
        "end_line": given["end_line"],
        "start_column": given["start_column"],
        "end_column": given["end_column"],
        "annotation_level": given["annotation_level"],
        "title": given["title"],
        "message": given["message"],
        "raw_details": given["raw_details"],
        "blob_href": "",
    })
}

/// The runs wanted by the query; of runs of one name and App only the newest unless `filter=all`.
fn wanted<'a>(call: &Call<'_>, runs: impl Iterator<Item = &'a CheckRun>) -> Vec<&'a CheckRun> {
    let mut wanted: Vec<&CheckRun> = runs
        .filter(|run| call.parameter("check_name").is_none_or(|name| name == run.name))
        .filter(|run| call.parameter("status").is_none_or(|status| status == run.status))
        .filter(|run| {
            let app = call.parameter("app_id").and_then(|id| id.parse::<u64>().ok());
            app.is_none_or(|app| call.state.app_by_slug(&run.app_slug)["id"] == app)
        })
        .collect();
    wanted.reverse();
    if call.parameter("filter") != Some("all") {
        let mut seen = std::collections::BTreeSet::new();
        wanted.retain(|run| seen.insert((run.app_slug.clone(), run.name.clone())));
    }
    wanted
}

fn list(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    let sha = call.state.commit_of(id, reference)?;
    let repository = call.state.repository(id)?;
    let runs = repository.check_runs.iter().filter(|run| run.head_sha == sha);
    let shapes = wanted(call, runs).into_iter();
    let shapes = shapes.map(|run| call.state.check_run_json(repository, run)).collect();
    Ok(call.counted_page("check_runs", shapes))
}

fn suite(call: &Call<'_>, repository: (&str, &str), suite: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    let suite = call.state.check_suite(id, number(suite)?)?;
    let repository = call.state.repository(id)?;
    Ok(Answer::ok(call.state.check_suite_json(repository, suite)))
}

fn suite_runs(call: &Call<'_>, repository: (&str, &str), suite: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    let suite = call.state.check_suite(id, number(suite)?)?.id;
    let repository = call.state.repository(id)?;
    let runs = repository.check_runs.iter().filter(|run| run.suite == suite);
    let shapes = wanted(call, runs).into_iter();
    let shapes = shapes.map(|run| call.state.check_run_json(repository, run)).collect();
    Ok(call.counted_page("check_runs", shapes))
}

fn suites(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["checks"], Read)?;
    let sha = call.state.commit_of(id, reference)?;
    let repository = call.state.repository(id)?;
    let suites = repository.check_suites.iter().filter(|suite| suite.head_sha == sha);
    let shapes = suites.map(|suite| call.state.check_suite_json(repository, suite)).collect();
    Ok(call.counted_page("check_suites", shapes))
}

fn statuses(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["statuses"], Read)?;
    let sha = call.state.commit_of(id, reference)?;
    let repository = call.state.repository(id)?;
    let statuses = repository.statuses.iter().rev().filter(|status| status.sha == sha);
    Ok(call.page(statuses.map(|status| call.state.status_json(repository, status)).collect()))
}

fn combined_status(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["statuses"], Read)?;
    let sha = call.state.commit_of(id, reference)?;
    let repository = call.state.repository(id)?;
    let mut seen = std::collections::BTreeSet::new();
    let newest: Vec<_> = repository
        .statuses
        .iter()
        .rev()
        .filter(|status| status.sha == sha && seen.insert(status.context.clone()))
        .collect();
    let any = |word: &str| newest.iter().any(|status| status.state == word);
    let state = if any("failure") || any("error") {
        "failure"
    } else if newest.is_empty() || any("pending") {
        "pending"
    } else {
        "success"
    };
    let total = newest.len();
    let shapes = newest.iter().map(|status| call.state.status_json(repository, status));
    let mut answer = call.counted_page("statuses", shapes.collect());
    if let Some(body) = &mut answer.body {
        let base = format!("{}/repos/{}", call.state.api_url, call.state.full_name(repository));
        body["state"] = json!(state);
        body["sha"] = json!(sha);
        body["total_count"] = json!(total);
        body["repository"] = call.state.repository_json(repository);
        body["commit_url"] = json!(format!("{base}/commits/{sha}"));
        body["url"] = json!(format!("{base}/commits/{sha}/status"));
    }
    Ok(answer)
}

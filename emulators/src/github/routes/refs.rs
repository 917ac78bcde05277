//! Refs, branches, commits and comparisons.

use serde_json::{Value, json};

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{Read, Write};
use super::super::model::Repository;
use super::super::{diff, git};
use super::Call;

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", ["git", "ref", reference @ ..]) => get(call, repository, &reference.join("/")),
        ("GET", ["git", "matching-refs", reference @ ..]) => {
            matching(call, repository, &reference.join("/"))
        }
        ("POST", ["git", "refs"]) => create(call, repository),
        ("PATCH", ["git", "refs", reference @ ..]) => {
            update(call, repository, &reference.join("/"))
        }
        ("DELETE", ["git", "refs", reference @ ..]) => {
            delete(call, repository, &reference.join("/"))
        }
        ("GET", ["branches"]) => branches(call, repository),
        ("GET", ["branches", branch @ ..]) => branch_of(call, repository, &branch.join("/")),
        ("GET", ["commits", reference @ ..]) if !reference.is_empty() => {
            commit(call, repository, &reference.join("/"))
        }
        ("GET", ["compare", range @ ..]) => compare(call, repository, &range.join("/")),
        _ => return None,
    })
}

fn ref_json(call: &Call<'_>, repository: &Repository, reference: &str, sha: &str) -> Value {
    let base = format!("{}/repos/{}/git", call.state.api_url, call.state.full_name(repository));
    json!({
        "ref": reference,
        "node_id": format!("REF_{sha}"),
        "url": format!("{base}/{reference}"),
        "object": { "type": "commit", "sha": sha, "url": format!("{base}/commits/{sha}") },
    })
}

fn get(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let repository = call.state.repository(id)?;
    let name = format!("refs/{reference}");
    let sha = call.state.visible_ref(repository, &name).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(ref_json(call, repository, &name, &sha)))
}

fn matching(call: &Call<'_>, repository: (&str, &str), prefix: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let repository = call.state.repository(id)?;
    let prefix = format!("refs/{prefix}");
    let names = repository.refs.keys().filter(|name| name.starts_with(&prefix));
    let shapes = names.filter_map(|name| {
        let sha = call.state.visible_ref(repository, name)?;
        Some(ref_json(call, repository, name, &sha))
    });
    Ok(call.page(shapes.collect()))
}

/// Points a ref, or removes it, and tells of it as of a push.
fn change(call: &mut Call<'_>, id: u64, reference: &str, sha: Option<&str>) -> Result<(), Refusal> {
    let path = call.state.repository(id)?.path.clone();
    git::set_ref(&path, reference, sha)?;
    let changes = call.state.refresh_refs(id)?;
    call.state.after_push(id, call.bot(), &changes)
}

fn create(call: &mut Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["contents"], Write)?;
    let reference = call.required("Reference", "ref")?;
    let sha = call.required("Reference", "sha")?;
    let path = &call.state.repository(id)?.path;
    if !reference.starts_with("refs/") || reference.split('/').count() < 3 {
        return Err(Refusal::new(422, "Reference name is not valid"));
    }
    if call.state.repository(id)?.refs.contains_key(&reference) {
        return Err(Refusal::new(422, "Reference already exists"));
    }
    if git::resolve(path, &sha)?.is_none() {
        return Err(Refusal::new(422, "Object does not exist"));
    }
    change(call, id, &reference, Some(&sha))?;
    Ok(Answer::created(ref_json(call, call.state.repository(id)?, &reference, &sha)))
}

fn update(call: &mut Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Write)?;
    let sha = call.required("Reference", "sha")?;
    let reference = format!("refs/{reference}");
    let repository = call.state.repository(id)?;
    let gone = || Refusal::new(422, "Reference does not exist");
    let before = repository.refs.get(&reference).ok_or_else(gone)?;
    if git::resolve(&repository.path, &sha)?.is_none() {
        return Err(Refusal::new(422, "Object does not exist"));
    }
    let forced = call.body["force"].as_bool().unwrap_or(false);
    if !forced && !git::is_ancestor(&repository.path, before, &sha)? {
        return Err(Refusal::new(422, "Update is not a fast forward"));
    }
    change(call, id, &reference, Some(&sha))?;
    Ok(Answer::ok(ref_json(call, call.state.repository(id)?, &reference, &sha)))
}

fn delete(call: &mut Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Write)?;
    let reference = format!("refs/{reference}");
    if !call.state.repository(id)?.refs.contains_key(&reference) {
        return Err(Refusal::new(422, "Reference does not exist"));
    }
    change(call, id, &reference, None)?;
    Ok(Answer::nothing())
}

fn branches(call: &Call<'_>, repository: (&str, &str)) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let repository = call.state.repository(id)?;
    let base = format!("{}/repos/{}", call.state.api_url, call.state.full_name(repository));
    let names = repository.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
    let shapes = names.filter_map(|name| {
        let sha = call.state.branch(repository, name)?;
        let url = format!("{base}/commits/{sha}");
        Some(json!({ "name": name, "commit": { "sha": sha, "url": url }, "protected": false }))
    });
    Ok(call.page(shapes.collect()))
}

fn branch_of(call: &Call<'_>, repository: (&str, &str), name: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let repository = call.state.repository(id)?;
    let missing = || Refusal::new(404, "Branch not found");
    let sha = call.state.branch(repository, name).ok_or_else(missing)?;
    let base = format!("{}/repos/{}", call.state.api_url, call.state.full_name(repository));
    let commit = git::commit(&repository.path, &sha)?;
    Ok(Answer::ok(json!({
        "name": name,
        "commit": call.state.commit_json(repository, &commit),
        "_links": {
            "self": format!("{base}/branches/{name}"),
            "html": format!("{}/ui/{}", call.state.api_url, call.state.full_name(repository)),
        },
        "protected": false,
        "protection": { "enabled": false },
        "protection_url": format!("{base}/branches/{name}/protection"),
    })))
}

fn commit(call: &Call<'_>, repository: (&str, &str), reference: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let unknown = |_| Refusal::new(422, format!("No commit found for SHA: {reference}"));
    let sha = call.state.commit_of(id, reference).map_err(unknown)?;
    let repository = call.state.repository(id)?;
    let commit = git::commit(&repository.path, &sha)?;
    let parent = commit.parents.first().map_or(git::EMPTY_TREE, String::as_str);
    let files = diff::parse(&git::diff(&repository.path, parent, &sha)?);
    let mut shape = call.state.commit_json(repository, &commit);
    let additions: u64 = files.iter().map(|file| file.additions).sum();
    let deletions: u64 = files.iter().map(|file| file.deletions).sum();
    shape["stats"] = json!({
        "additions": additions, "deletions": deletions, "total": additions + deletions
    });
    shape["files"] =
        files.iter().map(|file| call.state.file_json(repository, &sha, file)).collect();
    Ok(Answer::ok(shape))
}

fn compare(call: &Call<'_>, repository: (&str, &str), range: &str) -> Handled {
    let id = call.reach(repository, &["contents"], Read)?;
    let (base, head) = range.split_once("...").ok_or_else(Refusal::not_found)?;
    let (base, head) = (call.state.commit_of(id, base)?, call.state.commit_of(id, head)?);
    let repository = call.state.repository(id)?;
    let path = &repository.path;
    let ahead = git::commits_between(path, &base, &head)?;
    let behind = git::commits_between(path, &head, &base)?.len();
    let origin = git::merge_base(path, &base, &head)?.ok_or_else(Refusal::not_found)?;
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let mut commits = Vec::new();
    for sha in &ahead {
        commits.push(call.state.commit_json(repository, &git::commit(path, sha)?));
    }
    let files = diff::parse(&git::diff(path, &origin, &head)?);
    let shown: Vec<Value> =
        files.iter().map(|file| call.state.file_json(repository, &head, file)).collect();
    let url = format!("{}{}", call.state.api_url, call.path);
    Ok(Answer::ok(json!({
        "url": url, "html_url": url, "permalink_url": url,
        "diff_url": format!("{url}.diff"), "patch_url": format!("{url}.patch"),
        "base_commit": call.state.commit_json(repository, &git::commit(path, &base)?),
        "merge_base_commit": call.state.commit_json(repository, &git::commit(path, &origin)?),
        "status": status,
        "ahead_by": ahead.len(),
        "behind_by": behind,
        "total_commits": ahead.len(),
        "commits": commits,
        "files": shown,
    })))
}

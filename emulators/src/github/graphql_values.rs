//! The values GraphQL selections are taken from.

use serde_json::{Map, Value, json};

use super::auth::Level::{self, Read};
use super::graphql::Problem;
use super::json::{node_id, parse_node_id, time};
use super::json_issues::body_json;
use super::model::{Comment, Review, ReviewComment};
use super::routes::Call;
use super::state::State;

/// Whether a value of a type is what a fragment is about; interfaces count by name.
pub(crate) fn is_type(
    type_name: &str,
    condition: Option<&graphql_parser::query::TypeCondition<'_, String>>,
) -> bool {
    let Some(graphql_parser::query::TypeCondition::On(wanted)) = condition else { return true };
    let interface = matches!(wanted.as_str(), "Node" | "Comment" | "Minimizable" | "Actor");
    interface || wanted == type_name
}

fn unknown_node(id: &str) -> Problem {
    Problem {
        kind: "NOT_FOUND",
        message: format!("Could not resolve to a node with the global id of '{id}'"),
    }
}

/// A thing a node id names: its repository, the number it hangs on, and its own id.
pub(crate) struct Found {
    pub kind: String,
    pub repository: u64,
    pub number: u64,
    pub id: u64,
}

/// Finds what a node id names, if the caller may do this to it.
pub(crate) fn find(call: &Call<'_>, node_id: &str, level: Level) -> Result<Found, Problem> {
    let (kind, id) = parse_node_id(node_id).ok_or_else(|| unknown_node(node_id))?;
    let state = &call.state;
    let found = state.repositories.values().find_map(|repository| {
        let number = repository.issues.values().find_map(|issue| {
            let pull = issue.pull.as_ref();
            let has = match kind {
                "I" => issue.id == id,
                "IC" => issue.comments.iter().any(|comment| comment.id == id),
                "PR" => pull.is_some_and(|pull| pull.id == id),
                "PRR" => pull.is_some_and(|p| p.reviews.iter().any(|review| review.id == id)),
                "PRRC" | "PRRT" => {
                    pull.is_some_and(|p| p.review_comments.iter().any(|c| c.id == id))
                }
                _ => false,
            };
            has.then_some(issue.number)
        })?;
        Some(Found { kind: kind.to_owned(), repository: repository.id, number, id })
    });
    let found = found.ok_or_else(|| unknown_node(node_id))?;
    let repository = state.repository(found.repository)?;
    let name = (state.login(repository.owner), repository.name.as_str());
    let permissions: &[&str] = match kind {
        "I" => &["issues"],
        "IC" => &["issues", "pull_requests"],
        _ => &["pull_requests"],
    };
    call.reach(name, permissions, level)?;
    Ok(found)
}

/// The value of what was found.
pub(crate) fn value_of(state: &State, found: &Found) -> Result<Value, Problem> {
    let (repository, number) = (found.repository, found.number);
    let issue = state.issue(repository, number)?;
    let missing = || unknown_node(&node_id(&found.kind, found.id));
    Ok(match found.kind.as_str() {
        "IC" => {
            let comment = issue.comments.iter().find(|comment| comment.id == found.id);
            comment_value(state, comment.ok_or_else(missing)?)
        }
        "PR" => pull_value(state, repository, number)?,
        "PRR" => {
            let review = state.pull(repository, number)?.reviews.iter();
            let review = review.clone().find(|review| review.id == found.id);
            review_value(state, review.ok_or_else(missing)?)
        }
        "PRRT" => thread_value(state, repository, number, found.id)?,
        "PRRC" => {
            let comments = &state.pull(repository, number)?.review_comments;
            let comment = comments.iter().find(|comment| comment.id == found.id);
            review_comment_value(state, comment.ok_or_else(missing)?)
        }
        _ => issue_value(state, repository, number)?,
    })
}

/// A field of the query root.
pub(crate) fn root(
    call: &mut Call<'_>,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<Value, Problem> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match name {
        "repository" => {
            let (owner, name) = (text("owner"), text("name"));
            let missing = |_| Problem {
                kind: "NOT_FOUND",
                message: format!(
                    "Could not resolve to a Repository with the name '{owner}/{name}'."
                ),
            };
            let id = call.reach((owner, name), &["metadata"], Read).map_err(missing)?;
            let repository = call.state.repository(id)?;
            Ok(json!({
                "__typename": "Repository",
                "__id": id,
                "id": node_id("R", id),
                "databaseId": id,
                "name": repository.name,
                "nameWithOwner": call.state.full_name(repository),
                "isPrivate": repository.private,
                "isArchived": repository.archived,
                "owner": actor_value(call.state, repository.owner),
                "defaultBranchRef": { "__typename": "Ref", "name": repository.default_branch },
            }))
        }
        "node" => {
            let found = find(call, text("id"), Read)?;
            value_of(call.state, &found)
        }
        "viewer" => Ok(actor_value(call.state, call.bot())),
        _ => Err(Problem {
            kind: "undefinedField",
            message: format!("Field '{name}' doesn't exist on type 'Query'"),
        }),
    }
}

/// Fields of a repository that depend on their arguments; `None` for all others.
pub(crate) fn by_argument(
    call: &Call<'_>,
    value: &Value,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<Option<Value>, Problem> {
    let Some(id) = value.get("__id").and_then(Value::as_u64) else { return Ok(None) };
    let number = arguments.get("number").and_then(Value::as_u64).unwrap_or(0);
    let repository = call.state.repository(id)?;
    let at = (call.state.login(repository.owner), repository.name.as_str());
    let missing = |kind: &str| Problem {
        kind: "NOT_FOUND",
        message: format!("Could not resolve to {kind} with the number of {number}."),
    };
    match name {
        "pullRequest" => {
            call.reach(at, &["pull_requests"], Read)?;
            let value = pull_value(call.state, id, number);
            value.map(Some).map_err(|_| missing("a PullRequest"))
        }
        "issue" => {
            call.reach(at, &["issues"], Read)?;
            let value = issue_value(call.state, id, number);
            value.map(Some).map_err(|_| missing("an Issue"))
        }
        _ => Ok(None),
    }
}

fn actor_value(state: &State, id: u64) -> Value {
    let login = state.login(id);
    let bot = id == state.bot();
    json!({
        "__typename": if bot { "Bot" } else { "User" },
        "id": node_id("U", id),
        "databaseId": id,
        // GraphQL shows a bot's login without the suffix.
        "login": login.trim_end_matches("[bot]"),
    })
}

fn connection(nodes: Vec<Value>) -> Value {
    json!({ "__nodes": nodes })
}

fn issue_value(state: &State, repository: u64, number: u64) -> Result<Value, Problem> {
    let issue = state.issue(repository, number)?;
    let comments = issue.comments.iter().map(|comment| comment_value(state, comment)).collect();
    Ok(json!({
        "__typename": "Issue",
        "id": node_id("I", issue.id),
        "databaseId": issue.id,
        "number": number,
        "title": issue.title,
        "body": body_json(&issue.body),
        "state": issue.state().to_uppercase(),
        "author": actor_value(state, issue.author),
        "createdAt": time(issue.created_at),
        "updatedAt": time(issue.updated_at),
        "comments": connection(comments),
    }))
}

/// A pull request with its threads, comments and reviews.
pub(crate) fn pull_value(state: &State, repository: u64, number: u64) -> Result<Value, Problem> {
    let mut value = issue_value(state, repository, number)?;
    let pull = state.pull(repository, number)?;
    let firsts = pull.review_comments.iter().filter(|comment| comment.in_reply_to.is_none());
    let threads = firsts
        .map(|comment| thread_value(state, repository, number, comment.id))
        .collect::<Result<Vec<Value>, Problem>>()?;
    let reviews = pull.reviews.iter().map(|review| review_value(state, review)).collect();
    let word = match (&pull.merged, value["state"].as_str()) {
        (Some(_), _) => "MERGED",
        (None, Some("OPEN")) => "OPEN",
        _ => "CLOSED",
    };
    super::json::merge(
        &mut value,
        json!({
            "__typename": "PullRequest",
            "id": node_id("PR", pull.id),
            "databaseId": pull.id,
            "state": word,
            "isDraft": pull.draft,
            "merged": pull.merged.is_some(),
            "headRefName": pull.head_branch,
            "headRefOid": pull.head_sha,
            "baseRefName": pull.base_branch,
            "baseRefOid": pull.base_sha,
            "reviewThreads": connection(threads),
            "reviews": connection(reviews),
        }),
    );
    Ok(value)
}

/// A thread, named by its first comment.
pub(crate) fn thread_value(
    state: &State,
    repository: u64,
    number: u64,
    thread: u64,
) -> Result<Value, Problem> {
    let comments = state.thread_comments(repository, number, thread)?;
    let id = node_id("PRRT", thread);
    let Some(first) = comments.first() else { return Err(unknown_node(&id)) };
    let nodes = comments.iter().map(|comment| review_comment_value(state, comment)).collect();
    Ok(json!({
        "__typename": "PullRequestReviewThread",
        "id": id,
        "isResolved": first.resolved_by.is_some(),
        "isOutdated": false,
        "resolvedBy": first.resolved_by.map(|id| actor_value(state, id)),
        "path": first.path,
        "line": first.line,
        "startLine": first.start_line,
        "comments": connection(nodes),
    }))
}

fn minimized(value: &mut Value, classifier: Option<&String>) {
    value["isMinimized"] = json!(classifier.is_some());
    value["minimizedReason"] = json!(classifier.map(|word| word.to_lowercase().replace('_', "-")));
}

fn comment_value(state: &State, comment: &Comment) -> Value {
    let mut value = json!({
        "__typename": "IssueComment",
        "id": node_id("IC", comment.id),
        "databaseId": comment.id,
        "body": comment.body,
        "author": actor_value(state, comment.author),
        "createdAt": time(comment.created_at),
        "updatedAt": time(comment.updated_at),
    });
    minimized(&mut value, comment.minimized.as_ref());
    value
}

fn review_value(state: &State, review: &Review) -> Value {
    let mut value = json!({
        "__typename": "PullRequestReview",
        "id": node_id("PRR", review.id),
        "databaseId": review.id,
        "body": review.body,
        "state": review.state,
        "author": actor_value(state, review.author),
        "submittedAt": time(review.submitted_at),
    });
    minimized(&mut value, review.minimized.as_ref());
    value
}

fn review_comment_value(state: &State, comment: &ReviewComment) -> Value {
    let mut value = json!({
        "__typename": "PullRequestReviewComment",
        "id": node_id("PRRC", comment.id),
        "databaseId": comment.id,
        "body": comment.body,
        "path": comment.path,
        "line": comment.line,
        "author": actor_value(state, comment.author),
        "createdAt": time(comment.created_at),
        "updatedAt": time(comment.updated_at),
    });
    minimized(&mut value, comment.minimized.as_ref());
    value
}

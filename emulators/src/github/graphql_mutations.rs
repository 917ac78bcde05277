//! The mutations that have no REST twin.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::auth::Level::Write;
use super::graphql::Problem;
use super::graphql_values::{find, pull_value, thread_value, value_of};
use super::routes::Call;
use super::state::State;

/// Why a comment may be minimised.
const CLASSIFIERS: &[&str] =
    &["SPAM", "ABUSE", "OFF_TOPIC", "OUTDATED", "DUPLICATE", "RESOLVED", "LOW_QUALITY"];

/// Runs a mutation and gives its payload.
pub(crate) fn run(call: &mut Call<'_>, name: &str, input: &Value) -> Result<Value, Problem> {
    let mut payload = match name {
        "markPullRequestReadyForReview" => set_draft(call, input, false),
        "convertPullRequestToDraft" => set_draft(call, input, true),
        "resolveReviewThread" => set_resolved(call, input, true),
        "unresolveReviewThread" => set_resolved(call, input, false),
        "minimizeComment" => minimize(call, input, true),
        "unminimizeComment" => minimize(call, input, false),
        _ => Err(Problem {
            kind: "undefinedField",
            message: format!("Field '{name}' doesn't exist on type 'Mutation'"),
        }),
    }?;
    payload["__typename"] = json!(format!("{name}Payload"));
    payload["clientMutationId"] = input["clientMutationId"].clone();
    Ok(payload)
}

fn id<'input>(input: &'input Value, name: &str) -> Result<&'input str, Problem> {
    input[name].as_str().ok_or_else(|| Problem {
        kind: "argumentLiteralsIncompatible",
        message: format!("Argument '{name}' on InputObject is required"),
    })
}

fn set_draft(call: &mut Call<'_>, input: &Value, draft: bool) -> Result<Value, Problem> {
    let found = find(call, id(input, "pullRequestId")?, Write)?;
    let (repository, number) = (found.repository, found.number);
    call.state.set_draft(repository, number, call.bot(), draft)?;
    Ok(json!({ "pullRequest": pull_value(call.state, repository, number)? }))
}

fn set_resolved(call: &mut Call<'_>, input: &Value, resolved: bool) -> Result<Value, Problem> {
    let found = find(call, id(input, "threadId")?, Write)?;
    let (repository, number) = (found.repository, found.number);
    call.state.set_resolved(repository, number, call.bot(), found.id, resolved)?;
    Ok(json!({ "thread": thread_value(call.state, repository, number, found.id)? }))
}

fn minimize(call: &mut Call<'_>, input: &Value, minimized: bool) -> Result<Value, Problem> {
    let found = find(call, id(input, "subjectId")?, Write)?;
    let classifier = input["classifier"].as_str();
    if minimized && !classifier.is_some_and(|word| CLASSIFIERS.contains(&word)) {
        return Err(Problem {
            kind: "argumentLiteralsIncompatible",
            message:
                "Argument 'classifier' on InputObject 'MinimizeCommentInput' has an invalid value"
                    .to_owned(),
        });
    }
    let reason = classifier.filter(|_| minimized).map(str::to_owned);
    keep(call.state, found.repository, found.number, found.id, reason)?;
    let name = if minimized { "minimizedComment" } else { "unminimizedComment" };
    Ok(json!({ name: value_of(call.state, &found)? }))
}

/// Keeps the classifier on whichever comment or review has the id.
fn keep(
    state: &mut State,
    repository: u64,
    number: u64,
    id: u64,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let issue = state.issue_mut(repository, number)?;
    if let Some(comment) = issue.comments.iter_mut().find(|comment| comment.id == id) {
        comment.minimized = reason;
        return Ok(());
    }
    let pull = issue.pull.as_mut().ok_or_else(Refusal::not_found)?;
    if let Some(review) = pull.reviews.iter_mut().find(|review| review.id == id) {
        review.minimized = reason;
        return Ok(());
    }
    let comment = pull.review_comments.iter_mut().find(|comment| comment.id == id);
    comment.ok_or_else(Refusal::not_found)?.minimized = reason;
    Ok(())
}

//! Reviews and comments on lines.

use serde_json::Value;

use super::super::answer::{Answer, Handled, Refusal};
use super::super::auth::Level::{Read, Write};
use super::super::reviews::{NewReview, NewReviewComment};
use super::{Call, number};

pub(super) fn route(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Option<Handled> {
    let ["repos", owner, name, "pulls", rest @ ..] = segments else { return None };
    let repository = (*owner, *name);
    Some(match (method, rest) {
        ("GET", ["comments", id]) => get_comment(call, repository, id),
        ("PATCH", ["comments", id]) => update_comment(call, repository, id),
        ("GET", [pull, "reviews"]) => list(call, repository, pull),
        ("POST", [pull, "reviews"]) => submit(call, repository, pull),
        ("GET", [pull, "reviews", review]) => get(call, repository, pull, review),
        ("GET", [pull, "reviews", review, "comments"]) => {
            comments(call, repository, pull, Some(review))
        }
        ("GET", [pull, "comments"]) => comments(call, repository, pull, None),
        ("POST", [pull, "comments", comment, "replies"]) => reply(call, repository, pull, comment),
        _ => return None,
    })
}

fn list(call: &Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    let number = number(pull)?;
    let reviews = &call.state.pull(id, number)?.reviews;
    let repository = call.state.repository(id)?;
    let shapes = reviews.iter().map(|review| call.state.review_json(repository, number, review));
    Ok(call.page(shapes.collect()))
}

fn shown(call: &Call<'_>, id: u64, number: u64, review: u64) -> Handled {
    let mut reviews = call.state.pull(id, number)?.reviews.iter();
    let review = reviews.find(|known| known.id == review).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(call.state.review_json(call.state.repository(id)?, number, review)))
}

fn get(call: &Call<'_>, repository: (&str, &str), pull: &str, review: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    shown(call, id, number(pull)?, number(review)?)
}

fn submit(call: &mut Call<'_>, repository: (&str, &str), pull: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let number = number(pull)?;
    let event = call.text("event")?;
    let Some(event) = event else {
        // GitHub would keep a pending review, which the App has no use for.
        return Err(Refusal::field("PullRequestReview", "event", "missing_field"));
    };
    let (body, commit) = (call.text("body")?.unwrap_or_default(), call.text("commit_id")?);
    let comments = call.body["comments"].as_array().into_iter().flatten();
    let comments = comments.map(new_comment).collect::<Result<Vec<_>, Refusal>>()?;
    let new = NewReview { event: &event, body: &body, commit: commit.as_deref(), comments };
    let review = call.state.submit_review(id, number, call.bot(), &new)?;
    shown(call, id, number, review)
}

fn new_comment(shape: &Value) -> Result<NewReviewComment, Refusal> {
    let text = |field: &str| {
        let text = shape[field].as_str().map(str::to_owned);
        text.ok_or_else(|| Refusal::field("PullRequestReviewComment", field, "missing_field"))
    };
    if shape["line"].is_null() && shape["position"].is_null() {
        return Err(Refusal::field("PullRequestReviewComment", "line", "missing_field"));
    }
    Ok(NewReviewComment {
        path: text("path")?,
        body: text("body")?,
        line: shape["line"].as_u64(),
        start_line: shape["start_line"].as_u64(),
        side: shape["side"].as_str().unwrap_or("RIGHT").to_owned(),
    })
}

fn comments(
    call: &Call<'_>,
    repository: (&str, &str),
    pull: &str,
    review: Option<&str>,
) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    let review = review.map(number).transpose()?;
    let number = number(pull)?;
    let comments = &call.state.pull(id, number)?.review_comments;
    let repository = call.state.repository(id)?;
    let shapes = comments
        .iter()
        .filter(|comment| review.is_none_or(|review| review == comment.review))
        .map(|comment| call.state.review_comment_json(repository, number, comment));
    Ok(call.page(shapes.collect()))
}

fn shown_comment(call: &Call<'_>, id: u64, comment: u64) -> Result<Value, Refusal> {
    let (number, place) = call.state.review_comment_place(id, comment)?;
    let comment = &call.state.pull(id, number)?.review_comments[place];
    Ok(call.state.review_comment_json(call.state.repository(id)?, number, comment))
}

fn get_comment(call: &Call<'_>, repository: (&str, &str), comment: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Read)?;
    Ok(Answer::ok(shown_comment(call, id, number(comment)?)?))
}

fn update_comment(call: &mut Call<'_>, repository: (&str, &str), comment: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let comment = number(comment)?;
    let body = call.required("PullRequestReviewComment", "body")?;
    call.state.edit_review_comment(id, comment, call.bot(), &body)?;
    Ok(Answer::ok(shown_comment(call, id, comment)?))
}

fn reply(call: &mut Call<'_>, repository: (&str, &str), pull: &str, comment: &str) -> Handled {
    let id = call.reach(repository, &["pull_requests"], Write)?;
    let body = call.required("PullRequestReviewComment", "body")?;
    let (number, to) = (number(pull)?, number(comment)?);
    let reply = call.state.reply(id, number, call.bot(), to, &body)?;
    Ok(Answer::created(shown_comment(call, id, reply)?))
}

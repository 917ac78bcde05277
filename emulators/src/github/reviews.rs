//! Reviews, comments on lines, and the threads they form.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::issues::check_body;
use super::model::{Review, ReviewComment};
use super::state::State;

/// A comment to put on a line with a review.
#[derive(Clone, Debug)]
pub(crate) struct NewReviewComment {
    pub path: String,
    pub body: String,
    pub line: Option<u64>,
    pub start_line: Option<u64>,
    pub side: String,
}

/// A review to submit.
#[derive(Clone, Debug)]
pub(crate) struct NewReview<'a> {
    /// `COMMENT`, `APPROVE` or `REQUEST_CHANGES`.
    pub event: &'a str,
    pub body: &'a str,
    pub commit: Option<&'a str>,
    pub comments: Vec<NewReviewComment>,
}

impl State {
    /// Submits a review and gives its id.
    pub(crate) fn submit_review(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        new: &NewReview<'_>,
    ) -> Result<u64, Refusal> {
        let state = self.check_review(repository, number, actor, new)?;
        let hunks = self.check_lines(repository, number, &new.comments)?;
        let head = self.pull(repository, number)?.head_sha.clone();
        let review = Review {
            id: self.fresh_id(),
            author: actor,
            body: new.body.to_owned(),
            state: state.to_owned(),
            commit_id: new.commit.map_or(head, str::to_owned),
            submitted_at: self.now(),
            minimized: None,
        };
        let id = review.id;
        let commit = review.commit_id.clone();
        let pull = self.pull_mut(repository, number)?;
        pull.requested_reviewers.retain(|reviewer| *reviewer != actor);
        pull.reviews.push(review);
        let mut written = Vec::new();
        for (comment, hunk) in new.comments.iter().zip(hunks) {
            written.push(self.keep_review_comment(
                repository, number, actor, id, &commit, comment, hunk, None,
            )?);
        }
        self.emit_review(repository, number, id, actor)?;
        for comment in written {
            self.emit_review_comment(repository, comment, "created", json!({}), actor)?;
        }
        Ok(id)
    }

    fn check_review(
        &self,
        repository: u64,
        number: u64,
        actor: u64,
        new: &NewReview<'_>,
    ) -> Result<&'static str, Refusal> {
        let own = self.issue(repository, number)?.author == actor;
        let unprocessable = |message: &str| {
            Err(Refusal {
                errors: vec![json!(message)],
                ..Refusal::new(422, "Unprocessable Entity")
            })
        };
        check_body("PullRequestReview", new.body)?;
        if let Some(commit) = new.commit
            && !self.pull_commits(repository, number)?.iter().any(|known| known == commit)
        {
            return unprocessable("The commit is not part of the pull request");
        }
        match new.event {
            "APPROVE" if own => unprocessable("Can not approve your own pull request"),
            "REQUEST_CHANGES" if own => {
                unprocessable("Can not request changes on your own pull request")
            }
            "COMMENT" | "REQUEST_CHANGES" if new.body.trim().is_empty() => {
                unprocessable("Body is required for this event")
            }
            "APPROVE" => Ok("APPROVED"),
            "REQUEST_CHANGES" => Ok("CHANGES_REQUESTED"),
            "COMMENT" => Ok("COMMENTED"),
            _ => Err(Refusal::field("PullRequestReview", "event", "invalid")),
        }
    }

    /// The hunk of each comment, or 422 for the first that is outside of the diff.
    fn check_lines(
        &self,
        repository: u64,
        number: u64,
        comments: &[NewReviewComment],
    ) -> Result<Vec<String>, Refusal> {
        if comments.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.pull_files(repository, number)?;
        comments
            .iter()
            .map(|comment| {
                let outside = |what: &str| Refusal {
                    errors: vec![json!(what)],
                    ..Refusal::new(422, "Unprocessable Entity")
                };
                check_body("PullRequestReviewComment", &comment.body)?;
                if comment.body.trim().is_empty() {
                    return Err(outside("Body can't be blank"));
                }
                let file = files
                    .iter()
                    .find(|file| file.path == comment.path)
                    .ok_or_else(|| outside("Path could not be resolved"))?;
                let Some(line) = comment.line else { return Ok(String::new()) };
                if comment.start_line.is_some_and(|start| {
                    start >= line || file.hunk_at(&comment.side, start).is_none()
                }) {
                    return Err(outside("Start line could not be resolved"));
                }
                file.hunk_at(&comment.side, line)
                    .ok_or_else(|| outside("Line could not be resolved"))
            })
            .collect()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one row, named at both callers")]
    fn keep_review_comment(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        review: u64,
        commit: &str,
        new: &NewReviewComment,
        diff_hunk: String,
        in_reply_to: Option<u64>,
    ) -> Result<u64, Refusal> {
        let now = self.now();
        let comment = ReviewComment {
            id: self.fresh_id(),
            review,
            body: new.body.clone(),
            author: actor,
            path: new.path.clone(),
            line: new.line,
            start_line: new.start_line,
            side: new.side.clone(),
            commit_id: commit.to_owned(),
            diff_hunk,
            in_reply_to,
            resolved_by: None,
            minimized: None,
            created_at: now,
            updated_at: now,
            reactions: Vec::new(),
        };
        let id = comment.id;
        self.pull_mut(repository, number)?.review_comments.push(comment);
        Ok(id)
    }

    /// Replies in a thread, as a review of one comment without a body; gives the reply's id.
    pub(crate) fn reply(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        to: u64,
        body: &str,
    ) -> Result<u64, Refusal> {
        if body.trim().is_empty() {
            return Err(Refusal::custom("PullRequestReviewComment", "body", "Body can't be blank"));
        }
        check_body("PullRequestReviewComment", body)?;
        let pull = self.pull(repository, number)?;
        let answered = pull.review_comments.iter().find(|comment| comment.id == to);
        let answered = answered.ok_or_else(Refusal::not_found)?.clone();
        let review = Review {
            id: self.fresh_id(),
            author: actor,
            body: String::new(),
            state: "COMMENTED".to_owned(),
            commit_id: answered.commit_id.clone(),
            submitted_at: self.now(),
            minimized: None,
        };
        let review_id = review.id;
        self.pull_mut(repository, number)?.reviews.push(review);
        let new = NewReviewComment {
            path: answered.path,
            body: body.to_owned(),
            line: answered.line,
            start_line: answered.start_line,
            side: answered.side,
        };
        let first = answered.in_reply_to.unwrap_or(to);
        let id = self.keep_review_comment(
            repository,
            number,
            actor,
            review_id,
            &answered.commit_id,
            &new,
            answered.diff_hunk,
            Some(first),
        )?;
        self.emit_review(repository, number, review_id, actor)?;
        self.emit_review_comment(repository, id, "created", json!({}), actor)?;
        Ok(id)
    }

    /// Changes the body of a comment on a line.
    pub(crate) fn edit_review_comment(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        body: &str,
    ) -> Result<(), Refusal> {
        check_body("PullRequestReviewComment", body)?;
        let now = self.now();
        let (number, place) = self.review_comment_place(repository, id)?;
        let comment = &mut self.pull_mut(repository, number)?.review_comments[place];
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        let changes = json!({ "changes": { "body": { "from": before } } });
        self.emit_review_comment(repository, id, "edited", changes, actor)
    }

    /// Settles a thread, named by its first comment, or opens it again.
    pub(crate) fn set_resolved(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        thread: u64,
        resolved: bool,
    ) -> Result<(), Refusal> {
        let comments = &mut self.pull_mut(repository, number)?.review_comments;
        let first = comments
            .iter_mut()
            .find(|comment| comment.id == thread && comment.in_reply_to.is_none())
            .ok_or_else(Refusal::not_found)?;
        if first.resolved_by.is_some() == resolved {
            return Ok(());
        }
        first.resolved_by = resolved.then_some(actor);
        let owner = self.repository(repository)?;
        let issue = self.issue(repository, number)?;
        let comments: Vec<Value> = self
            .thread_comments(repository, number, thread)?
            .iter()
            .map(|comment| self.review_comment_json(owner, number, comment))
            .collect();
        let fields = json!({
            "pull_request": self.pull_json(owner, issue),
            "thread": { "node_id": super::json::node_id("PRRT", thread), "comments": comments },
        });
        let action = if resolved { "resolved" } else { "unresolved" };
        self.emit(repository, "pull_request_review_thread", Some(action), fields, actor);
        Ok(())
    }

    /// The comments of a thread, oldest first.
    pub(crate) fn thread_comments(
        &self,
        repository: u64,
        number: u64,
        thread: u64,
    ) -> Result<Vec<&ReviewComment>, Refusal> {
        let comments = &self.pull(repository, number)?.review_comments;
        Ok(comments
            .iter()
            .filter(|comment| comment.id == thread || comment.in_reply_to == Some(thread))
            .collect())
    }

    fn emit_review(
        &mut self,
        repository_id: u64,
        number: u64,
        id: u64,
        sender: u64,
    ) -> Result<(), Refusal> {
        let repository = self.repository(repository_id)?;
        let issue = self.issue(repository_id, number)?;
        let pull = self.pull(repository_id, number)?;
        let review = pull.reviews.iter().find(|review| review.id == id);
        let mut shape =
            self.review_json(repository, number, review.ok_or_else(Refusal::not_found)?);
        // Webhooks write the state in small letters, the API in capitals.
        shape["state"] = json!(shape["state"].as_str().unwrap_or_default().to_lowercase());
        let fields = json!({ "review": shape, "pull_request": self.pull_json(repository, issue) });
        self.emit(repository_id, "pull_request_review", Some("submitted"), fields, sender);
        Ok(())
    }

    fn emit_review_comment(
        &mut self,
        repository_id: u64,
        id: u64,
        action: &str,
        extra: Value,
        sender: u64,
    ) -> Result<(), Refusal> {
        let (number, place) = self.review_comment_place(repository_id, id)?;
        let repository = self.repository(repository_id)?;
        let issue = self.issue(repository_id, number)?;
        let comment = &self.pull(repository_id, number)?.review_comments[place];
        let mut fields = extra;
        fields["comment"] = self.review_comment_json(repository, number, comment);
        fields["pull_request"] = self.pull_json(repository, issue);
        self.emit(repository_id, "pull_request_review_comment", Some(action), fields, sender);
        Ok(())
    }
}

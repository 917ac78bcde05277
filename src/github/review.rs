//! Reviews of pull requests.
//!
//! Always of the form COMMENT: GitHub takes no other from the author of the pull request, which for
//! Baton's own is the App itself.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::json;

use super::client::Call;
use super::diff::{FileAnswer, ShownLines};
use super::wire::{Account, begins_with};
use super::{GitHubError, Repo};
use crate::model::{ReviewComment, Sha, cut};

/// The longest text of a review or a remark, in characters.
const BODY_LIMIT: usize = 65_536;

/// A review of the App's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedReview {
    /// GitHub's id.
    pub id: i64,
    /// The remarks that stand on lines; the others are in the review's text.
    pub placed: Vec<PlacedComment>,
}

/// A remark that stands on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedComment {
    /// Number of the finding, from 1.
    pub finding: u32,
    /// GitHub's id of the comment: the first of a thread.
    pub comment: i64,
    /// The same for GraphQL.
    pub node: String,
}

#[derive(Deserialize)]
struct ReviewAnswer {
    id: i64,
    body: Option<String>,
    user: Option<Account>,
}

#[derive(Deserialize)]
struct ReviewCommentAnswer {
    id: i64,
    #[serde(default)]
    node_id: String,
    path: String,
    body: String,
}

impl Repo {
    /// Writes a review. Remarks on lines that the diff does not show go into its text.
    ///
    /// Not to be repeated without [`Repo::find_review_by_marker`].
    ///
    /// # Errors
    /// `Refused` when the commit is not (any more) of the pull request.
    pub async fn create_review(
        &self,
        pull: u64,
        head: &Sha,
        body: &str,
        comments: &[ReviewComment],
    ) -> Result<CreatedReview, GitHubError> {
        let shown = self.shown_lines(pull, comments).await?;
        let (placeable, folded): (Vec<_>, Vec<_>) =
            comments.iter().partition(|comment| shown.have(comment));
        let posted = match self.post_review(pull, head, &with(body, &folded), &placeable).await {
            // The diff has moved since it was read; GitHub does not say which line it misses.
            Err(GitHubError::Refused { status: 422, .. }) if !placeable.is_empty() => {
                let all: Vec<_> = comments.iter().collect();
                self.post_review(pull, head, &with(body, &all), &[]).await?
            }
            posted => posted?,
        };
        self.placed(pull, posted.id, comments).await
    }

    /// The App's own review whose text begins with the marker, with where its remarks stand.
    ///
    /// # Errors
    /// None of its own.
    pub async fn find_review_by_marker(
        &self,
        pull: u64,
        marker: &str,
        comments: &[ReviewComment],
    ) -> Result<Option<CreatedReview>, GitHubError> {
        let own = self.own().await?.bot.0;
        let mut pages = self.pages(&format!("/pulls/{pull}/reviews"));
        while let Some(page) = pages.next::<Vec<ReviewAnswer>>().await? {
            let marked = page.into_iter().find(|review| {
                review.user.as_ref().is_some_and(|user| user.id == own)
                    && review.body.as_ref().is_some_and(|body| begins_with(body, marker))
            });
            if let Some(review) = marked {
                return self.placed(pull, review.id, comments).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn shown_lines(
        &self,
        pull: u64,
        comments: &[ReviewComment],
    ) -> Result<ShownLines, GitHubError> {
        if comments.is_empty() {
            return Ok(ShownLines::default());
        }
        let files = self.pages(&format!("/pulls/{pull}/files")).all::<FileAnswer>().await?;
        Ok(ShownLines::of(files))
    }

    async fn post_review(
        &self,
        pull: u64,
        head: &Sha,
        body: &str,
        comments: &[&ReviewComment],
    ) -> Result<ReviewAnswer, GitHubError> {
        let comment = |comment: &&ReviewComment| {
            let body = cut(&comment.body, BODY_LIMIT);
            json!({ "path": comment.path, "line": comment.line, "side": "RIGHT", "body": body })
        };
        let review = json!({
            "commit_id": head,
            "event": "COMMENT",
            "body": cut(body, BODY_LIMIT),
            "comments": comments.iter().map(comment).collect::<Vec<_>>(),
        });
        self.read(&Call::post(self.path(&format!("/pulls/{pull}/reviews")), review)).await
    }

    /// Finds the remarks again on GitHub, which answers a new review without them.
    async fn placed(
        &self,
        pull: u64,
        review: i64,
        comments: &[ReviewComment],
    ) -> Result<CreatedReview, GitHubError> {
        if comments.is_empty() {
            return Ok(CreatedReview { id: review, placed: Vec::new() });
        }
        let pages = self.pages(&format!("/pulls/{pull}/reviews/{review}/comments"));
        let mut there = pages.all::<ReviewCommentAnswer>().await?;
        let mut placed = Vec::new();
        for comment in comments {
            let same = |seen: &ReviewCommentAnswer| {
                seen.path == comment.path && same_text(&seen.body, &comment.body)
            };
            if let Some(position) = there.iter().position(same) {
                let seen = there.remove(position);
                let finding = comment.finding;
                placed.push(PlacedComment { finding, comment: seen.id, node: seen.node_id });
            }
        }
        Ok(CreatedReview { id: review, placed })
    }
}

/// GitHub stores a text with other line ends and without its outer blanks.
fn same_text(stored: &str, sent: &str) -> bool {
    let sent = cut(sent, BODY_LIMIT);
    stored.trim().lines().eq(sent.trim().lines())
}

/// The review's text, followed by the remarks that stand on no line.
fn with(body: &str, folded: &[&ReviewComment]) -> String {
    let mut text = body.to_owned();
    for comment in folded {
        let ReviewComment { finding: _, path, line, body } = comment;
        let _ = write!(text, "\n\n---\n\n`{path}:{line}`\n\n{body}");
    }
    text
}

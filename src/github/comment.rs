//! Comments on the thread of an issue or pull request, and reactions to them.

use serde::Deserialize;
use serde_json::json;

use super::client::Call;
use super::wire::{Account, Created, author, begins_with};
use super::{GitHubError, Repo};
use crate::model::{CommentId, Person, Reaction, Timestamp, Untrusted};

/// One comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// Who wrote it.
    pub author: Person,
    /// Whether that is this App.
    pub author_is_own: bool,
    /// Its text.
    pub body: Untrusted,
    /// When it was last edited.
    pub updated_at: Timestamp,
}

/// Where a comment of the App's own is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedComment {
    /// Its id, for REST.
    pub id: CommentId,
    /// Its id, for GraphQL.
    pub node: String,
}

/// What became of a change to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentUpdate {
    /// It says what it should.
    Done,
    /// Somebody deleted it.
    Gone,
}

#[derive(Deserialize)]
struct CommentAnswer {
    id: i64,
    #[serde(default)]
    node_id: String,
    user: Option<Account>,
    body: Option<String>,
    updated_at: Timestamp,
}

impl Repo {
    /// All comments of a thread, oldest first.
    ///
    /// # Errors
    /// `Gone` when the issue was deleted.
    pub async fn comments(&self, number: u64) -> Result<Vec<Comment>, GitHubError> {
        let own = self.own().await?.bot;
        let pages = self.pages(&format!("/issues/{number}/comments"));
        let read = |answer: CommentAnswer| {
            let author = author(answer.user);
            Comment {
                id: CommentId(answer.id),
                author_is_own: author.id == own,
                author,
                body: Untrusted(answer.body.unwrap_or_default()),
                updated_at: answer.updated_at,
            }
        };
        Ok(pages.all().await?.into_iter().map(read).collect())
    }

    /// The first comment of the App's own that begins with the marker.
    ///
    /// # Errors
    /// `Gone` when the issue was deleted.
    pub async fn find_comment_by_marker(
        &self,
        number: u64,
        marker: &str,
    ) -> Result<Option<CreatedComment>, GitHubError> {
        let own = self.own().await?.bot.0;
        let mut pages = self.pages(&format!("/issues/{number}/comments"));
        while let Some(page) = pages.next::<Vec<CommentAnswer>>().await? {
            let marked = page.into_iter().find(|comment| {
                comment.user.as_ref().is_some_and(|user| user.id == own)
                    && comment.body.as_ref().is_some_and(|body| begins_with(body, marker))
            });
            if let Some(CommentAnswer { id, node_id, .. }) = marked {
                return Ok(Some(CreatedComment { id: CommentId(id), node: node_id }));
            }
        }
        Ok(None)
    }

    /// Writes a comment of at most 65,536 characters.
    ///
    /// Not to be repeated without [`Repo::find_comment_by_marker`].
    ///
    /// # Errors
    /// `Refused` when it is too long, `Forbidden` when the thread is locked, `Gone` when deleted.
    pub async fn create_comment(
        &self,
        number: u64,
        body: &str,
    ) -> Result<CreatedComment, GitHubError> {
        let path = self.path(&format!("/issues/{number}/comments"));
        let created: Created = self.read(&Call::post(path, json!({ "body": body }))).await?;
        Ok(CreatedComment { id: CommentId(created.id), node: created.node_id })
    }

    /// Gives a comment another text. GitHub knows no condition here: what somebody changed in it
    /// meanwhile is lost.
    ///
    /// # Errors
    /// `Refused` when the text is too long.
    pub async fn update_comment(
        &self,
        id: CommentId,
        body: &str,
    ) -> Result<CommentUpdate, GitHubError> {
        let path = self.path(&format!("/issues/comments/{id}"));
        let told = self.tell(&Call::patch(path, json!({ "body": body }))).await;
        Ok(super::error::found(told)?.map_or(CommentUpdate::Gone, |()| CommentUpdate::Done))
    }

    /// Reacts to a comment; GitHub keeps one reaction of each kind, so that a repetition is nothing.
    ///
    /// # Errors
    /// `NotFound` when the comment was deleted.
    pub async fn react(&self, comment: CommentId, reaction: Reaction) -> Result<(), GitHubError> {
        let content = match reaction {
            Reaction::Eyes => "eyes",
            Reaction::Rocket => "rocket",
            Reaction::Confused => "confused",
        };
        let path = self.path(&format!("/issues/comments/{comment}/reactions"));
        self.tell(&Call::post(path, json!({ "content": content })).repeatable()).await
    }
}

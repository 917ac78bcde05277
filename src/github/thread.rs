//! Review threads, folding comments away, and taking the draft mark off.

use serde::Deserialize;
use serde_json::json;

use super::graphql::Document;
use super::{GitHubError, Repo};
use crate::model::Untrusted;

const THREADS: Document = Document {
    name: "ReviewThreads",
    text: include_str!("documents/review_threads.graphql"),
    repeatable: true,
};
const RESOLVE: Document = Document {
    name: "ResolveThread",
    text: include_str!("documents/resolve_thread.graphql"),
    repeatable: true,
};
const MINIMISE: Document = Document {
    name: "MinimiseComment",
    text: include_str!("documents/minimise_comment.graphql"),
    repeatable: true,
};
/// GitHub refuses this of a pull request that is ready.
const READY: Document = Document {
    name: "MarkReady",
    text: include_str!("documents/mark_ready.graphql"),
    repeatable: false,
};

/// A conversation on a line of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// GitHub's id for GraphQL.
    pub node: String,
    /// Whether somebody resolved it.
    pub resolved: bool,
    /// The id for GraphQL of the comment it began with, as in `PlacedComment`; none where that was
    /// deleted.
    pub first_comment: Option<String>,
    /// The text of that comment.
    pub first_comment_body: Untrusted,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadsAnswer {
    repository: Option<RepositoryAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryAnswer {
    pull_request: Option<PullRequestAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullRequestAnswer {
    review_threads: List<ThreadAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: serde::de::DeserializeOwned")]
struct List<T> {
    nodes: Vec<T>,
    #[serde(default)]
    page_info: PageInfo,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThreadAnswer {
    id: String,
    is_resolved: bool,
    comments: List<CommentAnswer>,
}

/// `databaseId` has 32 bits and GitHub's ids outgrew them.
#[derive(Deserialize)]
struct CommentAnswer {
    id: String,
    body: String,
}

impl Repo {
    /// All review threads of a pull request, resolved ones included.
    ///
    /// # Errors
    /// `NotFound` when there is no such pull request.
    pub async fn review_threads(&self, pull: u64) -> Result<Vec<Thread>, GitHubError> {
        let mut threads = Vec::new();
        let mut after = None;
        loop {
            let variables = json!({
                "owner": self.name.owner(),
                "name": self.name.name(),
                "pull": pull,
                "after": after,
            });
            let answer: ThreadsAnswer = self.graphql(THREADS, variables).await?;
            let pull_request = answer.repository.and_then(|repository| repository.pull_request);
            let Some(PullRequestAnswer { review_threads: page }) = pull_request else {
                return Err(GitHubError::NotFound { what: format!("pull request {pull}") });
            };
            threads.extend(page.nodes.into_iter().map(read_thread));
            after = page.page_info.end_cursor.filter(|_| page.page_info.has_next_page);
            if after.is_none() {
                return Ok(threads);
            }
        }
    }

    /// Resolves a thread; nothing changes where it is resolved.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn resolve_thread(&self, node: &str) -> Result<(), GitHubError> {
        let _: serde::de::IgnoredAny = self.graphql(RESOLVE, json!({ "thread": node })).await?;
        Ok(())
    }

    /// Folds a comment away as resolved.
    ///
    /// # Errors
    /// `NotFound` when it was deleted.
    pub async fn minimise_comment(&self, node: &str) -> Result<(), GitHubError> {
        let _: serde::de::IgnoredAny = self.graphql(MINIMISE, json!({ "comment": node })).await?;
        Ok(())
    }

    /// Takes the draft mark off a pull request; nothing changes where there is none.
    ///
    /// # Errors
    /// `NotFound` when there is no such pull request.
    pub async fn mark_ready_for_review(&self, pull: u64) -> Result<(), GitHubError> {
        let answer = self.pull_answer(pull).await?;
        if !answer.draft {
            return Ok(());
        }
        let variables = json!({ "pull": answer.node_id });
        let _: serde::de::IgnoredAny = self.graphql(READY, variables).await?;
        Ok(())
    }
}

fn read_thread(answer: ThreadAnswer) -> Thread {
    let first = answer.comments.nodes.into_iter().next();
    let (first_comment, body) = first.map(|comment| (comment.id, comment.body)).unzip();
    Thread {
        node: answer.id,
        resolved: answer.is_resolved,
        first_comment,
        first_comment_body: Untrusted(body.unwrap_or_default()),
    }
}

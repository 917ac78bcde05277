//! Issues; pull requests show here too, as GitHub has it.

use serde::Deserialize;
use serde_json::json;

use super::client::Call;
use super::path::segment;
use super::wire::{Account, Numbered, author, begins_with};
use super::{GitHubError, Repo};
use crate::model::{Person, Untrusted};

/// The longest title that GitHub takes, in characters.
const TITLE_LIMIT: usize = 256;

/// An issue or pull request as GitHub shows it, without its comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Its title.
    pub title: Untrusted,
    /// Its text; empty where there is none.
    pub body: Untrusted,
    /// Who opened it.
    pub author: Person,
    /// Whether it is a pull request.
    pub is_pull: bool,
}

#[derive(Deserialize)]
struct IssueAnswer {
    number: u64,
    state: String,
    labels: Vec<LabelAnswer>,
    title: String,
    body: Option<String>,
    user: Option<Account>,
    pull_request: Option<serde::de::IgnoredAny>,
}

/// A label of an issue: an object, or in old answers its name alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelAnswer {
    Object { name: Option<String> },
    Name(String),
}

impl Repo {
    /// An issue or pull request.
    ///
    /// # Errors
    /// `Gone` when it was deleted, `NotFound` also when it was transferred out of reach.
    pub async fn issue(&self, number: u64) -> Result<Issue, GitHubError> {
        let call = Call::get(self.path(&format!("/issues/{number}")));
        Ok(read_issue(self.read(&call).await?))
    }

    /// Opens an issue and gives its number. A title over 256 characters is cut.
    ///
    /// Not to be repeated without [`Repo::find_issue_by_marker`].
    ///
    /// # Errors
    /// `Gone` when issues are switched off; `Refused` when the text is over 65,536 characters.
    pub async fn create_issue(&self, title: &str, body: &str) -> Result<u64, GitHubError> {
        let body = json!({ "title": cut_title(title), "body": body });
        Ok(self.read::<Numbered>(&Call::post(self.path("/issues"), body)).await?.number)
    }

    /// The issue of the App's own whose text begins with the marker.
    ///
    /// # Errors
    /// None of its own.
    pub async fn find_issue_by_marker(&self, marker: &str) -> Result<Option<u64>, GitHubError> {
        let own = self.own().await?;
        let creator = segment(&format!("{}[bot]", own.slug));
        let mut pages = self.pages(&format!("/issues?creator={creator}&state=all"));
        while let Some(page) = pages.next::<Vec<IssueAnswer>>().await? {
            let issues = page.into_iter().map(read_issue);
            let marked = issues.into_iter().find(|issue| {
                !issue.is_pull && issue.author.id == own.bot && begins_with(&issue.body.0, marker)
            });
            if let Some(issue) = marked {
                return Ok(Some(issue.number));
            }
        }
        Ok(None)
    }

    /// Opens an issue again; nothing changes where it is open.
    ///
    /// # Errors
    /// `Gone` when it was deleted.
    pub async fn reopen_issue(&self, number: u64) -> Result<(), GitHubError> {
        let path = self.path(&format!("/issues/{number}"));
        self.tell(&Call::patch(path, json!({ "state": "open" }))).await
    }
}

/// A title within GitHub's limit, on one line.
pub(super) fn cut_title(title: &str) -> String {
    title.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(TITLE_LIMIT).collect()
}

fn read_issue(answer: IssueAnswer) -> Issue {
    let label = |label| match label {
        LabelAnswer::Object { name } => name,
        LabelAnswer::Name(name) => Some(name),
    };
    Issue {
        number: answer.number,
        open: answer.state == "open",
        labels: answer.labels.into_iter().filter_map(label).collect(),
        title: Untrusted(answer.title),
        body: Untrusted(answer.body.unwrap_or_default()),
        author: author(answer.user),
        is_pull: answer.pull_request.is_some(),
    }
}

//! Check runs of the App's own on a commit.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Call;
use super::path::segment;
use super::wire::Created;
use super::{GitHubError, Repo};
use crate::model::{Annotation, CheckRunId, CheckStatus, Desired, Sha, Timestamp, cut};

/// The longest `summary` and `text`, in characters.
const OUTPUT_LIMIT: usize = 65_535;
/// The most annotations that one request may carry; each request adds to those that are there.
const BATCH: usize = 50;
/// The longest title of an annotation, in characters.
const ANNOTATION_TITLE_LIMIT: usize = 255;
/// The longest message of an annotation: 64 KiB, counted in characters of four bytes.
const ANNOTATION_MESSAGE_LIMIT: usize = 16_000;

/// What a check run should be: the fields of [`Desired::Check`].
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// `baton / review`.
    pub name: &'a str,
    /// On which commit.
    pub head: &'a Sha,
    /// How far it is.
    pub status: CheckStatus,
    /// A line.
    pub title: &'a str,
    /// Markdown; cut to GitHub's limit.
    pub summary: &'a str,
    /// Markdown; cut to GitHub's limit. Empty: none.
    pub text: &'a str,
    /// Remarks on lines, oldest first; a later version may only add to them.
    pub annotations: &'a [Annotation],
    /// When work began.
    pub started_at: Option<Timestamp>,
}

impl<'a> Check<'a> {
    /// The check that is desired, if it is one.
    #[must_use]
    pub fn of(desired: &'a Desired) -> Option<Self> {
        let Desired::Check { name, head, status, title, summary, text, annotations, started_at } =
            desired
        else {
            return None;
        };
        Some(Self {
            name,
            head,
            status: *status,
            title,
            summary,
            text,
            annotations,
            started_at: *started_at,
        })
    }

    /// The body of a request that carries these annotations along.
    fn body(&self, annotations: &[Annotation]) -> Value {
        let mut output = json!({ "title": self.title, "summary": cut(self.summary, OUTPUT_LIMIT) });
        if !self.text.is_empty() {
            output["text"] = json!(cut(self.text, OUTPUT_LIMIT));
        }
        if !annotations.is_empty() {
            output["annotations"] = annotations.iter().map(annotation).collect();
        }
        let mut body = json!({ "name": self.name, "output": output });
        if let Some(at) = self.started_at {
            body["started_at"] = json!(at);
        }
        match self.status {
            CheckStatus::Queued => body["status"] = json!("queued"),
            CheckStatus::InProgress => body["status"] = json!("in_progress"),
            CheckStatus::Completed { conclusion, at } => {
                body["status"] = json!("completed");
                body["conclusion"] = json!(conclusion);
                body["completed_at"] = json!(at);
            }
        }
        body
    }
}

fn annotation(annotation: &Annotation) -> Value {
    let Annotation { path, line, level, title, message } = annotation;
    let title: String = title.chars().take(ANNOTATION_TITLE_LIMIT).collect();
    json!({
        "path": path,
        "start_line": line,
        "end_line": line,
        "annotation_level": level,
        "title": title,
        "message": cut(message, ANNOTATION_MESSAGE_LIMIT),
    })
}

#[derive(Deserialize)]
struct CheckRunsAnswer {
    check_runs: Vec<CheckRunAnswer>,
}

#[derive(Deserialize)]
struct CheckRunAnswer {
    id: i64,
    name: String,
    app: Option<AppAnswer>,
    output: Option<OutputAnswer>,
}

#[derive(Deserialize)]
struct AppAnswer {
    id: Option<u64>,
}

#[derive(Deserialize)]
struct OutputAnswer {
    #[serde(default)]
    annotations_count: usize,
}

impl Repo {
    /// Makes a check run and gives its id; annotations over 50 follow in further requests.
    ///
    /// Not to be repeated without [`Repo::find_check`]; where one is found, [`Repo::update_check`]
    /// adds the annotations that are missing.
    ///
    /// # Errors
    /// `Refused` when GitHub does not know the commit (yet).
    pub async fn create_check(&self, check: &Check<'_>) -> Result<CheckRunId, GitHubError> {
        let (first, _) = split(check.annotations);
        let mut body = check.body(first);
        body["head_sha"] = json!(check.head);
        let created: Created = self.read(&Call::post(self.path("/check-runs"), body)).await?;
        let id = CheckRunId(created.id);
        self.annotate(id, check, first.len()).await?;
        Ok(id)
    }

    /// Makes a check run say what it should. Annotations are only ever added: those that GitHub
    /// counts already are taken to be the first of the list.
    ///
    /// # Errors
    /// `NotFound` when the check run is gone, as after a forced push that GitHub cleaned up.
    pub async fn update_check(&self, id: CheckRunId, check: &Check<'_>) -> Result<(), GitHubError> {
        let path = self.path(&format!("/check-runs/{id}"));
        self.tell(&Call::patch(&path, check.body(&[]))).await?;
        if check.annotations.is_empty() {
            return Ok(());
        }
        let run: CheckRunAnswer = self.read(&Call::get(&path)).await?;
        self.annotate(id, check, run.output.map_or(0, |output| output.annotations_count)).await
    }

    /// Adds the annotations after the first `sent`, 50 a request.
    async fn annotate(
        &self,
        id: CheckRunId,
        check: &Check<'_>,
        sent: usize,
    ) -> Result<(), GitHubError> {
        let path = self.path(&format!("/check-runs/{id}"));
        let mut rest = check.annotations.get(sent..).unwrap_or_default();
        while !rest.is_empty() {
            let (batch, after) = split(rest);
            // Sent twice they would be shown twice: the next update counts what is there.
            self.tell(&Call::patch(&path, check.body(batch)).once()).await?;
            rest = after;
        }
        Ok(())
    }

    /// The App's own newest check run of that name on a commit.
    ///
    /// # Errors
    /// None of its own; an unknown commit has no checks.
    pub async fn find_check(
        &self,
        head: &Sha,
        name: &str,
    ) -> Result<Option<CheckRunId>, GitHubError> {
        let own = self.own().await?.app_id;
        let query = format!("check_name={}&app_id={own}&filter=latest", segment(name));
        let mut pages = self.pages(&format!("/commits/{head}/check-runs?{query}"));
        let mut newest = None;
        loop {
            let page = match pages.next::<CheckRunsAnswer>().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(newest.map(CheckRunId)),
                // GitHub answers 422 for a commit that it does not have.
                Err(GitHubError::NotFound { .. } | GitHubError::Refused { status: 422, .. }) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            let is_own = |run: &CheckRunAnswer| {
                run.name == name && run.app.as_ref().is_some_and(|app| app.id == Some(own))
            };
            newest = newest
                .max(page.check_runs.iter().filter(|run| is_own(run)).map(|run| run.id).max());
        }
    }
}

fn split(annotations: &[Annotation]) -> (&[Annotation], &[Annotation]) {
    annotations.split_at(annotations.len().min(BATCH))
}

//! Labels of a thread, and the repository's stock of them.

use serde::Deserialize;
use serde_json::json;

use super::client::Call;
use super::error::found;
use super::path::segment;
use super::{GitHubError, Repo};

#[derive(Deserialize)]
struct LabelAnswer {
    name: String,
}

impl Repo {
    /// The names of a thread's labels.
    ///
    /// # Errors
    /// `Gone` when the issue was deleted.
    pub async fn labels(&self, number: u64) -> Result<Vec<String>, GitHubError> {
        let pages = self.pages(&format!("/issues/{number}/labels"));
        let labels = pages.all::<LabelAnswer>().await?;
        Ok(labels.into_iter().map(|label| label.name).collect())
    }

    /// Puts labels on a thread; those that are there stay. GitHub makes unknown ones in grey:
    /// see [`Repo::ensure_label`].
    ///
    /// # Errors
    /// `Gone` when the issue was deleted.
    pub async fn add_labels(&self, number: u64, labels: &[String]) -> Result<(), GitHubError> {
        if labels.is_empty() {
            return Ok(());
        }
        let path = self.path(&format!("/issues/{number}/labels"));
        self.tell(&Call::post(path, json!({ "labels": labels })).repeatable()).await
    }

    /// Takes a label off a thread; fine where it is not there.
    ///
    /// # Errors
    /// None of its own.
    pub async fn remove_label(&self, number: u64, label: &str) -> Result<(), GitHubError> {
        let path = self.path(&format!("/issues/{number}/labels/{}", segment(label)));
        found(self.tell(&Call::delete(path)).await).map(drop)
    }

    /// Makes a label where the repository has none of that name; one that people changed stays so.
    ///
    /// `color` is six hexadecimal digits, `description` at most 100 characters.
    ///
    /// # Errors
    /// `Refused` when colour or description is not of that form.
    pub async fn ensure_label(
        &self,
        name: &str,
        color: &str,
        description: &str,
    ) -> Result<(), GitHubError> {
        let existing = Call::get(self.path(&format!("/labels/{}", segment(name))));
        if found(self.tell(&existing).await)?.is_some() {
            return Ok(());
        }
        let label = json!({ "name": name, "color": color, "description": description });
        match self.tell(&Call::post(self.path("/labels"), label).repeatable()).await {
            // Somebody was faster, or GitHub did it and failed to say so.
            Err(GitHubError::Refused { message, .. }) if message.contains("already_exists") => {
                Ok(())
            }
            told => told,
        }
    }
}

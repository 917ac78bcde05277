//! Deployments and their statuses.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Call;
use super::path::segment;
use super::wire::{Account, Created};
use super::{GitHubError, Repo};
use crate::model::{DeploymentState, Environment, Sha};

/// The longest description, in characters.
const DESCRIPTION_LIMIT: usize = 140;

#[derive(Deserialize)]
struct DeploymentAnswer {
    id: i64,
    creator: Option<Account>,
    payload: Option<Value>,
}

impl Repo {
    /// Makes a deployment of a commit and gives its id.
    ///
    /// The marker is kept in its payload: a second try of the same commit is another deployment.
    /// GitHub neither merges anything nor waits for checks: policy decided before. Not to be
    /// repeated without [`Repo::find_deployment`].
    ///
    /// # Errors
    /// `Refused` when GitHub does not know the commit (yet).
    pub async fn create_deployment(
        &self,
        environment: &Environment,
        sha: &Sha,
        description: &str,
        marker: &str,
    ) -> Result<i64, GitHubError> {
        let deployment = json!({
            "ref": sha,
            "environment": environment,
            "description": shortened(description),
            "payload": { "marker": marker },
            "auto_merge": false,
            "required_contexts": [],
        });
        let call = Call::post(self.path("/deployments"), deployment);
        Ok(self.read::<Created>(&call).await?.id)
    }

    /// The App's own deployment of a commit to an environment that has the marker.
    ///
    /// # Errors
    /// None of its own.
    pub async fn find_deployment(
        &self,
        environment: &Environment,
        sha: &Sha,
        marker: &str,
    ) -> Result<Option<i64>, GitHubError> {
        let own = self.own().await?.bot.0;
        let environment = segment(environment.as_str());
        let pages = self.pages(&format!("/deployments?sha={sha}&environment={environment}"));
        let deployments = pages.all::<DeploymentAnswer>().await?;
        let marked = deployments.into_iter().find(|deployment| {
            deployment.creator.as_ref().is_some_and(|creator| creator.id == own)
                && deployment.payload.as_ref().is_some_and(|payload| has_marker(payload, marker))
        });
        Ok(marked.map(|deployment| deployment.id))
    }

    /// Says how far a deployment is. `url` leads to its log.
    ///
    /// Statuses only add up, so that one said twice does no harm.
    ///
    /// # Errors
    /// `NotFound` when the deployment was deleted.
    pub async fn create_deployment_status(
        &self,
        deployment: i64,
        state: DeploymentState,
        description: &str,
        url: Option<&str>,
    ) -> Result<(), GitHubError> {
        let mut status = json!({ "state": state, "description": shortened(description) });
        if let Some(url) = url {
            status["log_url"] = json!(url);
        }
        let path = self.path(&format!("/deployments/{deployment}/statuses"));
        self.tell(&Call::post(path, status).repeatable()).await
    }
}

/// GitHub gives the payload back as the object it was, or as its text.
fn has_marker(payload: &Value, marker: &str) -> bool {
    match payload {
        Value::String(text) => {
            serde_json::from_str::<Value>(text).is_ok_and(|payload| payload["marker"] == marker)
        }
        payload => payload["marker"] == marker,
    }
}

fn shortened(description: &str) -> String {
    description.chars().take(DESCRIPTION_LIMIT).collect()
}

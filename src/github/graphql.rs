//! The few things that GitHub offers by GraphQL alone, asked by fixed documents.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{Call, Read};
use super::connection::GRAPHQL;
use super::{GitHubError, Repo};

/// A document of this folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document {
    /// Its operation's name.
    pub name: &'static str,
    pub text: &'static str,
    /// Whether doing it twice is the same as doing it once.
    pub repeatable: bool,
}

/// Failures come with status 200, next to the data.
#[derive(Deserialize)]
struct GraphqlAnswer {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<GraphqlFailure>,
}

#[derive(Deserialize)]
struct GraphqlFailure {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: String,
}

impl Repo {
    /// Runs a document.
    ///
    /// # Errors
    /// `NotFound` when a node of the variables is gone; `Refused` with status 422 for what GitHub
    /// will not do.
    pub(super) async fn graphql<T: DeserializeOwned>(
        &self,
        document: Document,
        variables: Value,
    ) -> Result<T, GitHubError> {
        let body = json!({
            "query": document.text,
            "operationName": document.name,
            "variables": variables,
        });
        let call = Call::post(GRAPHQL, body);
        let call = if document.repeatable { call.repeatable() } else { call };
        let Read { headers, value } = self.client().read(self.caller(), &call).await?;
        let GraphqlAnswer { data, errors } = value;
        if let Some(failure) = errors.into_iter().next() {
            return Err(match failure.kind.as_deref() {
                Some("RATE_LIMITED" | "RATE_LIMIT") => {
                    self.client().limited(Some(self.installation()), &headers)
                }
                _ => failure_of(document.name, failure),
            });
        }
        serde_json::from_value(data).map_err(|error| GitHubError::Unreadable {
            what: document.name.to_owned(),
            message: error.to_string(),
        })
    }
}

fn failure_of(name: &str, failure: GraphqlFailure) -> GitHubError {
    let GraphqlFailure { kind, message } = failure;
    match kind.as_deref() {
        Some("NOT_FOUND") => GitHubError::NotFound { what: name.to_owned() },
        Some("FORBIDDEN" | "INSUFFICIENT_SCOPES") => GitHubError::Forbidden {
            what: name.to_owned(),
            needs: "a further permission".to_owned(),
            message,
        },
        _ => GitHubError::Refused { status: 422, message },
    }
}

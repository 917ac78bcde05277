//! A deployment and its newest status.

use crate::model::{DeploymentState, Desired, Environment, RunKind, Sha, Situation};

/// What the n-th deployment of a commit to an environment should show.
#[must_use]
pub fn deployment(
    situation: &Situation,
    environment: &Environment,
    sha: &Sha,
    attempt: u32,
) -> Desired {
    let found = situation.deployments.iter().find(|deployment| {
        deployment.environment == *environment
            && deployment.sha == *sha
            && deployment.attempt == attempt
    });
    let Some(found) = found else { return Desired::Nothing };
    let description = description(situation, found.state);
    Desired::Deployment {
        environment: environment.clone(),
        sha: sha.clone(),
        state: found.state,
        description,
    }
}

/// A line of at most 140 characters: GitHub's limit.
fn description(situation: &Situation, state: DeploymentState) -> String {
    let verified = situation.last_run(RunKind::Verify).is_some();
    let said = match state {
        DeploymentState::Queued => "waits for its turn",
        DeploymentState::InProgress if verified => {
            "the commands went through; verification is on (run by Baton)"
        }
        DeploymentState::InProgress => "the deploy commands are running (run by Baton)",
        DeploymentState::Success if verified => "deployed and verified (run by Baton)",
        DeploymentState::Success => {
            "the deploy commands went through (run by Baton); nothing verified them"
        }
        DeploymentState::Failure if verified => {
            "deployed, but verification failed; see the check of that name"
        }
        DeploymentState::Failure => "a deploy command failed; see the check of that name",
    };
    said.to_owned()
}

//! Deployments and their statuses.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::model::{Deployment, DeploymentStatus};
use super::state::State;

/// The longest description, in characters.
const DESCRIPTION_LIMIT: usize = 140;
/// The states of a deployment.
const STATES: &[&str] =
    &["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

fn check_description(resource: &str, body: &Value) -> Result<(), Refusal> {
    let length = body["description"].as_str().map_or(0, |text| text.chars().count());
    if length > DESCRIPTION_LIMIT {
        let message = "description is too long (maximum is 140 characters)";
        return Err(Refusal::custom(resource, "description", message));
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl State {
    /// A deployment by id.
    pub(crate) fn deployment(&self, repository: u64, id: u64) -> Result<&Deployment, Refusal> {
        let deployments = &self.repository(repository)?.deployments;
        deployments.iter().find(|known| known.id == id).ok_or_else(Refusal::not_found)
    }

    /// Makes a deployment and gives its id; `body` is the request's.
    pub(crate) fn create_deployment(
        &mut self,
        repository: u64,
        actor: u64,
        body: &Value,
    ) -> Result<u64, Refusal> {
        let reference = body["ref"].as_str().filter(|reference| !reference.is_empty());
        let reference =
            reference.ok_or_else(|| Refusal::field("Deployment", "ref", "missing_field"))?;
        check_description("Deployment", body)?;
        let sha = self
            .commit_of(repository, reference)
            .map_err(|_| Refusal::new(422, format!("No ref found for: {reference}")))?;
        self.check_contexts(repository, &sha, &body["required_contexts"])?;
        let production = body["environment"].as_str().is_none_or(|name| name == "production");
        let deployment = Deployment {
            id: self.fresh_id(),
            reference: reference.to_owned(),
            sha,
            task: body["task"].as_str().unwrap_or("deploy").to_owned(),
            environment: body["environment"].as_str().unwrap_or("production").to_owned(),
            description: body["description"].as_str().map(str::to_owned),
            payload: body.get("payload").cloned().unwrap_or_else(|| json!({})),
            transient: body["transient_environment"].as_bool().unwrap_or(false),
            production: body["production_environment"].as_bool().unwrap_or(production),
            creator: actor,
            created_at: self.now(),
            statuses: Vec::new(),
        };
        let id = deployment.id;
        let shape = self.deployment_json(self.repository(repository)?, &deployment);
        self.repository_mut(repository)?.deployments.push(deployment);
        let fields = json!({ "deployment": shape, "workflow": null, "workflow_run": null });
        self.emit(repository, "deployment", Some("created"), fields, actor);
        Ok(id)
    }

    /// 409 unless every wanted context (all there are, when none is named) has succeeded.
    fn check_contexts(&self, id: u64, sha: &str, wanted: &Value) -> Result<(), Refusal> {
        let repository = self.repository(id)?;
        let named: Option<Vec<&str>> =
            wanted.as_array().map(|names| names.iter().filter_map(Value::as_str).collect());
        let counts = |name: &str| named.as_ref().is_none_or(|named| named.contains(&name));
        let statuses = repository.statuses.iter().filter(|status| status.sha == sha);
        let mut last = std::collections::BTreeMap::new();
        for status in statuses.filter(|status| counts(&status.context)) {
            last.insert(status.context.as_str(), status.state == "success");
        }
        for run in repository.check_runs.iter().filter(|run| run.head_sha == sha) {
            if counts(&run.name) {
                let passed =
                    matches!(run.conclusion.as_deref(), Some("success" | "neutral" | "skipped"));
                last.insert(&run.name, passed);
            }
        }
        let absent = named.iter().flatten().any(|name| !last.contains_key(name));
        if absent || last.values().any(|passed| !passed) {
            let message = "Conflict: Commit status checks failed for the ref.";
            return Err(Refusal::new(409, message));
        }
        Ok(())
    }

    /// Adds a status and gives its id; success makes earlier deployments there inactive.
    pub(crate) fn create_deployment_status(
        &mut self,
        repository: u64,
        actor: u64,
        deployment: u64,
        body: &Value,
    ) -> Result<u64, Refusal> {
        let state = body["state"].as_str().unwrap_or_default();
        if !STATES.contains(&state) {
            return Err(Refusal::field("DeploymentStatus", "state", "invalid"));
        }
        check_description("DeploymentStatus", body)?;
        let environment = self.deployment(repository, deployment)?.environment.clone();
        let status = DeploymentStatus {
            id: self.fresh_id(),
            state: state.to_owned(),
            description: text(&body["description"]),
            log_url: text(body.get("log_url").unwrap_or(&body["target_url"])),
            environment_url: text(&body["environment_url"]),
            environment: body["environment"].as_str().map_or(environment, str::to_owned),
            creator: actor,
            created_at: self.now(),
        };
        let id = status.id;
        let auto_inactive = body["auto_inactive"].as_bool().unwrap_or(true);
        self.keep_status(repository, deployment, status)?;
        self.emit_status(repository, deployment, id, actor)?;
        if state == "success" && auto_inactive {
            self.retire_others(repository, deployment, actor)?;
        }
        Ok(id)
    }

    fn keep_status(
        &mut self,
        repository: u64,
        deployment: u64,
        status: DeploymentStatus,
    ) -> Result<(), Refusal> {
        let deployments = &mut self.repository_mut(repository)?.deployments;
        let known = deployments.iter_mut().find(|known| known.id == deployment);
        known.ok_or_else(Refusal::not_found)?.statuses.push(status);
        Ok(())
    }

    fn emit_status(
        &mut self,
        id: u64,
        deployment: u64,
        status: u64,
        actor: u64,
    ) -> Result<(), Refusal> {
        let repository = self.repository(id)?;
        let deployment = self.deployment(id, deployment)?;
        let status = deployment.statuses.iter().find(|known| known.id == status);
        let status = status.ok_or_else(Refusal::not_found)?;
        let fields = json!({
            "deployment": self.deployment_json(repository, deployment),
            "deployment_status": self.deployment_status_json(repository, deployment, status),
            "check_run": null, "workflow": null, "workflow_run": null,
        });
        self.emit(id, "deployment_status", Some("created"), fields, actor);
        Ok(())
    }

    /// Earlier non-transient, non-production deployments to the environment become inactive.
    fn retire_others(&mut self, repository: u64, newest: u64, actor: u64) -> Result<(), Refusal> {
        let environment = self.deployment(repository, newest)?.environment.clone();
        let retired: Vec<u64> = self
            .repository(repository)?
            .deployments
            .iter()
            .filter(|known| known.id < newest && known.environment == environment)
            .filter(|known| !known.transient && !known.production)
            .filter(|known| known.statuses.last().is_some_and(|s| s.state == "success"))
            .map(|known| known.id)
            .collect();
        for deployment in retired {
            self.create_deployment_status(
                repository,
                actor,
                deployment,
                &json!({ "state": "inactive", "auto_inactive": false }),
            )?;
        }
        Ok(())
    }
}

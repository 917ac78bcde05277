//! Check runs and the suites they form.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::model::{CheckRun, CheckSuite, Repository, Time};
use super::state::State;

/// The longest `output.summary` and `output.text`, in characters.
const OUTPUT_LIMIT: usize = 65_535;
/// The most annotations one request may carry.
const ANNOTATIONS_LIMIT: usize = 50;
/// The most buttons.
const ACTIONS_LIMIT: usize = 3;
/// Buttons: the longest of each field, in characters.
const ACTION_FIELDS: &[(&str, usize)] = &[("label", 20), ("description", 40), ("identifier", 20)];
/// Where a run can be.
const STATUSES: &[&str] =
    &["queued", "in_progress", "completed", "waiting", "requested", "pending"];
/// How a run can end.
const CONCLUSIONS: &[&str] = &[
    "action_required",
    "cancelled",
    "failure",
    "neutral",
    "success",
    "skipped",
    "stale",
    "timed_out",
];

/// The status and conclusion of a suite, worked out of its runs; the worst conclusion counts.
pub(crate) fn suite_state(
    repository: &Repository,
    suite: u64,
) -> (&'static str, Option<&'static str>) {
    let mut runs = repository.check_runs.iter().filter(|run| run.suite == suite).peekable();
    if runs.peek().is_none() {
        return ("queued", None);
    }
    let mut worst = "success";
    for run in runs {
        match run.conclusion.as_deref() {
            None => return ("in_progress", None),
            Some("failure" | "timed_out") => worst = "failure",
            Some("action_required" | "cancelled") if worst != "failure" => {
                worst = "action_required";
            }
            Some(_) => {}
        }
    }
    ("completed", Some(worst))
}

impl State {
    /// Makes a check run of an App's and gives its id; `body` is the request's.
    pub(crate) fn create_check_run(
        &mut self,
        repository: u64,
        actor: u64,
        app_slug: &str,
        body: &Value,
    ) -> Result<u64, Refusal> {
        let field = |name: &str| body[name].as_str().filter(|text| !text.is_empty());
        let missing = |name| Refusal::field("CheckRun", name, "missing_field");
        let name = field("name").ok_or_else(|| missing("name"))?;
        let head_sha = field("head_sha").ok_or_else(|| missing("head_sha"))?;
        check_fields(body)?;
        let unknown = || Refusal::new(422, format!("No commit found for SHA: {head_sha}"));
        if head_sha.len() != 40 || self.commit_of(repository, head_sha).is_err() {
            return Err(unknown());
        }
        let suite = self.suite_for(repository, app_slug, head_sha)?;
        let mut run = CheckRun {
            id: self.fresh_id(),
            suite,
            app_slug: app_slug.to_owned(),
            name: name.to_owned(),
            head_sha: head_sha.to_owned(),
            status: "queued".to_owned(),
            conclusion: None,
            details_url: None,
            external_id: String::new(),
            started_at: Some(self.now()),
            completed_at: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
            actions: Vec::new(),
        };
        apply(&mut run, body, self.now());
        let (id, done) = (run.id, run.conclusion.is_some());
        self.repository_mut(repository)?.check_runs.push(run);
        self.emit_check(repository, id, "created", json!({}), actor)?;
        if done {
            self.tell_completed(repository, id, actor)?;
        }
        Ok(id)
    }

    /// Changes a check run; annotations are appended to those there are.
    pub(crate) fn update_check_run(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        body: &Value,
    ) -> Result<(), Refusal> {
        check_fields(body)?;
        let now = self.now();
        let run = self.check_run_mut(repository, id)?;
        let was_done = run.conclusion.is_some();
        apply(run, body, now);
        let is_done = run.conclusion.is_some();
        if is_done && !was_done {
            self.tell_completed(repository, id, actor)?;
        }
        Ok(())
    }

    /// A check run by id.
    pub(crate) fn check_run(&self, repository: u64, id: u64) -> Result<&CheckRun, Refusal> {
        let runs = &self.repository(repository)?.check_runs;
        runs.iter().find(|run| run.id == id).ok_or_else(Refusal::not_found)
    }

    fn check_run_mut(&mut self, repository: u64, id: u64) -> Result<&mut CheckRun, Refusal> {
        let runs = &mut self.repository_mut(repository)?.check_runs;
        runs.iter_mut().find(|run| run.id == id).ok_or_else(Refusal::not_found)
    }

    /// A suite by id.
    pub(crate) fn check_suite(&self, repository: u64, id: u64) -> Result<&CheckSuite, Refusal> {
        let suites = &self.repository(repository)?.check_suites;
        suites.iter().find(|suite| suite.id == id).ok_or_else(Refusal::not_found)
    }

    fn suite_for(&mut self, repository: u64, app: &str, sha: &str) -> Result<u64, Refusal> {
        let kept = self.repository(repository)?;
        let known = kept.check_suites.iter().find(|s| s.app_slug == app && s.head_sha == sha);
        if let Some(known) = known {
            return Ok(known.id);
        }
        let head = kept
            .refs
            .iter()
            .find(|(name, tip)| name.starts_with("refs/heads/") && tip.as_str() == sha);
        let head_branch = head.map(|(name, _)| name.trim_start_matches("refs/heads/").to_owned());
        let suite = CheckSuite {
            id: self.fresh_id(),
            app_slug: app.to_owned(),
            head_sha: sha.to_owned(),
            head_branch,
            before: None,
            created_at: self.now(),
        };
        let id = suite.id;
        self.repository_mut(repository)?.check_suites.push(suite);
        Ok(id)
    }

    fn tell_completed(&mut self, repository: u64, id: u64, actor: u64) -> Result<(), Refusal> {
        self.emit_check(repository, id, "completed", json!({}), actor)?;
        let suite = self.check_run(repository, id)?.suite;
        let kept = self.repository(repository)?;
        if suite_state(kept, suite).0 == "completed" {
            self.emit_suite(repository, suite, "completed", actor)?;
        }
        Ok(())
    }

    /// Tells of a check run; `extra` holds `requested_action`.
    pub(crate) fn emit_check(
        &mut self,
        id: u64,
        run: u64,
        action: &str,
        extra: Value,
        sender: u64,
    ) -> Result<(), Refusal> {
        let repository = self.repository(id)?;
        let run = self.check_run(id, run)?;
        let suite = self.check_suite(id, run.suite)?;
        let mut fields = extra;
        fields["check_run"] = self.check_run_event_json(repository, run, suite);
        self.emit(id, "check_run", Some(action), fields, sender);
        Ok(())
    }

    /// Tells of a suite.
    pub(crate) fn emit_suite(
        &mut self,
        id: u64,
        suite: u64,
        action: &str,
        sender: u64,
    ) -> Result<(), Refusal> {
        let shape = self.check_suite_json(self.repository(id)?, self.check_suite(id, suite)?);
        self.emit(id, "check_suite", Some(action), json!({ "check_suite": shape }), sender);
        Ok(())
    }
}

fn check_fields(body: &Value) -> Result<(), Refusal> {
    let invalid = |name, message: &str| Err(Refusal::custom("CheckRun", name, message));
    let status = body["status"].as_str();
    let conclusion = body["conclusion"].as_str();
    if status.is_some_and(|status| !STATUSES.contains(&status)) {
        return invalid("status", "status is not included in the list");
    }
    if conclusion.is_some_and(|conclusion| !CONCLUSIONS.contains(&conclusion)) {
        return invalid("conclusion", "conclusion is not included in the list");
    }
    if status == Some("completed") && conclusion.is_none() {
        return invalid("conclusion", "conclusion is required when status is completed");
    }
    check_output(&body["output"])?;
    check_actions(&body["actions"])
}

fn check_output(output: &Value) -> Result<(), Refusal> {
    let Some(fields) = output.as_object() else { return Ok(()) };
    for name in ["title", "summary"] {
        if !fields.get(name).is_some_and(Value::is_string) {
            return Err(Refusal::field("CheckRun", name, "missing_field"));
        }
    }
    for name in ["summary", "text"] {
        let length = output[name].as_str().map_or(0, |text| text.chars().count());
        if length > OUTPUT_LIMIT {
            let message = format!("{name} exceeds a maximum of {OUTPUT_LIMIT} characters");
            return Err(Refusal::custom("CheckRun", name, &message));
        }
    }
    let annotations = output["annotations"].as_array().map_or(0, Vec::len);
    if annotations > ANNOTATIONS_LIMIT {
        let message = "annotations exceeds a maximum quantity of 50";
        return Err(Refusal::custom("CheckRun", "annotations", message));
    }
    Ok(())
}

fn check_actions(actions: &Value) -> Result<(), Refusal> {
    let actions = actions.as_array().map_or(&[][..], Vec::as_slice);
    if actions.len() > ACTIONS_LIMIT {
        let message = "actions exceeds a maximum quantity of 3";
        return Err(Refusal::custom("CheckRun", "actions", message));
    }
    for action in actions {
        for (name, limit) in ACTION_FIELDS {
            let Some(text) = action[*name].as_str() else {
                return Err(Refusal::field("CheckRun", name, "missing_field"));
            };
            if text.chars().count() > *limit {
                let message = format!("{name} is too long (maximum is {limit} characters)");
                return Err(Refusal::custom("CheckRun", name, &message));
            }
        }
    }
    Ok(())
}

fn apply(run: &mut CheckRun, body: &Value, now: Time) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let time = |value: &Value| {
        value.as_str().and_then(|text| text.parse::<chrono::DateTime<chrono::Utc>>().ok())
    };
    let replace = |kept: &mut Option<String>, value: &Value| {
        if let Some(text) = text(value) {
            *kept = Some(text);
        }
    };
    if let Some(name) = text(&body["name"]) {
        run.name = name;
    }
    if let Some(external_id) = text(&body["external_id"]) {
        run.external_id = external_id;
    }
    replace(&mut run.details_url, &body["details_url"]);
    run.started_at = time(&body["started_at"]).or(run.started_at);
    if let Some(status) = text(&body["status"]) {
        run.status = status;
        if run.status != "completed" {
            (run.conclusion, run.completed_at) = (None, None);
        }
    }
    if let Some(conclusion) = text(&body["conclusion"]) {
        "completed".clone_into(&mut run.status);
        run.conclusion = Some(conclusion);
        run.completed_at = time(&body["completed_at"]).or(Some(now));
    }
    let output = &body["output"];
    replace(&mut run.title, &output["title"]);
    replace(&mut run.summary, &output["summary"]);
    replace(&mut run.text, &output["text"]);
    run.annotations.extend(output["annotations"].as_array().into_iter().flatten().cloned());
    if let Some(actions) = body["actions"].as_array() {
        run.actions.clone_from(actions);
    }
}

//! Judges what an agent gave back: by the role's schema, then by what the parts must say together.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::{Outcome, PlanOutcome, Role, VerifyOutcome};

/// More mistakes than this are not told: the agent mends them in one go or not at all.
const MISTAKES: usize = 12;

/// Turns a role's answer into its outcome.
///
/// # Errors
/// The mistakes, each with the place in the answer, for [`repair_prompt`].
pub fn validate(role: Role, schema: &Value, value: &Value) -> Result<Outcome, Vec<String>> {
    let validator = jsonschema::validator_for(schema)
        .map_err(|error| vec![format!("the role's schema cannot be used: {error}")])?;
    let mistakes: Vec<String> = validator
        .iter_errors(value)
        .take(MISTAKES)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the whole answer".to_owned() } else { place };
            let what: String = error.to_string().chars().take(300).collect();
            format!("{place}: {what}")
        })
        .collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    match role {
        Role::Starter => read(value).and_then(changing).map(Outcome::Plan),
        Role::Coding | Role::Generic | Role::Refactor | Role::TestGeneration => {
            read(value).map(Outcome::Code)
        }
        Role::Reviewer => read(value).map(Outcome::Review),
        Role::Deployer => read(value).map(Outcome::Deploy),
        Role::Verifier => read(value).and_then(consistent).map(Outcome::Verify),
        Role::Auditor => read(value).map(Outcome::Audit),
        Role::Analysis => read(value).map(Outcome::Analysis),
    }
}

/// The one turn in which an agent may put its answer right.
#[must_use]
pub fn repair_prompt(mistakes: &[String]) -> String {
    let listed: Vec<String> = mistakes.iter().map(|mistake| format!("- {mistake}")).collect();
    format!(
        "Your answer was not of the agreed form, so it could not be used:\n\n{}\n\nGive the same answer again as \
         structured output with only this corrected. Change no files and start no new work.",
        listed.join("\n")
    )
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<String>> {
    T::deserialize(value).map_err(|error| vec![error.to_string()])
}

/// A plan ends in a change: nobody waits for a pull request that cannot come.
fn changing(plan: PlanOutcome) -> Result<PlanOutcome, Vec<String>> {
    if plan.steps.iter().any(|step| step.by().writes()) {
        return Ok(plan);
    }
    Err(vec!["/steps: none of them changes anything; analysis alone is no plan".to_owned()])
}

/// Nobody is told that production works while a criterion is unmet.
fn consistent(verdict: VerifyOutcome) -> Result<VerifyOutcome, Vec<String>> {
    if verdict.passed && verdict.criteria.iter().any(|criterion| !criterion.passed) {
        return Err(vec!["/passed: true, although a criterion is not met".to_owned()]);
    }
    Ok(verdict)
}

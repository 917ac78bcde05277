//! The hashes that approvals are bound to.

use sha2::{Digest, Sha256};

use crate::model::{InputHash, PlanHash, PlanOutcome, TaskInput};

/// Hashes the words that agents get; who of their writers may push is no part of them.
#[must_use]
pub fn input_hash(input: &TaskInput) -> InputHash {
    let words = TaskInput { outsiders: Vec::new(), ..input.clone() };
    InputHash::new(hex_of(&words, "")).expect("64 hexadecimal digits are a hash")
}

/// Hashes a plan together with what it was made from.
#[must_use]
pub fn plan_hash(plan: &PlanOutcome, input: &InputHash) -> PlanHash {
    PlanHash::new(hex_of(plan, input.as_str())).expect("64 hexadecimal digits are a hash")
}

/// Names the same remark alike in two rounds: by place in the tree and words, not by line.
pub(super) fn fingerprint(path: &str, title: &str) -> String {
    let words: String = title.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    hex_of(&(path, words), "")[..16].to_owned()
}

fn hex_of(value: &impl serde::Serialize, salt: &str) -> String {
    let json = serde_json::to_vec(value).expect("structs of text serialise");
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update(json);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{StepRole, sample};

    /// As the version before plans had roles hashed it.
    const BEFORE: &str = "2aa110426edcedab5513173657508c1f7f7bcca2f5644c627c5efca3248ccbda";

    #[test]
    fn a_plan_without_roles_has_the_hash_that_it_was_approved_by() {
        let plan = sample::plan();
        assert_eq!(plan_hash(&plan.body, &plan.input_hash).as_str(), BEFORE);
        let kept = serde_json::to_value(&plan.body).unwrap();
        assert!(kept["steps"][0].get("role").is_none(), "{kept}");
        let read: PlanOutcome = serde_json::from_value(kept).unwrap();
        assert_eq!(plan_hash(&read, &plan.input_hash).as_str(), BEFORE);
        let mut other = read;
        other.steps[0].role = Some(StepRole::Refactor);
        assert_ne!(plan_hash(&other, &plan.input_hash).as_str(), BEFORE);
    }
}

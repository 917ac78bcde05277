//! What the App asks GitHub for: `app-manifest.yml` says the same, held equal by a test.

/// The events to subscribe to.
pub const SUBSCRIBED: &[&str] = &[
    "delete",
    "issue_comment",
    "issues",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "repository",
];

/// Events that are read and that GitHub sends to every App without a subscription.
pub const ALWAYS_SENT: &[&str] = &["installation", "installation_repositories", "ping"];

/// What the App may do, as (permission, access). Everything else is none; `workflows` is left out
/// on purpose, so that no agent can change what CI runs.
pub const PERMISSIONS: &[(&str, &str)] = &[
    ("checks", "write"),
    ("contents", "write"),
    ("deployments", "write"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(serde::Deserialize)]
    struct Manifest {
        default_events: Vec<String>,
        default_permissions: BTreeMap<String, String>,
        public: bool,
    }

    #[test]
    fn the_manifest_asks_for_exactly_what_is_read() {
        let manifest: Manifest =
            serde_yaml_ng::from_str(include_str!("../../app-manifest.yml")).unwrap();
        assert_eq!(manifest.default_events, SUBSCRIBED);
        let permissions: BTreeMap<_, _> =
            PERMISSIONS.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(manifest.default_permissions, permissions);
        assert!(!manifest.public, "an App that anyone can install spends its owner's money");
    }
}

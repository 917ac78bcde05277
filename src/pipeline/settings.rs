//! What the pipeline needs to know of the server's configuration.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;

use crate::{
    db::nodes::NodeId,
    model::{Environment, Keep, Limits, RepositoryName, Timestamp, Web},
};

/// The part of the configuration that deciding, executing and saying rest on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `BATON_NAME`.
    pub name: String,
    /// The provider of roles whose policy names none.
    pub provider: String,
    /// The providers whose program and whose credential this server has.
    pub providers: Vec<String>,
    /// The model of roles whose policy names none.
    pub model: String,
    /// What no repository can raise.
    pub limits: Limits,
    /// What the models' providers may do on the web for agents.
    pub web: Web,
    /// How much is kept on this machine's disk.
    pub keep: Keep,
    /// Which repositories may deploy where, with what.
    pub grants: Vec<DeployGrant>,
    /// Values that must never be stored or pushed.
    pub secrets: Vec<SecretString>,
    /// This machine's row.
    pub node: NodeId,
    /// Tells this database's sessions from another's.
    pub salt: uuid::Uuid,
    /// When this server began: requests that were made before were carried by another.
    pub began: Timestamp,
    /// How long a minute of an agent's time limits is: one minute, unless a test has no patience.
    pub minute: Duration,
}

/// What one repository's deploy and verify commands get.
#[derive(Debug, Clone)]
pub struct DeployGrant {
    /// Which repository.
    pub repository: RepositoryName,
    /// Which environment.
    pub environment: Environment,
    /// Plain variables, for both.
    pub variables: BTreeMap<String, String>,
    /// Secret variables, for deploy commands alone.
    pub secrets: BTreeMap<String, SecretString>,
}

impl Settings {
    /// What a repository gets for an environment; none where the server grants nothing.
    #[must_use]
    pub fn grant(
        &self,
        repository: &RepositoryName,
        environment: &Environment,
    ) -> Option<&DeployGrant> {
        let matches = |grant: &&DeployGrant| {
            grant.repository == *repository && grant.environment == *environment
        };
        self.grants.iter().find(matches)
    }
}

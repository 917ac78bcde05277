//! Which repositories may deploy where, and with which secrets.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use super::Source;
use crate::model::{Environment, RepositoryName};

/// What the server lets one repository's deploy and verify commands have.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Which repository.
    pub repository: RepositoryName,
    /// Which environment.
    pub environment: Environment,
    /// Plain variables for both kinds of commands.
    pub variables: BTreeMap<String, String>,
    /// Secret variables, for deploy commands alone.
    pub secrets: BTreeMap<String, SecretString>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    repository: RepositoryName,
    environment: Environment,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// Name in the commands' environment → name of the server's own variable (or `…_FILE`).
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

pub(super) fn read(source: &mut Source) -> Vec<Grant> {
    let files: Vec<File> = source.section("deploy");
    files.into_iter().map(|file| grant(source, file)).collect()
}

fn grant(source: &mut Source, file: File) -> Grant {
    let mut secrets = BTreeMap::new();
    for (inside, outside) in file.secrets {
        match source.secret(&outside, None) {
            Some(value) => {
                secrets.insert(inside, value);
            }
            None => source.mistake(
                &outside,
                format_args!("missing: [[deploy]] of {} wants it as {inside}", file.repository),
            ),
        }
    }
    Grant {
        repository: file.repository,
        environment: file.environment,
        variables: file.variables,
        secrets,
    }
}

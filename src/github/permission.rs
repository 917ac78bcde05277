//! What somebody may do in a repository, as GitHub says at this moment.

use serde::Deserialize;

use super::client::Call;
use super::error::found;
use super::path::segment;
use super::{GitHubError, Repo};
use crate::model::{Login, Permission};

#[derive(Deserialize)]
struct PermissionAnswer {
    /// Knows neither `triage` nor `maintain` and shows them as `read` and `write`.
    permission: String,
    /// Knows them, and the names of an organisation's own roles.
    role_name: Option<String>,
}

impl Repo {
    /// What an account may do here. Outsiders may read a public repository; an unknown login may
    /// nothing.
    ///
    /// An organisation's own role counts as the basic role that it is built on.
    ///
    /// # Errors
    /// None of its own.
    pub async fn permission(&self, login: &Login) -> Result<Permission, GitHubError> {
        let rest = format!("/collaborators/{}/permission", segment(login.as_str()));
        let answer = found(self.read::<PermissionAnswer>(&Call::get(self.path(&rest))).await)?;
        Ok(answer.map_or(Permission::None, |answer| {
            let role = answer.role_name.as_deref().and_then(named);
            role.or_else(|| named(&answer.permission)).unwrap_or(Permission::None)
        }))
    }
}

fn named(word: &str) -> Option<Permission> {
    Some(match word {
        "admin" => Permission::Admin,
        "maintain" => Permission::Maintain,
        "write" => Permission::Write,
        "triage" => Permission::Triage,
        "read" => Permission::Read,
        "none" => Permission::None,
        _ => return None,
    })
}

//! Keeps a repository's policy as its default branch has it.

use super::{Failure, Parts, facts::known};
use crate::{db::repositories, model::Repository, workflow::policy};

/// Where policy is.
const PATH: &str = ".github/baton.yml";

/// Reads the policy file and keeps it when it is good. Gives the mistake when it is not: then the last
/// good version holds.
pub(super) async fn refresh(
    parts: &Parts,
    repository: &Repository,
) -> Result<Option<String>, Failure> {
    let repo = parts.github.repository(repository);
    let file = known(repo.file(PATH, &repository.default_branch).await)?.flatten();
    let parsed = match &file {
        Some(file) => {
            let text = String::from_utf8_lossy(&file.bytes);
            policy::parse(&text).map(|policy| Some((file.sha.clone(), policy)))
        }
        None => Ok(None),
    };
    match parsed {
        Ok(Some((sha, policy))) => {
            repositories::set_policy(&parts.pool, repository.id, &sha, &policy).await?;
            Ok(None)
        }
        Ok(None) => {
            repositories::forget_policy(&parts.pool, repository.id).await?;
            Ok(None)
        }
        Err(mistake) => {
            let mistake = format!("{PATH}: {mistake}");
            repositories::set_policy_error(&parts.pool, repository.id, Some(&mistake)).await?;
            Ok(Some(mistake))
        }
    }
}

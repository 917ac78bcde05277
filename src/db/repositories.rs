//! `repositories`: where Baton is installed, and what their maintainers allow.

use sqlx::PgExecutor;

use super::{DbError, decode, error::one_row};
use crate::model::{
    BranchName, InstallationId, Policy, Repository, RepositoryId, RepositoryName, Sha, Timestamp,
};

struct Row {
    id: i64,
    installation_id: i64,
    owner: String,
    name: String,
    default_branch: String,
    private: bool,
    off: bool,
    policy_error: Option<String>,
}

impl Row {
    fn into_model(self) -> Result<Repository, DbError> {
        Ok(Repository {
            id: RepositoryId(self.id),
            installation: InstallationId(self.installation_id),
            name: RepositoryName::new(&self.owner, &self.name)
                .map_err(|source| DbError::unreadable("repository name", source))?,
            default_branch: decode::text("branch", self.default_branch, BranchName::new)?,
            private: self.private,
            off: self.off,
            policy_error: self.policy_error,
        })
    }
}

/// Enters a repository, or brings name, branch and visibility up to date. Policy and the off switch
/// stay as they are: what is in `repository` about them counts only for a new one.
///
/// # Errors
/// When the database is away, or the installation was not entered before.
pub async fn upsert(executor: impl PgExecutor<'_>, repository: &Repository) -> Result<(), DbError> {
    let Repository { id, installation, name, default_branch, private, off, policy_error } =
        repository;
    sqlx::query!(
        r#"INSERT INTO repositories
               (id, installation_id, owner, name, default_branch, private, "off", policy_error)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
           ON CONFLICT (id) DO UPDATE SET installation_id = $2, owner = $3, name = $4,
               default_branch = $5, private = $6, removed_at = NULL"#,
        id.0,
        installation.0,
        name.owner(),
        name.name(),
        default_branch.as_str(),
        private,
        off,
        policy_error.as_deref(),
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Finds a repository, also a removed one.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn by_id(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
) -> Result<Option<Repository>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, installation_id, owner, name, default_branch, private, "off", policy_error
           FROM repositories WHERE id = $1"#,
        id.0,
    );
    row.fetch_optional(executor).await?.map(Row::into_model).transpose()
}

/// Loads a repository, also a removed one.
///
/// # Errors
/// [`DbError::Absent`] when it was never entered.
pub async fn load(executor: impl PgExecutor<'_>, id: RepositoryId) -> Result<Repository, DbError> {
    by_id(executor, id).await?.ok_or_else(|| DbError::absent("repository", id))
}

/// Finds a repository that is still installed by its name, letter case aside.
///
/// # Errors
/// When the database is away or the row cannot be read.
pub async fn by_name(
    executor: impl PgExecutor<'_>,
    name: &RepositoryName,
) -> Result<Option<Repository>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, installation_id, owner, name, default_branch, private, "off", policy_error
           FROM repositories
           WHERE lower(owner) = lower($1) AND lower(name) = lower($2) AND removed_at IS NULL
           ORDER BY id DESC LIMIT 1"#,
        name.owner(),
        name.name(),
    );
    row.fetch_optional(executor).await?.map(Row::into_model).transpose()
}

/// Lists the repositories that are still installed.
///
/// # Errors
/// When the database is away or a row cannot be read.
pub async fn list_active(executor: impl PgExecutor<'_>) -> Result<Vec<Repository>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT r.id, installation_id, owner, name, default_branch, private, "off", policy_error
           FROM repositories r JOIN installations i ON i.id = r.installation_id
           WHERE r.removed_at IS NULL AND i.deleted_at IS NULL AND i.suspended_at IS NULL
           ORDER BY r.id"#
    );
    rows.fetch_all(executor).await?.into_iter().map(Row::into_model).collect()
}

/// Gives the last good policy and the commit it was read from; none before the first was read.
///
/// # Errors
/// When the database is away or the policy cannot be read.
pub async fn policy(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
) -> Result<Option<(Sha, Policy)>, DbError> {
    let row = sqlx::query!("SELECT policy_sha, policy FROM repositories WHERE id = $1", id.0)
        .fetch_optional(executor)
        .await?;
    let Some((Some(sha), Some(policy))) = row.map(|row| (row.policy_sha, row.policy)) else {
        return Ok(None);
    };
    Ok(Some((decode::text("policy commit", sha, Sha::new)?, decode::read("policy", policy)?)))
}

/// Keeps a policy that was read without mistakes.
///
/// # Errors
/// [`DbError::Stale`] when there is no such repository.
pub async fn set_policy(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
    sha: &Sha,
    policy: &Policy,
) -> Result<(), DbError> {
    let result = sqlx::query!(
        "UPDATE repositories SET policy = $2, policy_sha = $3, policy_error = NULL WHERE id = $1",
        id.0,
        decode::write(policy),
        sha.as_str(),
    )
    .execute(executor)
    .await?;
    one_row(&result, "repository", id)
}

/// Keeps the mistake of the newest policy file; the last good policy stays.
///
/// # Errors
/// [`DbError::Stale`] when there is no such repository.
pub async fn set_policy_error(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
    error: Option<&str>,
) -> Result<(), DbError> {
    let error = error.map(decode::storable);
    let result =
        sqlx::query!("UPDATE repositories SET policy_error = $2 WHERE id = $1", id.0, error)
            .execute(executor)
            .await?;
    one_row(&result, "repository", id)
}

/// Forgets the policy of a repository that has none any more: the defaults hold.
///
/// # Errors
/// When the database is away.
pub async fn forget_policy(executor: impl PgExecutor<'_>, id: RepositoryId) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE repositories SET policy = NULL, policy_sha = NULL, policy_error = NULL WHERE id = $1",
        id.0
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Switches Baton off or on in a repository.
///
/// # Errors
/// [`DbError::Stale`] when there is no such repository.
pub async fn set_off(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
    off: bool,
) -> Result<(), DbError> {
    let result = sqlx::query!(r#"UPDATE repositories SET "off" = $2 WHERE id = $1"#, id.0, off)
        .execute(executor)
        .await?;
    one_row(&result, "repository", id)
}

/// Notes that a repository is no longer installed.
///
/// # Errors
/// When the database is away.
pub async fn mark_removed(
    executor: impl PgExecutor<'_>,
    id: RepositoryId,
    at: Timestamp,
) -> Result<(), DbError> {
    sqlx::query!("UPDATE repositories SET removed_at = $2 WHERE id = $1", id.0, at)
        .execute(executor)
        .await?;
    Ok(())
}

//! Mirrors are brought up to date for whoever needs them; those that nobody needs any more go, and are fetched
//! again if somebody does.

use std::time::{Duration, SystemTime};

use super::{Failure, Parts};
use crate::{
    db::mirrors::{MirrorUse, mirror_use},
    github::{Access, GitHubError},
    model::{Keep, RepositoryId, Sha, Situation},
    workspace::{KeptMirror, WorkspaceError},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Brings the repository's mirror up to date, with all that one commit needs to be checked out.
pub(super) async fn refresh(
    parts: &Parts,
    situation: &Situation,
    commit: Option<&Sha>,
) -> Result<(), Failure> {
    let repository = &situation.repository;
    let repo = parts.github.repository(repository);
    let (url, token) = (repo.git_url(), repo.git_token(Access::Read).await?);
    let workspaces = &parts.runtime.workspaces;
    workspaces.refresh(repository.id, &url, Some(&token)).await.map_err(remote_is_away)?;
    match commit {
        Some(commit) => complete(parts, situation, commit).await,
        None => Ok(()),
    }
}

/// Brings what the mirror lacks of one commit.
pub(super) async fn complete(
    parts: &Parts,
    situation: &Situation,
    commit: &Sha,
) -> Result<(), Failure> {
    let repository = &situation.repository;
    let repo = parts.github.repository(repository);
    let (url, token) = (repo.git_url(), repo.git_token(Access::Read).await?);
    let workspaces = &parts.runtime.workspaces;
    let completed = workspaces.complete(repository.id, commit, &url, Some(&token)).await;
    completed.map_err(remote_is_away)
}

fn remote_is_away(error: WorkspaceError) -> Failure {
    let message = error.to_string();
    Failure::GitHub(GitHubError::Retry { after: Duration::from_secs(2), message })
}

/// Takes away the mirrors of repositories that are no longer served; of the others those that were not used
/// for longer than is kept, and while they weigh more than is kept, those that were not used for longest.
pub(super) async fn collect(parts: &Parts) -> Result<(), Failure> {
    let now: SystemTime = parts.clock.now().into();
    let workspaces = parts.runtime.workspaces.clone();
    let listed = tokio::task::spawn_blocking(move || workspaces.list_mirrors()).await;
    let mirrors = match listed.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(mirrors) => mirrors,
        Err(error) => {
            tracing::warn!(%error, "mirrors could not be looked at");
            return Ok(());
        }
    };
    let mut weight: u64 = mirrors.iter().map(|mirror| mirror.bytes).sum();
    for mirror in mirrors {
        let old = is_old(&mirror, &parts.settings.keep, weight, now);
        if forget(parts, mirror.repository, old).await? {
            weight = weight.saturating_sub(mirror.bytes);
            tracing::info!(repo.id = %mirror.repository, bytes = mirror.bytes, "took a mirror away");
        }
    }
    Ok(())
}

/// Whether a mirror of a repository that is served is kept long enough. Of all that is too much none goes
/// that was used within a day: it would be fetched again at once.
fn is_old(mirror: &KeptMirror, keep: &Keep, weight: u64, now: SystemTime) -> bool {
    let unused = now.duration_since(mirror.used).unwrap_or_default();
    unused > DAY * keep.days.max(1) || weight > keep.bytes && unused > DAY
}

/// Takes a mirror away, under its lock, where nobody needs it.
async fn forget(parts: &Parts, repository: RepositoryId, old: bool) -> Result<bool, Failure> {
    let held = match parts.runtime.workspaces.hold_mirror(repository) {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(false),
        Err(error) => {
            tracing::warn!(repo.id = %repository, %error, "a mirror could not be held");
            return Ok(false);
        }
    };
    // Asked while it is held: whoever begins from now on fetches it again.
    let needed = mirror_use(&parts.pool, repository).await?;
    if !needed.is_some_and(|needed| may_go(needed, old)) {
        return Ok(false);
    }
    if let Err(error) = held.forget() {
        tracing::warn!(repo.id = %repository, %error, "a mirror could not be taken away");
        return Ok(false);
    }
    Ok(true)
}

fn may_go(MirrorUse { removed, open, at_work }: MirrorUse, old: bool) -> bool {
    !at_work && (removed || old && !open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_goes_when_nobody_can_need_what_is_in_it() {
        let needed = |removed, open, at_work| MirrorUse { removed, open, at_work };
        assert!(may_go(needed(true, true, false), false));
        assert!(!may_go(needed(true, true, true), true));
        assert!(may_go(needed(false, false, false), true));
        assert!(!may_go(needed(false, true, false), true));
        assert!(!may_go(needed(false, false, false), false));
    }

    #[test]
    fn it_is_old_by_days_or_by_weight_and_never_within_a_day() {
        let now = SystemTime::UNIX_EPOCH + DAY * 100;
        let used = |days: u32| KeptMirror {
            repository: RepositoryId(1),
            bytes: 1,
            used: now - DAY * days - Duration::from_secs(1),
        };
        let keep = Keep { days: 3, bytes: 10, log_days: 1 };
        let old = |days, weight| is_old(&used(days), &keep, weight, now);
        assert_eq!([old(0, 99), old(1, 10), old(1, 11), old(3, 1)], [false, false, true, true]);
    }
}

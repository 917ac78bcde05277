//! Whether a change may leave the machine.
//!
//! Every commit between base and head is looked at, not only their sum: what one commit adds and the
//! next takes away is pushed all the same.

use git2::{Delta, FileMode, Patch};
use secrecy::SecretString;

use super::{
    Mirror, WorkspaceError,
    read::{diff_options, lossy},
    secrets::Finder,
};
use crate::model::{Protected, Refusal, Sha};

/// The most commits that one change may have.
const MAX_COMMITS: usize = 500;

/// What a change is judged by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Globs of paths that may not be touched, as [`Protected`] reads them.
    pub protected: Vec<String>,
    /// The most files that may differ between base and head.
    pub max_files: usize,
    /// The most bytes that all commits' new contents may have together.
    pub max_bytes: u64,
    /// Values that may not appear, plain or encoded; well-known forms of tokens are always looked for.
    pub secrets: Vec<SecretString>,
}

impl Default for Rules {
    /// 300 files and 5 MiB.
    fn default() -> Self {
        Self { protected: Vec::new(), max_files: 300, max_bytes: 5 << 20, secrets: Vec::new() }
    }
}

impl Mirror {
    /// The first reason why the commits on top of `base` may not be pushed, or none.
    ///
    /// # Errors
    /// [`WorkspaceError::Rules`] for a bad glob; others when the mirror cannot be read.
    pub fn refusal(
        &self,
        base: &Sha,
        head: &Sha,
        rules: &Rules,
    ) -> Result<Option<Refusal>, WorkspaceError> {
        let changes = self.changes(base, head)?;
        if changes.is_empty() {
            return Ok(Some(Refusal::Nothing));
        }
        let too_large = |what| Ok(Some(Refusal::TooLarge { what }));
        if changes.len() > rules.max_files {
            let (files, most) = (changes.len(), rules.max_files);
            return too_large(format!("{files} files, at most {most} are allowed"));
        }
        let commits: Vec<_> = self.between(base, head)?.take(MAX_COMMITS + 1).collect();
        if commits.len() > MAX_COMMITS {
            return too_large(format!("more than {MAX_COMMITS} commits"));
        }
        let mut judge = Judge::new(self, rules)?;
        for id in commits {
            let refusal = judge.commit(&self.repository.find_commit(id?)?)?;
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Ok(None)
    }
}

/// Judges commit after commit.
struct Judge<'a> {
    mirror: &'a Mirror,
    protected: Protected,
    finder: Finder,
    max_bytes: u64,
    bytes: u64,
}

impl<'a> Judge<'a> {
    fn new(mirror: &'a Mirror, rules: &Rules) -> Result<Self, WorkspaceError> {
        Ok(Self {
            mirror,
            protected: globs(&rules.protected)?,
            finder: Finder::new(&rules.secrets),
            max_bytes: rules.max_bytes,
            bytes: 0,
        })
    }

    fn commit(&mut self, commit: &git2::Commit<'_>) -> Result<Option<Refusal>, WorkspaceError> {
        for (part, words) in
            [("message", commit.message_raw_bytes()), ("header", commit.raw_header_bytes())]
        {
            if self.finder.finds(words) {
                let path = format!("the {part} of commit {:.7}", commit.id());
                return Ok(Some(Refusal::Secret { path }));
            }
        }
        // Against the first parent: what a merge brings in is this change's doing too.
        let before = commit.parents().next().map(|parent| parent.tree()).transpose()?;
        let mut options = diff_options();
        options.force_text(true).context_lines(0);
        let repository = &self.mirror.repository;
        let after = commit.tree()?;
        let diff =
            repository.diff_tree_to_tree(before.as_ref(), Some(&after), Some(&mut options))?;
        for (index, delta) in diff.deltas().enumerate() {
            let mut refusal = self.file(&delta)?;
            if refusal.is_none() {
                refusal = self.content(&diff, index, &delta)?;
            }
            if refusal.is_some() {
                return Ok(refusal);
            }
        }
        Ok(None)
    }

    /// Judges a file by its name, kind and size.
    fn file(&mut self, delta: &git2::DiffDelta<'_>) -> Result<Option<Refusal>, WorkspaceError> {
        let (old, new) = (delta.old_file(), delta.new_file());
        let path = lossy(new.path_bytes().or(old.path_bytes()).unwrap_or_default());
        let lower = path.to_lowercase();
        if lower.starts_with(".github/workflows/") {
            return Ok(Some(Refusal::Workflows(path)));
        }
        if self.protected.is_match(&path) {
            return Ok(Some(Refusal::ProtectedPath(path)));
        }
        if new.mode() == FileMode::Commit || lower == ".gitmodules" {
            return Ok(Some(Refusal::Submodule(path)));
        }
        if new.mode() == FileMode::Link {
            return Ok(Some(Refusal::Symlink(path)));
        }
        self.bytes += self.mirror.size(&new)?;
        if self.bytes > self.max_bytes {
            let what = format!("more than {} bytes of new contents", self.max_bytes);
            return Ok(Some(Refusal::TooLarge { what }));
        }
        Ok(None)
    }

    /// Judges what a file says now and did not say before.
    fn content(
        &self,
        diff: &git2::Diff<'_>,
        index: usize,
        delta: &git2::DiffDelta<'_>,
    ) -> Result<Option<Refusal>, WorkspaceError> {
        if delta.status() == Delta::Deleted {
            return Ok(None);
        }
        let new = delta.new_file();
        let path = lossy(new.path_bytes().unwrap_or_default());
        let added = match Patch::from_diff(diff, index)? {
            Some(patch) if patch.num_hunks() > 0 => added_lines(&patch)?,
            // Too large to be compared by lines; what all contents may weigh is bounded.
            Some(_) | None if !new.id().is_zero() => {
                self.mirror.repository.find_blob(new.id())?.content().to_vec()
            }
            Some(_) | None => Vec::new(),
        };
        let found = self.finder.finds(&added) || self.finder.finds(path.as_bytes());
        Ok(found.then_some(Refusal::Secret { path }))
    }
}

fn added_lines(patch: &Patch<'_>) -> Result<Vec<u8>, WorkspaceError> {
    let mut added = Vec::new();
    for hunk in 0..patch.num_hunks() {
        for line in 0..patch.num_lines_in_hunk(hunk)? {
            let line = patch.line_in_hunk(hunk, line)?;
            if line.origin() == '+' {
                added.extend_from_slice(line.content());
            }
        }
    }
    Ok(added)
}

fn globs(patterns: &[String]) -> Result<Protected, WorkspaceError> {
    Protected::new(patterns).map_err(WorkspaceError::Rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protects(pattern: &str, path: &str) -> bool {
        globs(&[pattern.to_owned()]).unwrap().is_match(path)
    }

    #[test]
    fn globs_mean_what_they_mean_in_a_gitignore() {
        for (pattern, path) in [
            (".github/**", ".github/a/b.yml"),
            (".github/**", ".GitHub/a"),
            ("deploy/", "deploy/prod/x"),
            ("*.pem", "a/b/key.pem"),
            ("/Makefile", "Makefile"),
            ("src/*/mod.rs", "src/a/mod.rs"),
        ] {
            assert!(protects(pattern, path), "{pattern} does not protect {path}");
        }
        for (pattern, path) in [
            (".github/**", "a/.github/x"),
            ("/Makefile", "a/Makefile"),
            ("src/*/mod.rs", "src/a/b/mod.rs"),
            ("deploy/", "deployment/x"),
        ] {
            assert!(!protects(pattern, path), "{pattern} protects {path}");
        }
        assert!(matches!(globs(&["a[".to_owned()]), Err(WorkspaceError::Rules(_))));
    }
}

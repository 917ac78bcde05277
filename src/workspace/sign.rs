//! Whose commits they are, and what they were made for: written by a hook, checked before a push.
//!
//! Baton rewrites no commit. The quarantine has a hook that adds trailers while the agent commits, where the
//! agent sees it; what comes out without them, or by another author, is refused.

use std::{collections::BTreeSet, fs};

use super::{Identity, Mirror, Workspace, WorkspaceError, Workspaces, prepare::give, read::sha};
use crate::model::{Refusal, Sha};

/// What commits of a task's agents have to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Author and committer of each.
    pub identity: Identity,
    /// A trailer of each.
    pub task: String,
    /// One of these is a trailer of each: the task's agents.
    pub agents: Vec<String>,
}

/// The trailers of a commit that an agent makes for a task.
#[must_use]
pub fn trailers(task: i64, agent: i64) -> [String; 2] {
    [format!("Baton-Task: {task}"), format!("Baton-Agent: {agent}")]
}

impl Workspaces {
    /// Lets git add trailers to every commit that is made in a workspace.
    ///
    /// # Errors
    /// When the hook cannot be written.
    pub fn sign(&self, workspace: &Workspace, trailers: &[String]) -> Result<(), WorkspaceError> {
        let words = trailers.iter().map(|trailer| format!(" --trailer '{trailer}'"));
        let script = format!(
            "#!/bin/sh\n# Says which task and agent a commit is of; Baton pushes none without.\nexec git \
             interpret-trailers --in-place --if-exists addIfDifferent{} \"$1\"\n",
            words.collect::<String>()
        );
        let owner = self.settings.owner;
        let hooks = workspace.quarantine.join("hooks");
        fs::create_dir(&hooks)?;
        give(&hooks, owner, 0o755)?;
        let hook = hooks.join("prepare-commit-msg");
        fs::write(&hook, script)?;
        Ok(give(&hook, owner, 0o755)?)
    }
}

impl Mirror {
    /// The first reason why commits cannot count as those of a task's agents, or none.
    ///
    /// Looks at what `head` has on top of `base` and of `published`, where a person may have committed too.
    ///
    /// # Errors
    /// When one of the commits is not there.
    pub fn unsigned(
        &self,
        base: &Sha,
        published: Option<&Sha>,
        head: &Sha,
        signature: &Signature,
    ) -> Result<Option<Refusal>, WorkspaceError> {
        let mut walk = self.between(base, head)?;
        if let Some(published) = published {
            self.require(published)?;
            walk.hide(super::read::oid(published)?)?;
        }
        for id in walk {
            let commit = self.repository.find_commit(id?)?;
            let named = sha(commit.id())?.short().to_owned();
            if !signature.is_by(&commit.author()) || !signature.is_by(&commit.committer()) {
                return Ok(Some(Refusal::ForeignAuthor { commit: named }));
            }
            if !signature.is_in(&commit) {
                return Ok(Some(Refusal::NoTrailer { commit: named }));
            }
        }
        Ok(None)
    }
}

impl Signature {
    fn is_by(&self, who: &git2::Signature<'_>) -> bool {
        who.name_bytes() == self.identity.name.as_bytes()
            && who.email_bytes() == self.identity.email.as_bytes()
    }

    fn is_in(&self, commit: &git2::Commit<'_>) -> bool {
        let message = String::from_utf8_lossy(commit.message_bytes());
        let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let lines: BTreeSet<&str> = last.lines().map(str::trim).collect();
        let is_there = |trailer: &String| lines.contains(trailer.as_str());
        is_there(&self.task) && self.agents.iter().any(is_there)
    }
}

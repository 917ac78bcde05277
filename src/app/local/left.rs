//! What a command that was killed left: its agents' commits become branches, and nothing is run again.

use anyhow::Context;

use super::{Change, Local, REPOSITORY, quarters::Begun};
use crate::{
    model::{BranchName, Sha},
    workspace::WorkspaceError,
};

/// A request of a command that was killed.
#[derive(Debug)]
pub struct Left {
    /// What was asked for.
    pub text: String,
    /// What is there of it.
    pub kept: Kept,
}

/// What is there of a request whose command was killed.
#[derive(Debug)]
pub enum Kept {
    /// Its agent had changed nothing.
    Nothing,
    /// What its agent had changed is a branch now.
    Branch(Change),
    /// It was a branch already.
    Known(BranchName),
    /// It cannot be had now; it stays where it is, for a later command.
    Later(anyhow::Error),
}

impl Local {
    /// Takes over what a killed command had its agents at on this repository. Call it before anything is begun.
    ///
    /// # Errors
    /// When what is written down of it cannot be read.
    pub async fn take_over(&self) -> anyhow::Result<Vec<Left>> {
        let begun = self.quarters.begun().context("reading what an earlier command began")?;
        self.runtime.clear_but(Vec::new()).await?;
        let mut left = Vec::new();
        for begun in begun {
            let kept = self.taken_over(&begun).await.unwrap_or_else(Kept::Later);
            left.push(Left { text: begun.text, kept });
        }
        let staying = self.quarters.begun()?.into_iter().map(|begun| begun.agent);
        self.runtime.clear_others(staying)?;
        Ok(left)
    }

    async fn taken_over(&self, begun: &Begun) -> anyhow::Result<Kept> {
        let head = match begun.role.writes() {
            true => self.runtime.salvage(begun.agent, REPOSITORY, &begun.base).await?,
            false => None,
        };
        let kept = match head.filter(|head| *head != begun.base) {
            None => Kept::Nothing,
            Some(head) => self.offered(begun, head).await?,
        };
        self.ended(begun).await?;
        Ok(kept)
    }

    /// A command can die between the branch and the note of it.
    async fn offered(&self, begun: &Begun, head: Sha) -> Result<Kept, WorkspaceError> {
        Ok(match self.repository.branch_at(&head)? {
            Some(branch) => Kept::Known(branch),
            None => Kept::Branch(self.hand_over(begun, head).await?),
        })
    }

    /// Nothing more is owed to a request.
    pub(super) async fn ended(&self, begun: &Begun) -> anyhow::Result<()> {
        self.runtime.forget(begun.agent, REPOSITORY).await?;
        self.quarters.strike(begun.agent).context("striking off what is over")
    }
}

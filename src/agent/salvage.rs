//! What an agent left whose Baton was killed, where nobody plays it on.

use super::{Runtime, life::key_of};
use crate::{
    model::{AgentId, RepositoryId, Sha},
    sandbox::kill_users,
    workspace::{Import, WorkspaceError},
};

impl Runtime {
    /// Takes an agent's work into the mirror, with what it had not committed where that can be had, and gives its
    /// commit. Where it has no workspace any more, that was done already, or there was nothing.
    ///
    /// # Errors
    /// When its commits cannot be taken in; its workspace is then as it was.
    pub async fn salvage(
        &self,
        agent: AgentId,
        repository: RepositoryId,
        base: &Sha,
    ) -> Result<Option<Sha>, WorkspaceError> {
        let key = key_of(agent);
        kill_users(&[self.workspaces.path(&key)]);
        let Some(workspace) = self.workspaces.existing(&key, repository, base.clone()) else {
            return self.workspaces.imported(repository, &key).await;
        };
        let inside = self.inside();
        let leftovers = Some("Keep what was not committed\n".to_owned());
        let all = Import { commit_leftovers: leftovers };
        let imported = match self.workspaces.import(&workspace, &inside, &all).await {
            // Its git may have been killed in the middle of a change to its index.
            Err(_) => self.workspaces.import(&workspace, &inside, &Import::default()).await?,
            Ok(imported) => imported,
        };
        self.clear(&key);
        Ok(Some(imported.head))
    }

    /// Forgets what was taken in of an agent, once it has another name.
    ///
    /// # Errors
    /// When the mirror cannot be written.
    pub async fn forget(
        &self,
        agent: AgentId,
        repository: RepositoryId,
    ) -> Result<(), WorkspaceError> {
        self.workspaces.forget_import(repository, &key_of(agent)).await
    }

    /// Takes all workspaces away but those of these agents.
    ///
    /// # Errors
    /// When the folder of workspaces cannot be read.
    pub fn clear_others(&self, staying: impl Iterator<Item = AgentId>) -> std::io::Result<()> {
        let staying: Vec<_> = staying.map(key_of).collect();
        let all = self.workspaces.list()?;
        self.clear_all(all.into_iter().filter(|key| !staying.contains(key)))
    }
}

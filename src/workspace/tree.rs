//! What lies in the tree of a commit, by name.

use git2::{ObjectType, TreeWalkMode, TreeWalkResult};

use super::{Mirror, WorkspaceError, read::lossy};
use crate::model::Sha;

impl Mirror {
    /// The names in the root of a commit's tree.
    ///
    /// # Errors
    /// When the commit is not there.
    pub fn root_names(&self, at: &Sha) -> Result<Vec<String>, WorkspaceError> {
        let tree = self.commit(at)?.tree()?;
        Ok(tree.iter().map(|entry| lossy(entry.name_bytes())).collect())
    }

    /// The files of certain names anywhere in a commit's tree: path and git's hash of the content.
    ///
    /// # Errors
    /// When the commit is not there.
    pub fn files_named(
        &self,
        at: &Sha,
        names: &[&str],
    ) -> Result<Vec<(String, String)>, WorkspaceError> {
        let mut found = Vec::new();
        self.commit(at)?.tree()?.walk(TreeWalkMode::PreOrder, |folder, entry| {
            let named = names.iter().any(|name| name.as_bytes() == entry.name_bytes());
            if named && entry.kind() == Some(ObjectType::Blob) {
                let path = format!("{folder}{}", lossy(entry.name_bytes()));
                found.push((path, entry.id().to_string()));
            }
            TreeWalkResult::Ok
        })?;
        Ok(found)
    }
}

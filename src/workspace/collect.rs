//! Taking away what is kept for later and was not used: base checkouts, by age and by weight.
//!
//! Workspaces are no business of this: they go as soon as their agent has, whatever they weigh. They and
//! the trash count for the weight, so that bases make room for them.

use std::{
    fs, io,
    time::{Duration, SystemTime},
};

use super::{Workspaces, weight::weight};
use crate::model::Keep;

/// A checkout that is not whole after so long was left by a Baton that was killed.
const UNFINISHED: Duration = Duration::from_secs(3600);

/// What was taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many bases.
    pub bases: usize,
    /// What they weighed, in bytes.
    pub bytes: u64,
}

impl Workspaces {
    /// Takes bases away that were not used for longer than is kept, and those not used for longest while
    /// there is more than is kept; never one that a workspace shows. Blocks.
    ///
    /// # Errors
    /// When a folder cannot be read or moved.
    pub fn collect(&self, keep: &Keep, now: SystemTime) -> io::Result<Collected> {
        self.drop_unfinished(now)?;
        let bases = self.list_bases()?;
        let others = ["workspaces", "trash"].map(|name| weight(&self.folder(name)));
        let mut kept: u64 = bases.iter().map(|base| base.bytes).chain(others).sum();
        let age = Duration::from_secs(u64::from(keep.days) * 24 * 3600);
        let mut collected = Collected::default();
        for base in &bases {
            let unused = now.duration_since(base.used).unwrap_or_default();
            if (unused > age || kept > keep.bytes) && self.drop_base(base)? {
                kept = kept.saturating_sub(base.bytes);
                collected.bases += 1;
                collected.bytes += base.bytes;
            }
        }
        Ok(collected)
    }

    fn drop_unfinished(&self, now: SystemTime) -> io::Result<()> {
        let bases = self.folder("bases");
        let mut folders = vec![bases.clone()];
        for repository in fs::read_dir(&bases)? {
            let path = repository?.path();
            folders.extend(path.is_dir().then_some(path));
        }
        for folder in folders {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let unfinished = name.starts_with("making-") || name.starts_with("trial-");
                let made = entry.metadata()?.modified()?;
                if unfinished && now.duration_since(made).unwrap_or_default() > UNFINISHED {
                    self.discard(&entry.path())?;
                }
            }
        }
        Ok(())
    }
}

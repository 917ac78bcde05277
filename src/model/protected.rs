//! Paths that no agent may change.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A set of patterns of paths. As in `.gitignore`, one without a slash means the name in any folder, and
/// one that ends in a slash all that is in that folder. Case does not matter.
#[derive(Debug, Clone, Default)]
pub struct Protected(GlobSet);

impl Protected {
    /// Reads the patterns.
    ///
    /// # Errors
    /// When one is no glob: the text says which.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let rooted = pattern.trim_start_matches('/');
            let mut glob = rooted.to_owned();
            if rooted.ends_with('/') {
                glob.push_str("**");
            } else if !pattern.contains('/') {
                glob.insert_str(0, "**/");
            }
            let glob =
                GlobBuilder::new(&glob).literal_separator(true).case_insensitive(true).build();
            set.add(glob.map_err(|error| error.to_string())?);
        }
        set.build().map(Self).map_err(|error| error.to_string())
    }

    /// Whether a path from the repository's root is one of them.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

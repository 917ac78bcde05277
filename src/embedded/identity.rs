//! The user that the server runs as: Postgres refuses to be root.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::EmbeddedError;

/// The user that exists everywhere and owns nothing.
const NOBODY: Identity = Identity { uid: 65534, gid: 65534 };

/// A user and group to run as. Nothing else on the machine should run as them, agents least of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Identity {
    /// Finds who the server has to run as: nobody in particular unless Baton is root, then the user
    /// `postgres` where there is one.
    #[must_use]
    pub fn of_server() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Some(named(&users, "postgres").unwrap_or(NOBODY))
    }

    /// Checks that the user can enter every folder above one.
    pub(super) fn can_reach(self, folder: &Path) -> Result<(), EmbeddedError> {
        for above in folder.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
            let seen = fs::metadata(above).map_err(EmbeddedError::folder(above))?;
            let bit = match (seen.uid() == self.uid, seen.gid() == self.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if seen.mode() & bit == 0 {
                return Err(EmbeddedError::Unreachable { folder: above.into(), uid: self.uid });
            }
        }
        Ok(())
    }
}

/// Reads a line of the password file: name, password, user id, group id, and more.
fn named(users: &str, name: &str) -> Option<Identity> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (is_it && uid != 0).then_some(Identity { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "root:x:0:0::/:/bin/sh\n\nbroken\npostgres2:x:7:7::/:\npostgres:x:108:110:,,:/:\n";
        assert_eq!(named(users, "postgres"), Some(Identity { uid: 108, gid: 110 }));
        assert_eq!(named(users, "nobody"), None);
    }
}

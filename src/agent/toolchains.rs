//! Programs of the machine that sandboxes see besides those below `/usr`.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::sandbox::Mount;

/// Where programs are found inside.
pub(super) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Folders of tools, shown read-only at the same path.
#[derive(Debug, Clone, Default)]
pub struct Toolchains {
    folders: Vec<PathBuf>,
}

impl Toolchains {
    /// Takes the folders; what cannot be shown is for whoever reads the configuration to say.
    #[must_use]
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// Why a folder cannot be shown, with what to do: it is not there, or closed to other accounts.
    #[must_use]
    pub fn obstacle(folder: &Path) -> Option<String> {
        let shown = folder.display();
        if !folder.is_dir() {
            return Some(format!(
                "{shown} is no folder on this machine: correct `tools` under [sandbox]"
            ));
        }
        let passes = |path: &Path| fs::metadata(path).is_ok_and(|seen| seen.mode() & 0o001 != 0);
        let closed = folder.ancestors().find(|part| !passes(part))?;
        Some(format!(
            "{} is closed to the account that agents run as: install the tool in a folder that every \
             account can pass, such as /opt, or run chmod o+x {0}",
            closed.display()
        ))
    }

    /// `PATH` inside, after folders that go before all others.
    pub(super) fn search_path(&self, before: &[&str]) -> String {
        let own = self.folders.iter().filter_map(|folder| programs(folder));
        let own: Vec<String> = own.map(|folder| folder.display().to_string()).collect();
        let before = before.iter().map(ToString::to_string);
        before.chain(own).chain([SEARCH_PATH.to_owned()]).collect::<Vec<_>>().join(":")
    }

    /// What has to be shown.
    pub(super) fn mounts(&self) -> Vec<Mount> {
        let mount = |folder: &PathBuf| Mount {
            host: folder.clone(),
            inside: folder.clone(),
            writable: false,
        };
        self.folders.iter().map(mount).collect()
    }

    /// Variables that tools in such folders need: rustup's programs look for its toolchains.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let rustup = self.folders.iter().find(|folder| is_rustup_home(folder));
        rustup
            .map(|home| ("RUSTUP_HOME".to_owned(), home.display().to_string()))
            .into_iter()
            .collect()
    }

    /// Whether a program is found inside.
    pub(super) fn has(&self, program: &str) -> bool {
        self.find(program).is_some()
    }

    /// Tells one installation of a program from another: its place, size and time.
    pub(super) fn identity(&self, program: &str) -> String {
        let seen = self.find(program).and_then(|path| Some((fs::metadata(&path).ok()?, path)));
        seen.map_or_else(String::new, |(seen, path)| {
            format!("{} {} {}", path.display(), seen.len(), seen.mtime())
        })
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        let path = self.search_path(&[]);
        let mut named = path.split(':').map(|folder| Path::new(folder).join(program));
        named.find(|path| path.is_file())
    }
}

/// The folder of a tool that holds programs; none in rustup's home.
fn programs(folder: &Path) -> Option<PathBuf> {
    let inner = folder.join("bin");
    if inner.is_dir() {
        return Some(inner);
    }
    (!is_rustup_home(folder)).then(|| folder.to_owned())
}

fn is_rustup_home(folder: &Path) -> bool {
    folder.join("toolchains").is_dir() && folder.join("settings.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_a_tools_folder_or_its_bin_and_before_those_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, nested, rustup] =
            ["plain", "nested", "rustup"].map(|name| folder.path().join(name));
        for made in [&plain, &nested.join("bin"), &rustup.join("toolchains")] {
            fs::create_dir_all(made).unwrap();
        }
        fs::write(rustup.join("settings.toml"), "").unwrap();
        fs::write(nested.join("bin/sh"), "").unwrap();
        let tools = Toolchains::new(vec![plain.clone(), nested.clone(), rustup.clone()]);
        let path = format!("/first:{}:{}/bin:{SEARCH_PATH}", plain.display(), nested.display());
        assert_eq!(tools.search_path(&["/first"]), path);
        assert_eq!(tools.find("sh"), Some(nested.join("bin/sh")));
        assert!(!tools.has("no-such-program"));
        assert_eq!(tools.variables(), [("RUSTUP_HOME".to_owned(), rustup.display().to_string())]);
        assert_eq!(tools.mounts().len(), 3);
    }

    #[test]
    fn a_tools_folder_that_agents_cannot_reach_is_told_with_the_folder_that_is_closed() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let said = Toolchains::obstacle(&inner).unwrap();
        assert!(said.starts_with(&format!("{} is closed", folder.path().display())), "{said}");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(Toolchains::obstacle(&inner), None);
        assert!(Toolchains::obstacle(&inner.join("gone")).unwrap().contains("is no folder"));
    }
}

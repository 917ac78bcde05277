//! Finding the server programs that the machine has.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::EmbeddedError;

/// `initdb` and `postgres` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
}

/// Where packages put versions beside each other; the version is a folder's name.
const VERSIONED: [(&str, &str); 5] = [
    // Debian, Ubuntu.
    ("/usr/lib/postgresql", "bin"),
    // The project's own packages for Fedora and Red Hat: /usr/pgsql-17/bin.
    ("/usr", "bin"),
    // Homebrew on Apple silicon and on Intel.
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    // Alpine: /usr/libexec/postgresql17.
    ("/usr/libexec", ""),
];

/// Finds the programs: those of the version that wrote the data, where there is data.
pub(super) fn find(data: &Path) -> Result<Programs, EmbeddedError> {
    let found: Vec<Programs> = folders().iter().filter_map(|folder| in_folder(folder)).collect();
    let Ok(wanted) = fs::read_to_string(data.join("PG_VERSION")) else {
        let first = found.into_iter().next();
        return first.ok_or_else(|| EmbeddedError::NotInstalled { hint: hint() });
    };
    let wanted = wanted.trim();
    if found.is_empty() {
        return Err(EmbeddedError::NotInstalled { hint: hint() });
    }
    found.into_iter().find(|it| version(&it.postgres).as_deref() == Some(wanted)).ok_or_else(|| {
        EmbeddedError::OtherVersion { folder: data.into(), wanted: wanted.into(), hint: hint() }
    })
}

fn in_folder(folder: &Path) -> Option<Programs> {
    let programs = Programs { initdb: folder.join("initdb"), postgres: folder.join("postgres") };
    (programs.initdb.is_file() && programs.postgres.is_file()).then_some(programs)
}

/// All folders that may hold the programs: as the user has chosen, then newest version first.
fn folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(by_pg_config());
    let mut versioned: Vec<(u32, PathBuf)> =
        VERSIONED.iter().flat_map(|(parent, child)| versions(parent, child)).collect();
    versioned.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    folders.extend(versioned.into_iter().map(|(_, folder)| folder));
    folders
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(folder.trim()))
}

fn versions(parent: &str, child: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let bare = ["postgresql@", "postgresql", "pgsql-", ""]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix)?.parse().ok())?;
        Some((bare, entry.path().join(child)))
    });
    named.collect()
}

/// The major version, as `PG_VERSION` has it: `postgres (PostgreSQL) 15.18 (Debian …)` is `15`.
fn version(postgres: &Path) -> Option<String> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    major(&String::from_utf8(output.stdout).ok()?).map(str::to_owned)
}

fn major(version: &str) -> Option<&str> {
    let number = version.split_whitespace().find(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    number?.split(|c: char| !c.is_ascii_digit()).next()
}

/// What to run to get the programs, on this distribution.
fn hint() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let command = install_command(&release, cfg!(target_os = "macos"));
    format!("install them with `{command}`")
}

fn install_command(release: &str, macos: bool) -> &'static str {
    if macos {
        return "brew install postgresql@17";
    }
    let ids = release.lines().filter_map(|line| {
        line.strip_prefix("ID=")
            .or_else(|| line.strip_prefix("ID_LIKE="))
            .map(|it| it.trim_matches('"'))
    });
    ids.flat_map(str::split_whitespace)
        .find_map(|id| match id {
            "debian" | "ubuntu" => Some("apt-get install postgresql"),
            "fedora" | "rhel" | "centos" => Some("dnf install postgresql-server"),
            "arch" => Some("pacman -S postgresql"),
            "alpine" => Some("apk add postgresql"),
            "suse" | "opensuse" => Some("zypper install postgresql-server"),
            "nixos" => Some("nix-env -iA nixos.postgresql"),
            _ => None,
        })
        .unwrap_or("your package manager's postgresql server package")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_install_command_is_the_distributions() {
        let mint = "NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        assert_eq!(install_command(mint, false), "apt-get install postgresql");
        assert_eq!(
            install_command("ID=rocky\nID_LIKE=\"rhel fedora\"", false),
            "dnf install postgresql-server"
        );
        assert!(install_command("", false).contains("package manager"));
        assert!(install_command("", true).starts_with("brew"));
    }

    #[test]
    fn the_major_version_is_read_from_what_the_program_says() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some("15"));
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some("19"));
        assert_eq!(major("postgres"), None);
    }

    #[test]
    fn a_folder_without_both_programs_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("initdb"), "").unwrap();
        assert_eq!(in_folder(folder.path()), None);
        fs::write(folder.path().join("postgres"), "").unwrap();
        assert!(in_folder(folder.path()).is_some());
    }
}

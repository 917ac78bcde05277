//! Where the programs are that agents are: as npm lays them down, and where every account can run them.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::agent::codex_package;

/// The pinned program as npm lays it down, from the folder that Baton was started in.
#[must_use]
pub fn installed_claude() -> Option<PathBuf> {
    let platform = match std::env::consts::ARCH {
        "aarch64" => "claude-code-linux-arm64",
        _ => "claude-code-linux-x64",
    };
    let path = Path::new("node_modules/@anthropic-ai").join(platform).join("claude");
    path.is_file().then(|| fs::canonicalize(path).ok()).flatten()
}

/// The same of the native `codex` program; npm's own `codex` is a script around it.
#[must_use]
pub fn installed_codex() -> Option<PathBuf> {
    let (package, target) = match std::env::consts::ARCH {
        "aarch64" => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
        _ => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
    };
    let folder = Path::new("node_modules/@openai").join(package).join("vendor").join(target);
    let path = folder.join("bin/codex");
    path.is_file().then(|| fs::canonicalize(path).ok()).flatten()
}

/// What of a codex package its sandboxed program uses, from the package's folder.
const CODEX_PARTS: [&str; 4] =
    ["codex-package.json", "bin/codex", "codex-path/rg", "codex-resources/bwrap"];

/// A path at which every account can read and run a program: its own, or a copy in the data folder
/// where a folder above it is closed, as root's home is.
pub(super) fn reachable(program: &Path, data: &Path) -> anyhow::Result<PathBuf> {
    let program =
        fs::canonicalize(program).with_context(|| format!("looking for {}", program.display()))?;
    if is_open(&program) {
        return Ok(program);
    }
    let name = program.file_name().context("a program has a name")?;
    let copy = data.join("programs").join(name);
    copy_open(&program, &copy)?;
    Ok(copy)
}

/// The same for a `codex` with the programs that lie beside it, where it has some.
pub(super) fn reachable_package(program: &Path, data: &Path) -> anyhow::Result<PathBuf> {
    let program =
        fs::canonicalize(program).with_context(|| format!("looking for {}", program.display()))?;
    let Some(package) = codex_package(&program).filter(|_| !is_open(&program)) else {
        return reachable(&program, data);
    };
    let folder = data.join("programs/codex");
    for part in CODEX_PARTS {
        copy_open(&package.join(part), &folder.join(part))?;
    }
    Ok(folder.join("bin/codex"))
}

/// Whether every account gets through to a program.
fn is_open(program: &Path) -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|seen| seen.mode() & 0o001 != 0);
    program.ancestors().all(open)
}

fn copy_open(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a copy has a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
}

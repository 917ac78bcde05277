//! An uploaded release: checked before a byte of it is written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

/// The most files of one release.
pub const MOST_FILES: usize = 200;
/// The most bytes of all files of one release together.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;
/// The longest path, in bytes.
const LONGEST_PATH: usize = 200;
/// The longest start command, in words.
const MOST_WORDS: usize = 16;

/// What is uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    /// Contents by path.
    files: BTreeMap<String, String>,
    /// The command that starts the program, run in the release's folder.
    start: Vec<String>,
    /// The commit it was made from.
    sha: String,
}

/// An upload that can be written and started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    files: Vec<(PathBuf, String)>,
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) sha: String,
}

impl Release {
    /// Checks an upload; the error is a sentence for who sent it.
    pub(super) fn check(upload: Upload) -> Result<Self, String> {
        let Upload { files, start, sha } = upload;
        let bytes: usize = files.values().map(String::len).sum();
        if files.is_empty() || files.len() > MOST_FILES || bytes > MOST_BYTES {
            return Err(format!(
                "a release has 1 to {MOST_FILES} files of {MOST_BYTES} bytes in all"
            ));
        }
        let is_plain = |character: char| character.is_ascii_alphanumeric();
        if sha.is_empty() || sha.len() > 64 || !sha.chars().all(is_plain) {
            return Err("sha must be 1 to 64 letters and digits".to_owned());
        }
        if start.len() > MOST_WORDS || start.iter().any(|word| word.contains('\0')) {
            return Err(format!("start must be 1 to {MOST_WORDS} words"));
        }
        let mut words = start.into_iter();
        let program =
            words.next().filter(|word| !word.is_empty()).ok_or("start names no program")?;
        let files: Result<_, String> =
            files.into_iter().map(|(path, text)| Ok((relative(&path)?, text))).collect();
        Ok(Self { files: files?, program, arguments: words.collect(), sha })
    }

    /// Writes the files below a folder that does not exist yet.
    pub(super) async fn write(&self, folder: &Path) -> io::Result<()> {
        tokio::fs::create_dir_all(folder).await?;
        for (path, text) in &self.files {
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                tokio::fs::create_dir_all(parent).await?;
            }
            tokio::fs::write(path, text).await?;
        }
        Ok(())
    }
}

/// Lets through a path that stays below the folder it is joined to.
fn relative(path: &str) -> Result<PathBuf, String> {
    let odd = path.is_empty()
        || path.len() > LONGEST_PATH
        || path.contains(['\\', '\0'])
        || path.split('/').any(|part| matches!(part, "" | "." | ".."));
    let parsed = Path::new(path);
    let plain = parsed.components().all(|part| matches!(part, Component::Normal(_)));
    if odd || !plain {
        return Err(format!("{path:?} is no plain relative path"));
    }
    Ok(parsed.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_let_through() {
        for path in ["server.mjs", "src/range.mjs", ".github/baton.yml", "a..b/c"] {
            assert_eq!(relative(path), Ok(PathBuf::from(path)));
        }
        for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "a\0b"] {
            assert!(relative(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn uploads_without_files_or_program_are_refused() {
        let upload = |files: &[(&str, &str)], start: &[&str], sha: &str| Upload {
            files: files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect(),
            start: start.iter().map(ToString::to_string).collect(),
            sha: sha.to_owned(),
        };
        let files = [("a", "text")];
        assert!(Release::check(upload(&files, &["node", "a"], "c41d09a")).is_ok());
        assert!(Release::check(upload(&[], &["node"], "c41d09a")).is_err());
        assert!(Release::check(upload(&files, &[], "c41d09a")).is_err());
        assert!(Release::check(upload(&files, &["node"], "../x")).is_err());
        let large = "x".repeat(MOST_BYTES + 1);
        assert!(Release::check(upload(&[("a", &large)], &["node"], "c41d09a")).is_err());
    }
}

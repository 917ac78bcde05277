//! What sandboxes see of the machine besides its `/usr`.

use std::path::PathBuf;

use serde::Deserialize;

use super::Source;

/// Folders of tools outside of `/usr`.
#[derive(Debug, Clone, Default)]
pub struct SandboxTools {
    /// Each is shown read-only at the same path, and its programs are found.
    pub tools: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tools: Option<Vec<String>>,
}

impl SandboxTools {
    pub(super) fn read(source: &mut Source) -> Self {
        let file: File = source.section("sandbox");
        let mut tools = Vec::new();
        for entry in file.tools.unwrap_or_default() {
            match absolute(&entry, source.variable("HOME")) {
                Some(path) => tools.push(path),
                None => source.mistake(
                    "tools in [sandbox]",
                    format_args!("{entry:?} is no absolute path, and none below `~/`"),
                ),
            }
        }
        Self { tools }
    }
}

/// A path from the root; `~/` is the home of the account that the server runs as.
fn absolute(entry: &str, home: Option<String>) -> Option<PathBuf> {
    let path = match entry.strip_prefix("~/") {
        Some(rest) => PathBuf::from(home?).join(rest),
        None => PathBuf::from(entry),
    };
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    (path.is_absolute() && plain && path.parent().is_some()).then_some(path)
}

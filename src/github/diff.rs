//! Which lines of a pull request a review may remark on.
//!
//! GitHub refuses a whole review (422) for one remark on a line that the diff does not show.

use std::collections::HashMap;
use std::ops::Range;

use serde::Deserialize;

use crate::model::ReviewComment;

/// One changed file of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct FileAnswer {
    filename: String,
    /// The file's hunks; none where it is binary or too large to be shown.
    patch: Option<String>,
}

/// The lines of the new version that the diff shows, by file.
#[derive(Debug, Default)]
pub(super) struct ShownLines {
    files: HashMap<String, Vec<Range<u32>>>,
}

impl ShownLines {
    /// Reads the hunks of all files.
    pub(super) fn of(files: Vec<FileAnswer>) -> Self {
        let lines = |file: FileAnswer| {
            let hunks = file.patch.as_deref().unwrap_or_default().lines().filter_map(hunk);
            (file.filename, hunks.collect())
        };
        Self { files: files.into_iter().map(lines).collect() }
    }

    /// Whether GitHub takes the remark.
    pub(super) fn have(&self, comment: &ReviewComment) -> bool {
        let hunks = self.files.get(&comment.path);
        hunks.is_some_and(|hunks| hunks.iter().any(|hunk| hunk.contains(&comment.line)))
    }
}

/// The lines of the new version in a hunk: `@@ -a,b +c,d @@` shows d lines from c, or one.
fn hunk(line: &str) -> Option<Range<u32>> {
    let new = line.strip_prefix("@@ -")?.split_once(" @@")?.0.split_once(" +")?.1;
    let (start, length) = new.split_once(',').unwrap_or((new, "1"));
    let (start, length): (u32, u32) = (start.parse().ok()?, length.parse().ok()?);
    Some(start..start.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(patch: Option<&str>, line: u32) -> bool {
        let file = FileAnswer { filename: "a.rs".into(), patch: patch.map(str::to_owned) };
        let comment = ReviewComment { finding: 1, path: "a.rs".into(), line, body: String::new() };
        ShownLines::of(vec![file]).have(&comment)
    }

    #[test]
    fn the_lines_of_each_hunk_can_be_remarked_on_and_no_others() {
        let patch = "@@ -1,2 +1,3 @@ fn main() {\n a\n+b\n c\n@@ -40 +41 @@\n-x\n+y\n";
        let lines: Vec<u32> = (0..60).filter(|line| shown(Some(patch), *line)).collect();
        assert_eq!(lines, [1, 2, 3, 41]);
    }

    #[test]
    fn a_file_without_a_patch_and_a_deleted_one_show_nothing() {
        assert!(!shown(None, 1));
        assert!(!shown(Some("@@ -1,2 +0,0 @@\n-a\n-b\n"), 0));
        assert!(!shown(Some("+@@ -1 +1 @@ a line that looks like a hunk"), 1));
    }
}

//! Reads the unified diff in a prompt; fences and prose around it do not matter.

use super::parser::Line;

/// What a diff does to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileDiff {
    /// Its path after the change, or before it if the file is deleted.
    pub(super) path: String,
    /// Lines that come in, with their new numbers.
    pub(super) added: Vec<Line>,
    /// Lines that go.
    pub(super) removed: Vec<String>,
    /// The new file as far as the diff shows it: context and added lines.
    pub(super) shown: Vec<Line>,
}

/// How many lines of the current hunk are still to come, old and new, and the number of the next new line.
#[derive(Debug, Clone, Copy, Default)]
struct Hunk {
    old: usize,
    new: usize,
    number: usize,
}

/// Lists the files that the diffs in a text change.
pub(super) fn files_in(text: &str) -> Vec<FileDiff> {
    split(text).0
}

/// The lines of a text that belong to no diff.
pub(super) fn prose_of(text: &str) -> Vec<&str> {
    split(text).1
}

/// Parts a text into the diffs in it and all other lines.
fn split(text: &str) -> (Vec<FileDiff>, Vec<&str>) {
    let (mut files, mut prose) = (Vec::<FileDiff>::new(), Vec::new());
    let mut before = String::new();
    let mut hunk = Hunk::default();
    for line in text.lines() {
        if let Some(file) = files.last_mut().filter(|_| hunk.old + hunk.new > 0) {
            hunk = take_line(file, hunk, line);
        } else if let Some(path) = line.strip_prefix("--- ") {
            before = plain_path(path);
        } else if let Some(path) = line.strip_prefix("+++ ") {
            let deleted = path.starts_with("/dev/null");
            let path = if deleted { before.clone() } else { plain_path(path) };
            files.push(FileDiff { path, ..FileDiff::default() });
        } else if let Some(header) = line.strip_prefix("@@ -") {
            hunk = hunk_of(header).unwrap_or_default();
        } else {
            prose.push(line);
        }
    }
    (files, prose)
}

/// Sorts one line of a hunk.
fn take_line(file: &mut FileDiff, mut hunk: Hunk, line: &str) -> Hunk {
    let (sign, text) = line.split_at_checked(1).unwrap_or((" ", ""));
    let numbered = Line { number: hunk.number, text: text.to_owned() };
    match sign {
        "-" => {
            hunk.old = hunk.old.saturating_sub(1);
            file.removed.push(text.to_owned());
        }
        "+" => {
            hunk.new = hunk.new.saturating_sub(1);
            hunk.number += 1;
            file.added.push(numbered.clone());
            file.shown.push(numbered);
        }
        "\\" => {}
        _ => {
            hunk.old = hunk.old.saturating_sub(1);
            hunk.new = hunk.new.saturating_sub(1);
            hunk.number += 1;
            file.shown.push(numbered);
        }
    }
    hunk
}

/// Reads what follows `@@ -` in `@@ -17,6 +17,7 @@`; an absent count is 1.
fn hunk_of(header: &str) -> Option<Hunk> {
    let (old, rest) = header.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let count = |part: &str| part.split_once(',').map_or(Some(1), |(_, count)| count.parse().ok());
    let number = new.split(',').next()?.parse().ok()?;
    Some(Hunk { old: count(old)?, new: count(new)?, number })
}

fn plain_path(path: &str) -> String {
    let path = path.split('\t').next().unwrap_or(path).trim();
    path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path).to_owned()
}

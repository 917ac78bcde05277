//! What a unified diff says: files, counts, and which lines a review may comment on.

/// One file of a diff.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileDiff {
    pub path: String,
    pub previous: Option<String>,
    pub status: &'static str,
    pub additions: u64,
    pub deletions: u64,
    pub patch: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    left: Option<u64>,
    right: Option<u64>,
    /// Byte range of the patch: from the hunk's header to the end of this line.
    hunk: (usize, usize),
}

impl FileDiff {
    /// The hunk up to the line, when the diff shows that line on that side (`LEFT` or `RIGHT`).
    pub(crate) fn hunk_at(&self, side: &str, number: u64) -> Option<String> {
        let line = self.lines.iter().find(|line| {
            if side == "LEFT" { line.left == Some(number) } else { line.right == Some(number) }
        })?;
        Some(self.patch[line.hunk.0..line.hunk.1].trim_end().to_owned())
    }
}

/// Reads git's unified diff.
pub(crate) fn parse(text: &str) -> Vec<FileDiff> {
    let mut files = Vec::new();
    for section in format!("\n{text}").split("\ndiff --git ").skip(1) {
        files.push(parse_file(section));
    }
    files
}

fn parse_file(section: &str) -> FileDiff {
    let start = section.find("\n@@ ").map_or(section.len(), |at| at + 1);
    let mut file = FileDiff { status: "modified", ..FileDiff::default() };
    read_header(&section[..start], &mut file);
    section[start..].clone_into(&mut file.patch);
    read_hunks(&mut file);
    file
}

fn read_header(header: &str, file: &mut FileDiff) {
    let first = header.lines().next().unwrap_or_default();
    // `a/x b/x`: both halves are alike unless the file was renamed, which has its own lines.
    file.path = first.get(first.len() / 2 + 3..).unwrap_or_default().to_owned();
    for line in header.lines() {
        if line.starts_with("new file") {
            file.status = "added";
        } else if line.starts_with("deleted file") {
            file.status = "removed";
        } else if let Some(from) = line.strip_prefix("rename from ") {
            file.status = "renamed";
            file.previous = Some(from.to_owned());
        } else if let Some(to) = line.strip_prefix("rename to ") {
            to.clone_into(&mut file.path);
        }
    }
}

fn read_hunks(file: &mut FileDiff) {
    let (mut left, mut right, mut hunk, mut at) = (0, 0, 0, 0);
    for line in file.patch.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let (mut on_left, mut on_right) = (None, None);
        match line.as_bytes().first() {
            Some(b'@') => {
                (left, right) = hunk_start(line);
                hunk = start;
                continue;
            }
            Some(b'+') => on_right = Some(right),
            Some(b'-') => on_left = Some(left),
            Some(b' ') => (on_left, on_right) = (Some(left), Some(right)),
            _ => continue,
        }
        left += u64::from(on_left.is_some());
        right += u64::from(on_right.is_some());
        file.additions += u64::from(on_left.is_none());
        file.deletions += u64::from(on_right.is_none());
        file.lines.push(Line { left: on_left, right: on_right, hunk: (hunk, at) });
    }
}

/// The first line numbers of `@@ -left,n +right,n @@`.
fn hunk_start(line: &str) -> (u64, u64) {
    let mut numbers = line.split_whitespace().skip(1).take(2).map(|range| {
        let digits = range.trim_start_matches(['-', '+']).split(',').next().unwrap_or_default();
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "diff --git a/src/a.rs b/src/a.rs\nindex 1..2 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n";

    #[test]
    fn lines_of_a_hunk_are_known_by_side() {
        let files = parse(TEXT);
        assert_eq!(files[0].path, "src/a.rs");
        assert_eq!((files[0].additions, files[0].deletions), (1, 1));
        assert!(files[0].hunk_at("RIGHT", 2).is_some_and(|hunk| hunk.ends_with("+zwei")));
        assert!(files[0].hunk_at("LEFT", 2).is_some_and(|hunk| hunk.ends_with("-two")));
        assert_eq!(files[0].hunk_at("RIGHT", 4), None);
    }
}

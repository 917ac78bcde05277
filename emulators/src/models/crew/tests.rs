//! Judges the tests of the range parser from their text.

/// Where the parser's tests are.
pub(super) const TESTS: &str = "test/range.test.mjs";

/// Which ranges the tests ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Coverage {
    /// `bytes=500-`
    pub(super) open: bool,
    /// `bytes=9-2`
    pub(super) reversed: bool,
}

impl Coverage {
    /// Looks at every `bytes=first-last` in the text.
    pub(super) fn of(text: &str) -> Self {
        let mut coverage = Self::default();
        for asked in text.split("bytes=").skip(1) {
            let (first, rest) = digits(asked);
            let Some(rest) = rest.strip_prefix('-') else { continue };
            let (last, rest) = digits(rest);
            let ends = rest.starts_with(['"', '\'', '`']);
            match (first, last) {
                (Some(_), None) if ends => coverage.open = true,
                (Some(first), Some(last)) if ends && last < first => coverage.reversed = true,
                _ => {}
            }
        }
        coverage
    }
}

/// Whether a path is that of tests.
pub(super) fn is_test(path: &str) -> bool {
    path.starts_with("test/") || path.contains(".test.")
}

/// The number at the start of a text, and what follows it.
fn digits(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), &text[end..])
}

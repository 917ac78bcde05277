//! What the reviewer can find, in words; the coder knows its findings by their titles.

use serde_json::{Value, json};

use super::parser::{Flaw, Line};

/// A kind of finding; one change has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The parser is wrong.
    Parser(Flaw),
    /// There are fewer tests than before.
    TestsRemoved,
    /// No test asks for an open range.
    OpenUntested,
    /// No test asks for a reversed range.
    ReversedUntested,
}

/// Every kind.
pub(super) const KINDS: [Kind; 8] = [
    Kind::Parser(Flaw::Absent),
    Kind::Parser(Flaw::OpenRange),
    Kind::Parser(Flaw::ClosedRange),
    Kind::Parser(Flaw::BehindTheEnd),
    Kind::Parser(Flaw::Reversed),
    Kind::TestsRemoved,
    Kind::OpenUntested,
    Kind::ReversedUntested,
];

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) path: String,
    pub(super) line: Line,
}

impl Kind {
    /// The finding in a few words; it is what names the finding everywhere.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Parser(Flaw::Absent) => "The range parser is gone",
            Self::Parser(Flaw::OpenRange) => "An open range still loses the last byte",
            Self::Parser(Flaw::ClosedRange) => "A closed range does not end with its last byte",
            Self::Parser(Flaw::BehindTheEnd) => "A range behind the end is not refused",
            Self::Parser(Flaw::Reversed) => "A reversed range makes the server answer 500",
            Self::TestsRemoved => "The change removes tests",
            Self::OpenUntested => "No test asks for an open range",
            Self::ReversedUntested => "No test asks for a reversed range",
        }
    }

    /// Whether the change must not go in with it.
    pub(super) fn must_fix(self) -> bool {
        self != Self::ReversedUntested
    }

    fn body(self) -> &'static str {
        match self {
            Self::Parser(Flaw::Absent) => {
                "I find no `parseRange` that turns a header into an interval, so nothing serves ranges any more."
            }
            Self::Parser(Flaw::OpenRange) => {
                "`end` is the first byte that is not sent. For `bytes=500-` of 1000 bytes it has to be `size`, 1000; here it \
                 is not, so the answer is a byte short, and `bytes=999-` is refused altogether."
            }
            Self::Parser(Flaw::ClosedRange) => {
                "`bytes=100-149` names its last byte, so `end` has to be `Number(last) + 1`; the issue wants closed ranges to stay as they are."
            }
            Self::Parser(Flaw::BehindTheEnd) => {
                "`bytes=1000-` of 1000 bytes gives an empty interval here instead of `UNSATISFIABLE`; the issue wants 416."
            }
            Self::Parser(Flaw::Reversed) => {
                "`bytes=9-2` gives `{ start: 9, end: 3 }` here. `createReadStream` throws for an end before the start, and the \
                 server answers 500. Before this change the comparison of `start` and `end` refused such a range with 416, \
                 and the issue asks that it stays so."
            }
            Self::TestsRemoved => {
                "There are fewer tests after this change than before. What they guarded is still promised: put them back, \
                 or say why it no longer holds."
            }
            Self::OpenUntested => {
                "The bug got in because nothing asks for `bytes=500-`; the issue wants tests for it."
            }
            Self::ReversedUntested => "A test with `bytes=9-2` would keep this from coming back.",
        }
    }
}

impl Finding {
    /// The finding as the outcome holds it.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "severity": if self.kind.must_fix() { "must_fix" } else { "suggestion" },
            "path": self.path,
            "line": self.line.number,
            "title": self.kind.title(),
            "body": self.kind.body(),
            "suggestion": self.suggestion(),
        })
    }

    /// The line that should stand in place of the line pointed at, where that is all it takes.
    fn suggestion(&self) -> Option<String> {
        let text = &self.line.text;
        match self.kind {
            Kind::Parser(Flaw::OpenRange) if text.contains("? size - 1 :") => {
                Some(text.replace("? size - 1 :", "? size :"))
            }
            Kind::Parser(Flaw::Reversed | Flaw::BehindTheEnd)
                if text.trim() == "return { start, end };" =>
            {
                Some(text.replace(
                    "return { start, end };",
                    "return start < end ? { start, end } : UNSATISFIABLE;",
                ))
            }
            _ => None,
        }
    }
}

/// The kinds whose titles a text holds beside an id (`F1`), on the same line or the line before: the
/// same words in a plan name no finding.
pub(super) fn named_in(text: &str) -> Vec<Kind> {
    let lines: Vec<&str> = text.lines().collect();
    let named = |kind: &Kind| {
        lines.iter().enumerate().any(|(at, line)| {
            let before = at.checked_sub(1).map_or("", |before| lines[before]);
            line.contains(kind.title()) && !(ids_in(line).is_empty() && ids_in(before).is_empty())
        })
    };
    KINDS.into_iter().filter(named).collect()
}

/// The ids of findings (`F1`, `F12`) in a line, in order.
pub(super) fn ids_in(line: &str) -> Vec<String> {
    let words = line.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| is_id(word)).map(str::to_owned).collect()
}

fn is_id(word: &str) -> bool {
    word.strip_prefix('F').is_some_and(|number| {
        !number.is_empty() && number.chars().all(|character| character.is_ascii_digit())
    })
}

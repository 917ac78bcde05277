//! Which edits the coder makes, computed from the files as they were read.
//!
//! Asked for the first time it makes a mistake that people make: it rewrites the end of the parser, and the
//! comparison that refused reversed ranges is lost. In rework it is careful.

use serde_json::{Value, json};

use super::findings::named_in;
use super::parser::{PARSER, flaws, lines_of};
use super::tests::{Coverage, TESTS};
use super::turn::Turn;

/// The two lines of the shipped parser that matter.
const SHIPPED: &str = "  const end = last === \"\" ? size - 1 : Math.min(Number(last) + 1, size);
  return start < end ? { start, end } : UNSATISFIABLE;
";

/// What the hasty edit makes of them.
const HASTY: &str = "  if (start >= size) return UNSATISFIABLE;
  const end = last === \"\" ? size : Math.min(Number(last) + 1, size);
  return { start, end };
";

/// The right ending of the parser.
const GUARDED: &str = "return start < end ? { start, end } : UNSATISFIABLE;";

/// New tests go before this one.
const TEST_ANCHOR: &str = "test(\"other units and several ranges are left alone\"";

const OPEN_TEST: &str = "test(\"an open range reaches the last byte\", () => {
  assert.deepEqual(parseRange(\"bytes=500-\", 1000), { start: 500, end: 1000 });
  assert.deepEqual(parseRange(\"bytes=999-\", 1000), { start: 999, end: 1000 });
});

test(\"an open range behind the end cannot be satisfied\", () => {
  assert.equal(parseRange(\"bytes=1000-\", 1000), UNSATISFIABLE);
});

";

const REVERSED_TEST: &str = "test(\"a reversed range cannot be satisfied\", () => {
  assert.equal(parseRange(\"bytes=9-2\", 1000), UNSATISFIABLE);
});

";

const README_ANCHOR: &str = "| `GET /ruler.txt` with `Range: bytes=-100` |";
const README_ROW: &str =
    "| `GET /ruler.txt` with `Range: bytes=500-` | 206 and everything from byte 500 on |\n";

/// One use of a tool that changes a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edit {
    pub(super) say: &'static str,
    pub(super) tool: &'static str,
    pub(super) input: Value,
}

/// Whether this is rework: the prompt holds findings of a review or failed checks, or an earlier round left its fix
/// and its test.
pub(super) fn is_rework(turn: &Turn<'_>) -> bool {
    let prompt = &turn.prompt;
    let failed = prompt.lines().any(|line| line.trim_start().starts_with("FAIL "));
    let fixed = turn.read(PARSER).text().is_some_and(|text| text.contains(HASTY));
    let tested = turn.read(TESTS).text().is_some_and(|text| Coverage::of(text).open);
    failed || !named_in(prompt).is_empty() || (fixed && tested)
}

/// Whether a text asks to say something in the README.
pub(super) fn wants_readme(prompt: &str) -> bool {
    prompt.to_lowercase().contains("the readme")
}

/// Lists the edits to make, in order; empty when nothing is left to do.
pub(super) fn edits(turn: &Turn<'_>) -> Vec<Edit> {
    let parser = turn.read(PARSER).text().map(str::to_owned).unwrap_or_default();
    let tests = turn.read(TESTS).text().map(str::to_owned).unwrap_or_default();
    let rework = is_rework(turn);
    let mut edits = parser_edits(turn, &parser, rework);
    edits.extend(test_edit(turn, &tests, rework));
    if let Some(readme) = turn.read("README.md").text() {
        edits.extend(readme_edit(turn, readme));
    }
    edits
}

fn parser_edits(turn: &Turn<'_>, parser: &str, rework: bool) -> Vec<Edit> {
    let edit = |say, old: &str, new: &str| Edit {
        say,
        tool: "Edit",
        input: json!({"file_path": turn.full_path(PARSER), "old_string": old, "new_string": new}),
    };
    if !rework {
        let hasty =
            edit("Where no last position is asked for, the file ends the range.", SHIPPED, HASTY);
        return if parser.contains(SHIPPED) { vec![hasty] } else { Vec::new() };
    }
    let mut edits = Vec::new();
    if parser.contains("? size - 1 :") {
        let say = "An open range ends where the file ends.";
        edits.push(edit(say, "? size - 1 :", "? size :"));
    }
    let unguarded =
        lines_of(parser).into_iter().find(|line| line.text == "  return { start, end };");
    if unguarded.is_some() && !flaws(&lines_of(parser)).is_empty() {
        let say = "An interval that ends before it starts is refused again.";
        edits.push(edit(say, "return { start, end };", GUARDED));
    }
    edits
}

/// Adds the tests that are missing; the one for reversed ranges only in rework.
fn test_edit(turn: &Turn<'_>, tests: &str, rework: bool) -> Option<Edit> {
    let coverage = Coverage::of(tests);
    let open = if coverage.open { "" } else { OPEN_TEST };
    let reversed = if coverage.reversed || !rework { "" } else { REVERSED_TEST };
    let new = format!("{open}{reversed}");
    if new.is_empty() || tests.is_empty() {
        return None;
    }
    let (say, path) = ("Now the tests that were missing.", turn.full_path(TESTS));
    Some(if tests.contains(TEST_ANCHOR) {
        let replaced = format!("{new}{TEST_ANCHOR}");
        let input = json!({"file_path": path, "old_string": TEST_ANCHOR, "new_string": replaced});
        Edit { say, tool: "Edit", input }
    } else {
        let whole = format!("{}\n\n{}\n", tests.trim_end(), new.trim_end());
        Edit { say, tool: "Write", input: json!({"file_path": path, "content": whole}) }
    })
}

fn readme_edit(turn: &Turn<'_>, readme: &str) -> Option<Edit> {
    let wanted = readme.contains(README_ANCHOR) && !readme.contains("bytes=500-");
    wanted.then(|| Edit {
        say: "The README's table gets a row for open ranges.",
        tool: "Edit",
        input: json!({
            "file_path": turn.full_path("README.md"),
            "old_string": README_ANCHOR,
            "new_string": format!("{README_ROW}{README_ANCHOR}"),
        }),
    })
}

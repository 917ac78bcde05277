//! Judges the range parser from its text: what the sample's `src/range.mjs` does with ranges.
//!
//! It looks for the ways to write the code that this project knows. A text that it cannot read is judged flawed,
//! never right.

/// Where the parser is.
pub(super) const PARSER: &str = "src/range.mjs";

/// What is wrong with the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// There is no parser in the text.
    Absent,
    /// `bytes=500-` ends one byte early.
    OpenRange,
    /// `bytes=100-149` is not 50 bytes.
    ClosedRange,
    /// `bytes=1000-` of 1000 bytes is not refused.
    BehindTheEnd,
    /// `bytes=9-2` is not refused.
    Reversed,
}

/// A line of a file, with its number from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

impl Line {
    /// The code of the line: no comment, no white space.
    fn code(&self) -> String {
        let trimmed = self.text.trim_start();
        let comment = trimmed.starts_with('*') || trimmed.starts_with("/*");
        let code = if comment { "" } else { trimmed.split("//").next().unwrap_or_default() };
        code.chars().filter(|character| !character.is_whitespace()).collect()
    }
}

/// The lines of a whole file.
pub(super) fn lines_of(text: &str) -> Vec<Line> {
    let numbered = text.lines().enumerate();
    numbered.map(|(index, line)| Line { number: index + 1, text: line.to_owned() }).collect()
}

/// Lists what is wrong, each with the line to point at.
pub(super) fn flaws(lines: &[Line]) -> Vec<(Flaw, Line)> {
    let body = body(lines);
    let code: Vec<String> = body.iter().map(Line::code).collect();
    let all = code.concat();
    let line = |parts: &[&str]| {
        let index = code.iter().position(|line| contains_any(line, parts)).unwrap_or(0);
        body.get(index).cloned().unwrap_or(Line { number: 1, text: String::new() })
    };
    if !all.contains("start") || !all.contains("last") {
        return vec![(Flaw::Absent, line(&[]))];
    }
    let mut flaws = Vec::new();
    if !serves_open_ranges(&all) {
        flaws.push((Flaw::OpenRange, line(&["last===\"\"", "size-1"])));
    }
    if !all.contains("Number(last)+1") {
        flaws.push((Flaw::ClosedRange, line(&["Number(last)"])));
    }
    let result = line(&["return{start,end}", "{start,end}"]);
    let ordered = refuses(&code, &ORDER_GUARDS);
    if !ordered && !refuses(&code, &END_GUARDS) {
        flaws.push((Flaw::BehindTheEnd, result.clone()));
    }
    if !ordered && !refuses(&code, &REVERSED_GUARDS) {
        flaws.push((Flaw::Reversed, result));
    }
    flaws
}

/// Whether a comparison leads to a refusal, on its line or the next.
fn refuses(code: &[String], guards: &[&str]) -> bool {
    let refusal = |index: usize| code.get(index).is_some_and(|line| line.contains("UNSATISFIABLE"));
    let mut lines = code.iter().enumerate();
    lines.any(|(index, line)| contains_any(line, guards) && (refusal(index) || refusal(index + 1)))
}

/// Refuses every empty interval: reversed ranges and ranges behind the end.
const ORDER_GUARDS: [&str; 4] = ["start<end", "start>=end", "end<=start", "end>start"];
/// Refuses ranges behind the end.
const END_GUARDS: [&str; 4] = ["start>=size", "size<=start", "start<size", "size>start"];
/// Refuses reversed ranges.
const REVERSED_GUARDS: [&str; 4] =
    ["Number(last)<start", "start>Number(last)", "Number(first)>Number(last)", "last<start"];

/// Whether an absent last position means the end of the file.
fn serves_open_ranges(code: &str) -> bool {
    let fixed = [
        "last===\"\"?size:",
        "!last?size:",
        "if(last===\"\")return{start,end:size}",
        "if(last===\"\")end=size;",
    ];
    contains_any(code, &fixed) && !code.contains("?size-1:")
}

/// The lines of the parsing function; all lines if only a part of the file is known.
fn body(lines: &[Line]) -> Vec<Line> {
    let is_start = |line: &Line| line.text.contains("function parseRange");
    let Some(start) = lines.iter().position(is_start) else { return lines.to_vec() };
    let function = &lines[start..];
    let length = function.iter().position(|line| line.text.trim_end() == "}");
    function[..length.unwrap_or(function.len())].to_vec()
}

fn contains_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    /// The kinds of flaws after the last two lines of the shipped parser are replaced.
    fn judged(ending: &str) -> Vec<Flaw> {
        let files = sample::files();
        let parser = files.iter().find(|file| file.path == PARSER).unwrap().contents;
        let (before, rest) = parser.split_once("  const end =").unwrap();
        let (_, after) = rest.split_once("UNSATISFIABLE;\n").unwrap();
        let text = format!("{before}{ending}\n{after}");
        flaws(&lines_of(&text)).into_iter().map(|(flaw, _)| flaw).collect()
    }

    const CLOSED: &str = "Math.min(Number(last) + 1, size);";

    #[test]
    fn right_ways_to_write_the_ending_have_no_flaw() {
        let ternary = format!("  const end = last === \"\" ? size : {CLOSED}");
        for ending in [
            "  return start < end ? { start, end } : UNSATISFIABLE;",
            "  if (start >= end) return UNSATISFIABLE;\n  return { start, end };",
            "  if (end <= start) {\n    return UNSATISFIABLE;\n  }\n  return { start, end };",
            "  if (start >= size) return UNSATISFIABLE;\n  if (last !== \"\" && Number(last) < start) return UNSATISFIABLE;\n  return { start, end };",
        ] {
            assert_eq!(judged(&format!("{ternary}\n{ending}")), [], "{ending}");
        }
        let early = "  if (last === \"\") return { start, end: size };";
        let guarded = format!(
            "  if (start >= size) return UNSATISFIABLE;\n{early}\n  const end = {CLOSED}\n  return start < end ? {{ start, end }} : UNSATISFIABLE;"
        );
        assert_eq!(judged(&guarded), []);
    }

    #[test]
    fn wrong_ways_are_told_apart() {
        let ends = |open: &str, closed: &str, rest: &str| {
            judged(&format!("  const end = last === \"\" ? {open} : {closed}\n{rest}"))
        };
        let guarded = "  return start < end ? { start, end } : UNSATISFIABLE;";
        assert_eq!(ends("size - 1", CLOSED, guarded), [Flaw::OpenRange]);
        assert_eq!(ends("size + 1", CLOSED, guarded), [Flaw::OpenRange]);
        assert_eq!(ends("size", "Math.min(Number(last), size);", guarded), [Flaw::ClosedRange]);
        let bare = "  return { start, end };";
        assert_eq!(ends("size", CLOSED, bare), [Flaw::BehindTheEnd, Flaw::Reversed]);
        let ignored = "  return start < end ? { start, end } : null;";
        assert_eq!(ends("size", CLOSED, ignored), [Flaw::BehindTheEnd, Flaw::Reversed]);
        let hasty = format!("  if (start >= size) return UNSATISFIABLE;\n{bare}");
        assert_eq!(ends("size", CLOSED, &hasty), [Flaw::Reversed]);
        let comment = format!("  // start < end, else UNSATISFIABLE\n{bare}");
        assert_eq!(ends("size", CLOSED, &comment), [Flaw::BehindTheEnd, Flaw::Reversed]);
        assert_eq!(flaws(&[]).len(), 1);
    }
}

//! Shows text that somebody else wrote so that GitHub does nothing with it.
//!
//! Agents, issues and command output are quoted in comments that carry the App's name. Whatever they
//! hold, the quotation notifies nobody, closes or links no issue, loads no image, holds no box to
//! tick, gives no command and does not end the block it stands in. It is no sanitiser for HTML pages.
//! Markdown that is left alive: emphasis, lists, quotes, code spans, fenced code.
//!
//! The text is read into pieces and written anew, so that what counts as code here is code on GitHub.

use crate::model::Untrusted;

/// Splits a mention or reference in two, so that no text node of the page holds it whole.
const SPLIT: &str = "<!-- -->";

/// Languages that may be named at a fence. `suggestion` would be a button, `mermaid` a drawing.
const LANGUAGES: [&str; 22] = [
    "bash", "c", "cpp", "css", "diff", "go", "html", "java", "js", "json", "kotlin", "php",
    "python", "ruby", "rust", "sh", "sql", "swift", "toml", "ts", "xml", "yaml",
];

/// Quotes a text of several lines, of which at most `limit` characters are kept.
#[must_use]
pub fn block(text: &Untrusted, limit: usize) -> String {
    let text = clip(text.visible().trim(), limit);
    let mut lines = text.lines();
    let mut out: Vec<String> = Vec::new();
    while let Some(line) = lines.next() {
        match fence_opening(line) {
            Some((mark, language)) => {
                let inside: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| !line.trim_start().starts_with(&mark))
                    .collect();
                out.push(fence(&inside.join("\n"), language));
            }
            None => out.push(harmless_line(line)),
        }
    }
    out.join("\n")
}

/// Quotes a text as one line.
#[must_use]
pub fn line(text: &Untrusted, limit: usize) -> String {
    inline(&clip(&one_line(&text.visible()), limit))
}

/// Quotes a text as one line where GitHub reads no Markdown: titles, descriptions.
///
/// A title can become a commit message, where mentions and references count: a space parts them.
#[must_use]
pub fn plain(text: &Untrusted, limit: usize) -> String {
    let text = one_line(&text.visible());
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        let follows = chars.peek().copied().unwrap_or(' ');
        if is_reference(c, follows, &out) {
            out.push(' ');
        }
    }
    clip(&out, limit)
}

/// Shows a path, a command or a branch as a code span.
#[must_use]
pub fn code(text: &str) -> String {
    let text = one_line(&Untrusted::from(text).as_code());
    let mark = "`".repeat(longest_run(&text) + 1);
    let pad =
        if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{mark}{pad}{text}{pad}{mark}")
}

/// Shows a text as a fenced block that it cannot end; `language` may be empty.
#[must_use]
pub fn fence(text: &str, language: &str) -> String {
    let text = Untrusted::from(text).as_code();
    let mark = "`".repeat((longest_run(&text) + 1).max(3));
    let lines: Vec<String> = text.lines().map(no_command).collect();
    format!("{mark}{language}\n{}\n{mark}", lines.join("\n"))
}

/// Cuts to `limit` characters with an ellipsis; to be done before a text is quoted, never after.
#[must_use]
pub fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(2)).collect();
    format!("{} …", kept.trim_end())
}

/// Length of the longest run of backticks.
#[must_use]
pub fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The mark and language of a fence that opens here.
fn fence_opening(line: &str) -> Option<(String, &'static str)> {
    let line = line.trim_start();
    let first = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let mark: String = line.chars().take_while(|c| *c == first).collect();
    let info = line[mark.len()..].trim();
    if mark.len() < 3 || info.contains('`') {
        return None;
    }
    let language = LANGUAGES.into_iter().find(|known| *known == info).unwrap_or("");
    Some((mark, language))
}

/// Programs that read raw comments take a word after a slash at the start of a line for a command.
fn no_command(line: &str) -> String {
    let word = line
        .trim_start()
        .strip_prefix('/')
        .map(|rest| rest.split(char::is_whitespace).next().unwrap_or("").to_owned());
    match word {
        Some(word) if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '-') => {
            line.replacen('/', "\u{2215}", 1)
        }
        _ => line.to_owned(),
    }
}

fn harmless_line(line: &str) -> String {
    let (lead, rest) = split_lead(line);
    let rule = !rest.is_empty() && rest.chars().all(|c| matches!(c, '-' | '=' | '*' | '_' | ' '));
    if rule {
        return format!("{lead}\\{rest}");
    }
    let shown = inline(rest);
    let escape = if shown.starts_with(['#', '/']) { "\\" } else { "" };
    format!("{lead}{escape}{shown}")
}

/// Parts list and quote marks from what they hold; deep indentation would make code of it.
fn split_lead(line: &str) -> (String, &str) {
    let indent = line.chars().take_while(|c| c.is_whitespace()).count().min(3);
    let mut lead = " ".repeat(indent);
    let mut rest = line.trim();
    while let Some((mark, after)) = list_or_quote(rest) {
        lead.push_str(mark);
        lead.push(' ');
        rest = after.trim_start();
    }
    (lead, rest)
}

fn list_or_quote(text: &str) -> Option<(&str, &str)> {
    if let Some(after) = text.strip_prefix('>') {
        return Some((">", after));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let width = if digits == 0 {
        usize::from(text.starts_with(['-', '*', '+']))
    } else {
        digits + usize::from(text[digits..].starts_with(['.', ')']))
    };
    let listed = width > digits && digits < 10 && text[width..].starts_with(' ');
    listed.then(|| text.split_at(width))
}

/// Writes one line's text anew: code spans stay, addresses become code, the rest is escaped.
fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut word_starts = true;
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            rest = push_ticks(&mut out, rest);
            word_starts = true;
            continue;
        }
        if let Some(address) = word_starts.then(|| address(rest)).flatten() {
            push_code(&mut out, address);
            rest = &rest[address.len()..];
            word_starts = false;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        push_char(&mut out, c, rest.chars().next().unwrap_or(' '));
        word_starts = c.is_whitespace();
    }
    out
}

/// Writes a code span if the run of backticks is closed by one of its length, else the run escaped.
fn push_ticks<'a>(out: &mut String, text: &'a str) -> &'a str {
    let width = text.len() - text.trim_start_matches('`').len();
    let after = &text[width..];
    let Some(end) = closing_run(after, width) else {
        out.push_str(&"\\`".repeat(width));
        return after;
    };
    push_code(out, &after[..end]);
    &after[end + width..]
}

fn closing_run(text: &str, width: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find('`').map(|found| at + found) {
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        if run == width {
            return Some(start);
        }
        at = start + run;
    }
    None
}

/// A code span must not touch another backtick, or the runs would be read as one.
fn push_code(out: &mut String, text: &str) {
    if out.ends_with('`') {
        out.push(' ');
    }
    out.push_str(&code(text));
}

/// The word that begins here, if it holds an address that GitHub would link or load.
fn address(text: &str) -> Option<&str> {
    let word = text.split(|c: char| c.is_whitespace() || c == '`').next()?;
    let lower = word.to_ascii_lowercase();
    let word = word.trim_end_matches(['.', ',', ';', ':']);
    (lower.contains("://") || lower.contains("www.")).then_some(word).filter(|w| !w.is_empty())
}

fn push_char(out: &mut String, c: char, follows: char) {
    match c {
        '<' => out.push_str("&lt;"),
        '&' => out.push_str("&amp;"),
        '\\' | '[' | ']' => out.extend(['\\', c]),
        '~' if follows == '~' || out.ends_with('~') => out.push_str("\\~"),
        '$' if !follows.is_ascii_digit() => out.push_str("\\$"),
        _ => {
            out.push(c);
            if is_reference(c, follows, out) {
                out.push_str(SPLIT);
            }
        }
    }
}

/// Whether `c` and what follows would begin a mention or a reference to an issue.
fn is_reference(c: char, follows: char, before: &str) -> bool {
    match c {
        '@' => !follows.is_whitespace(),
        '#' => follows.is_ascii_digit(),
        '-' => follows.is_ascii_digit() && before.to_ascii_lowercase().ends_with("gh-"),
        _ => false,
    }
}

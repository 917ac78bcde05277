//! Which parts of a comment are its writer's own, visible words.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// HTML elements whose content is code or somebody else's words, or not shown.
const QUOTING: [&str; 8] = ["blockquote", "code", "del", "pre", "s", "script", "style", "textarea"];

/// A text with the byte ranges of what its writer visibly says.
pub(super) struct Prose {
    said: Vec<Range<usize>>,
    hidden: Vec<Range<usize>>,
}

impl Prose {
    /// Reads a Markdown text. Code, quotes, tables, pictures, link titles and HTML comments are
    /// none of the writer's words; an HTML comment that nothing closes goes to the end.
    pub fn of(text: &str) -> Self {
        let mut reading = Reading::default();
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            reading.take(&event, range);
        }
        let mut hidden = html_comments(text, &reading.code);
        hidden.extend(quoted_by_html(text, &reading.html, &hidden));
        Self { said: reading.said, hidden }
    }

    /// Whether what stands at this byte is said.
    pub fn says(&self, at: usize) -> bool {
        let within = |ranges: &[Range<usize>]| ranges.iter().any(|range| range.contains(&at));
        within(&self.said) && !within(&self.hidden)
    }
}

#[derive(Default)]
struct Reading {
    /// How many enclosing elements take the words away.
    inside: usize,
    said: Vec<Range<usize>>,
    html: Vec<Range<usize>>,
    code: Vec<Range<usize>>,
}

impl Reading {
    fn take(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(tag) if takes_away(tag) => {
                if matches!(tag, Tag::CodeBlock(_)) {
                    self.code.push(range);
                }
                self.inside += 1;
            }
            Event::End(tag) if ends_taking_away(*tag) => {
                self.inside = self.inside.saturating_sub(1);
            }
            Event::Code(_) => self.code.push(range),
            Event::Html(_) | Event::InlineHtml(_) => {
                self.html.push(range.clone());
                self.say(range);
            }
            Event::Text(_) => self.say(range),
            _ => {}
        }
    }

    fn say(&mut self, range: Range<usize>) {
        if self.inside == 0 {
            self.said.push(range);
        }
    }
}

fn takes_away(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::CodeBlock(_)
            | Tag::BlockQuote(_)
            | Tag::Table(_)
            | Tag::Image { .. }
            | Tag::Strikethrough
            | Tag::MetadataBlock(_)
    )
}

fn ends_taking_away(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::CodeBlock
            | TagEnd::BlockQuote(_)
            | TagEnd::Table
            | TagEnd::Image
            | TagEnd::Strikethrough
            | TagEnd::MetadataBlock(_)
    )
}

/// HTML comments outside of code; one that nothing closes goes to the end.
fn html_comments(text: &str, code: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut comments: Vec<Range<usize>> = Vec::new();
    for (start, _) in text.match_indices("<!--") {
        let within_last = comments.last().is_some_and(|last| last.contains(&start));
        if within_last || code.iter().any(|code| code.contains(&start)) {
            continue;
        }
        let end = text[start..].find("-->").map_or(text.len(), |length| start + length + 3);
        comments.push(start..end);
    }
    comments
}

/// What stands between the tags of quoting elements; one that nothing closes goes to the end.
fn quoted_by_html(
    text: &str,
    html: &[Range<usize>],
    comments: &[Range<usize>],
) -> Vec<Range<usize>> {
    let mut quoted = Vec::new();
    let (mut depth, mut since) = (0_usize, 0);
    for (at, opens) in html.iter().flat_map(|range| quoting_tags(text, range)) {
        if comments.iter().any(|comment| comment.contains(&at)) {
            continue;
        }
        if opens {
            since = if depth == 0 { at } else { since };
            depth += 1;
        } else if depth > 0 {
            depth -= 1;
            if depth == 0 {
                quoted.push(since..at);
            }
        }
    }
    if depth > 0 {
        quoted.push(since..text.len());
    }
    quoted
}

/// Where quoting elements open (true) and close (false) in a piece of HTML.
fn quoting_tags<'a>(
    text: &'a str,
    range: &Range<usize>,
) -> impl Iterator<Item = (usize, bool)> + use<'a> {
    let start = range.start;
    let piece = &text[range.clone()];
    piece.match_indices('<').filter_map(move |(at, _)| {
        let tag = &piece[at + 1..];
        let (name, opens) = match tag.strip_prefix('/') {
            Some(name) => (name, false),
            None => (tag, true),
        };
        let length = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let quotes = QUOTING.iter().any(|known| known.eq_ignore_ascii_case(&name[..length]));
        quotes.then_some((start + at, opens))
    })
}

//! Takes secrets out of texts.

use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::needles;

/// What stands in a secret's place.
pub(super) const REDACTED: &str = "[redacted]";

/// Tokens that are recognised by their form: GitHub's, Anthropic's, OpenAI's, AWS's, Slack's.
const TOKENS: &str = concat!(
    r"gh[pousr]_[A-Za-z0-9_.\-]{16,}|github_pat_[A-Za-z0-9_]{16,}",
    r"|sk-[A-Za-z0-9_\-]{20,}|sk-ant-[A-Za-z0-9_\-]{8,}",
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|xox[abeprs]-[A-Za-z0-9\-]{10,}",
);

/// A private key, or as much of it as there is: its first line, then whatever looks like key
/// material, with line feeds as they are or as they are written in JSON.
const PRIVATE_KEY: &str = concat!(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\\\s:,.]|-[A-Za-z0-9])*",
    r"(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?",
);

/// How many characters of a secret at the end of a line are enough to be taken for its first part.
pub(super) const SHORTEST_PART: usize = 8;

/// Knows the secrets of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    inner: Arc<Inner>,
}

struct Inner {
    needles: Vec<String>,
    secrets: Regex,
    /// The first characters of each needle, to find one that is cut off by the end of a line.
    beginnings: Option<Regex>,
    longest: usize,
}

impl Redactor {
    /// Takes the secrets as they are; their encoded forms are derived. Empty ones are left out.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let needles = needles::of_secrets(secrets);
        let known = alternatives(needles.iter().map(String::as_str));
        let separator = if known.is_empty() { "" } else { "|" };
        let pattern = format!("{PRIVATE_KEY}|{known}{separator}{TOKENS}");
        let beginnings = needles.iter().filter_map(|needle| beginning(needle));
        let beginnings = alternatives(beginnings);
        let inner = Inner {
            secrets: compiled(&pattern),
            beginnings: (!beginnings.is_empty()).then(|| compiled(&beginnings)),
            longest: needles.first().map_or(0, String::len),
            needles,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The text with every secret replaced by `[redacted]`.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        replaced(text, &self.found(text))
    }

    /// Where secrets are: apart from each other, in order.
    pub(super) fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> =
            self.inner.secrets.find_iter(text).map(|found| found.range()).collect();
        // A secret can be broken by line feeds that JSON writes as `\n`, as in wrapped base64.
        if text.contains("\\n") || text.contains("\\r") {
            found.extend(self.found_across_breaks(text));
        }
        merged(found)
    }

    fn found_across_breaks(&self, text: &str) -> Vec<Range<usize>> {
        let (joined, origins) = without_breaks(text);
        let matches = self.inner.secrets.find_iter(&joined);
        matches.map(|found| origins[found.start()]..origins[found.end() - 1] + 1).collect()
    }

    /// If the text ends with the first part of a secret: where that begins, and what is missing.
    pub(super) fn cut_off_at_end<'a>(&'a self, text: &str) -> Option<(usize, &'a str)> {
        let beginnings = self.inner.beginnings.as_ref()?;
        let mut from = text.len().saturating_sub(self.inner.longest);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        let mut at = from;
        while let Some(found) = beginnings.find_at(text, at) {
            let part = &text[found.start()..];
            let whole = self
                .inner
                .needles
                .iter()
                .find(|needle| needle.len() > part.len() && needle.starts_with(part));
            if let Some(needle) = whole {
                return Some((found.start(), &needle[part.len()..]));
            }
            at = next_boundary(text, found.start());
        }
        None
    }
}

fn next_boundary(text: &str, at: usize) -> usize {
    (at + 1..=text.len()).find(|next| text.is_char_boundary(*next)).unwrap_or(text.len())
}

fn beginning(needle: &str) -> Option<&str> {
    let end = (SHORTEST_PART..needle.len()).find(|end| needle.is_char_boundary(*end))?;
    Some(&needle[..end])
}

fn alternatives<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(regex::escape).collect::<Vec<_>>().join("|")
}

fn compiled(pattern: &str) -> Regex {
    regex::RegexBuilder::new(pattern)
        .size_limit(256 << 20)
        .build()
        .expect("escaped texts and fixed patterns are a valid expression of bounded size")
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// The text with the ranges, which are apart and in order, replaced.
pub(super) fn replaced(text: &str, ranges: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        kept.push_str(&text[from..range.start]);
        kept.push_str(REDACTED);
        from = range.end;
    }
    kept.push_str(&text[from..]);
    kept
}

/// The text without JSON's line breaks, and for each byte where it was.
fn without_breaks(text: &str) -> (String, Vec<usize>) {
    let bytes = text.as_bytes();
    let mut joined = Vec::with_capacity(bytes.len());
    let mut origins = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'\\' && matches!(bytes.get(at + 1), Some(b'n' | b'r')) {
            at += 2;
            continue;
        }
        joined.push(bytes[at]);
        origins.push(at);
        at += 1;
    }
    (String::from_utf8_lossy(&joined).into_owned(), origins)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "p4ss/w\"rd+with~signs";

    fn redacted(text: &str) -> String {
        Redactor::new([SECRET]).redact(text)
    }

    #[test]
    fn a_secret_is_taken_out_as_it_is() {
        assert_eq!(redacted(&format!("a {SECRET} b {SECRET}")), "a [redacted] b [redacted]");
        assert_eq!(redacted("nothing here"), "nothing here");
    }

    #[test]
    fn a_secret_in_json_is_taken_out_and_so_in_json_in_json() {
        let once = serde_json::json!({"out": SECRET}).to_string();
        assert_eq!(redacted(&once), r#"{"out":"[redacted]"}"#);
        let twice = serde_json::json!({"line": once}).to_string();
        assert_eq!(redacted(&twice), r#"{"line":"{\"out\":\"[redacted]\"}"}"#);
    }

    #[test]
    fn a_secret_in_base64_is_taken_out_wherever_it_lies() {
        for before in ["", "a", "ab", "user:"] {
            let text = format!("{before}{SECRET}!");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let told = redacted(&encoded);
                assert!(told.contains(REDACTED), "{before:?}: {told}");
                assert!(told.len() <= REDACTED.len() + 12, "{before:?}: {told}");
            }
        }
    }

    #[test]
    fn a_secret_in_an_address_is_taken_out() {
        for encoded in [
            "https://u:p4ss%2Fw%22rd%2Bwith~signs@h",
            "https://u:p4ss%2fw%22rd%2bwith~signs@h",
            "https://u:p4ss/w%22rd%2Bwith~signs@h",
        ] {
            assert_eq!(redacted(encoded), "https://u:[redacted]@h");
        }
    }

    #[test]
    fn a_secret_as_hexadecimal_digits_is_taken_out() {
        let digits: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(redacted(&digits), REDACTED);
        assert_eq!(redacted(&digits.to_uppercase()), REDACTED);
    }

    #[test]
    fn a_secret_that_json_breaks_into_lines_is_taken_out() {
        assert_eq!(redacted(r#"{"o":"xp4ss/w\"rd\n+with\r\n~signsx"}"#), r#"{"o":"x[redacted]x"}"#);
    }

    #[test]
    fn tokens_are_known_by_their_form() {
        let redactor = Redactor::new([]);
        for token in [
            "ghs_0123456789abcdefghij0123456789abcdef",
            "ghp_0123456789abcdefghij",
            "github_pat_0123456789_abcdefghij",
            "sk-ant-api03-abcdefgh",
            "AKIAIOSFODNN7EXAMPLE",
        ] {
            assert_eq!(redactor.redact(&format!("x={token};")), "x=[redacted];");
        }
        let harmless = "ghs_short, task-ant, sk-short, AKIA";
        assert_eq!(redactor.redact(harmless), harmless);
    }

    #[test]
    fn a_private_key_is_taken_out_whole_and_in_json() {
        let redactor = Redactor::new([]);
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----";
        assert_eq!(redactor.redact(&format!("a {key} b")), "a [redacted] b");
        let json = serde_json::json!({"key": key, "after": "kept"});
        assert_eq!(redactor.redact(&json.to_string()), r#"{"after":"kept","key":"[redacted]"}"#);
    }

    #[test]
    fn words_around_characters_of_several_bytes_stay_whole() {
        assert_eq!(redacted(&format!("ü{SECRET}ü\\n€")), "ü[redacted]ü\\n€");
    }
}

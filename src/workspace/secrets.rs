//! Finding secrets in what is about to be pushed.
//!
//! A net, not a wall: who wants to hide a value can. It catches what an agent copies without thinking.

use base64::{Engine, engine::general_purpose};
use regex::bytes::{Regex, RegexBuilder, RegexSet};
use secrecy::{ExposeSecret, SecretString};

/// Values shorter than this many bytes would be found everywhere.
const MIN_LENGTH: usize = 8;

/// The forms that issuers publish so that their tokens can be found.
const FORMS: [&str; 13] = [
    r"gh[pousr]_[A-Za-z0-9]{36}",
    r"github_pat_[A-Za-z0-9_]{60}",
    r"glpat-[A-Za-z0-9_-]{20}",
    r"sk-ant-[A-Za-z0-9_-]{30}",
    r"sk-(proj-|svcacct-)?[A-Za-z0-9_-]{40}",
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[A-Za-z0-9_-]{35}",
    r"xox[abeprs]-[A-Za-z0-9-]{20}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgEIcHlwaS[A-Za-z0-9_-]{30}",
    r"\b[rs]k_live_[A-Za-z0-9]{20}",
    r"hooks\.slack\.com/services/T[A-Za-z0-9_]+/B[A-Za-z0-9_]+/[A-Za-z0-9_]+",
    r"-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----",
];

/// Looks for well-known forms of tokens, and for given values in several encodings.
pub(super) struct Finder {
    forms: RegexSet,
    values: Option<Regex>,
}

impl Finder {
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        let forms = FORMS.map(|form| format!("(?-u){form}"));
        let needles: Vec<String> = secrets
            .iter()
            .flat_map(|secret| needles(secret.expose_secret()))
            .map(|needle| regex::escape(&needle))
            .collect();
        let values = (!needles.is_empty()).then(|| {
            RegexBuilder::new(&needles.join("|"))
                .size_limit(256 << 20)
                .build()
                .expect("escaped texts are a valid expression, and a few secrets stay in the limit")
        });
        let forms = RegexSet::new(forms).expect("the forms are constants that a test compiles");
        Self { forms, values }
    }

    pub(super) fn finds(&self, content: &[u8]) -> bool {
        self.forms.is_match(content)
            || self.values.as_ref().is_some_and(|values| values.is_match(content))
    }
}

/// All the texts that would give a value away: itself, its lines, and both in base64 and hexadecimal.
fn needles(secret: &str) -> Vec<String> {
    let mut plain: Vec<&str> = vec![secret.trim()];
    if secret.trim().contains('\n') {
        // A key is often pasted without its first and last line.
        plain.extend(secret.lines().map(str::trim).filter(|line| line.len() >= 24));
    }
    plain.retain(|text| text.len() >= MIN_LENGTH);
    let mut needles = Vec::new();
    for text in plain {
        let hexadecimal: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        needles.extend([text.to_owned(), hexadecimal.to_uppercase(), hexadecimal]);
        for shift in 0..3 {
            needles.extend(in_base64(text.as_bytes(), shift));
        }
    }
    needles
}

/// The part of a base64 text that only depends on the value, with `shift` bytes before it.
fn in_base64(value: &[u8], shift: usize) -> [String; 2] {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value);
    // A digit holds six bits: the first ones mix with what is before, the last with what follows.
    let start = (shift * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    [general_purpose::STANDARD, general_purpose::URL_SAFE]
        .map(|engine| engine.encode(&bytes)[start..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct horse battery staple+/=?";

    fn finder() -> Finder {
        Finder::new(&[SecretString::from(SECRET)])
    }

    #[test]
    fn a_value_is_found_plain_and_encoded_wherever_it_stands() {
        let finder = finder();
        assert!(finder.finds(format!("x = \"{SECRET}\"").as_bytes()));
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "zz", "\n"] {
                let text = format!("{before}{SECRET}{after}");
                for engine in [general_purpose::STANDARD, general_purpose::URL_SAFE] {
                    let encoded = engine.encode(&text);
                    assert!(finder.finds(encoded.as_bytes()), "{text:?} as {encoded}");
                }
            }
        }
        let hexadecimal: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(finder.finds(hexadecimal.as_bytes()));
        assert!(!finder.finds(b"correct horse battery"));
    }

    #[test]
    fn known_forms_are_found_and_words_about_them_are_not() {
        let finder = Finder::new(&[]);
        let tail = "0123456789abcdefghijABCDEFGHIJ456789xyz";
        for token in [
            format!("ghs_{}", &tail[..36]),
            format!("sk-ant-api03-{tail}"),
            format!("key={}", ["AKIA", "IOSFODNN7QWERTYU"].concat()),
            ["-----BEGIN ", "OPENSSH PRIVATE KEY-----"].concat(),
        ] {
            assert!(finder.finds(token.as_bytes()), "{token} was not found");
        }
        for harmless in ["ghs_token", "sk-learn is a library", "PRIVATE KEY", "AKIA"] {
            assert!(!finder.finds(harmless.as_bytes()), "{harmless} was taken for a secret");
        }
    }

    #[test]
    fn short_values_are_not_looked_for() {
        assert!(!Finder::new(&[SecretString::from("test")]).finds(b"a test"));
    }
}

//! The forms in which a secret can appear in what a program prints.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter secrets are looked for as they are only: their encoded forms turn up by chance.
const SHORTEST_ENCODED: usize = 8;

/// Lines of a secret of several lines are looked for one by one if they are at least so long.
const SHORTEST_LINE: usize = 16;

/// All forms of all secrets, the longest first, so that a form within another one does not win.
pub(super) fn of_secrets<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut needles: Vec<String> = secrets
        .into_iter()
        .map(str::trim)
        .filter(|secret| !secret.is_empty())
        .flat_map(of_secret)
        .collect();
    needles.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    needles.dedup();
    needles
}

fn of_secret(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if secret.contains('\n') {
        forms.extend(
            secret
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= SHORTEST_LINE)
                .map(str::to_owned),
        );
    }
    if secret.len() >= SHORTEST_ENCODED {
        let once = json_escaped(secret);
        forms.extend([json_escaped(&once), once]);
        forms.extend(percent_encoded(secret));
        forms.extend(hexadecimal(secret));
        forms.extend(base64_forms(secret.as_bytes()));
        // Many programs end what they encode with a line feed.
        forms.extend(base64_forms(format!("{secret}\n").as_bytes()));
    }
    forms
}

/// As within a JSON string. Applied twice for JSON that is a string in JSON.
fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// With everything but unreserved characters encoded, in both spellings of the digits; and with a
/// slash left as it is, as in paths.
fn percent_encoded(text: &str) -> Vec<String> {
    let encode = |upper: bool, keep: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
                b if keep.as_bytes().contains(&b) => char::from(b).to_string(),
                b if upper => format!("%{b:02X}"),
                b => format!("%{b:02x}"),
            })
            .collect()
    };
    vec![encode(true, ""), encode(false, ""), encode(true, "/"), encode(false, "/")]
}

fn hexadecimal(text: &str) -> [String; 2] {
    let lower: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    [lower.to_uppercase(), lower]
}

/// The characters of base64 that depend on the secret alone, whatever stands before and after it.
///
/// Three bytes make four characters, so there are three ways for the secret to lie; the characters
/// at its ends that it shares with its neighbours are left out.
fn base64_forms(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::with_capacity(6);
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(secret);
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.push(encoded[first..last].to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn base64_of_the_secret_in_any_place_contains_one_of_the_forms() {
        let forms = base64_forms(b"hunter2-hunter2");
        for before in 0..7 {
            for after in 0..4 {
                let text = format!("{}hunter2-hunter2{}", "a".repeat(before), "b".repeat(after));
                let encoded = STANDARD.encode(text);
                let found = forms.iter().any(|form| encoded.contains(form.as_str()));
                assert!(found, "{before} before, {after} after");
            }
        }
    }

    #[test]
    fn forms_are_the_longest_first_and_each_is_there_once() {
        let needles = of_secrets(["short", "a much longer secret", "short", ""]);
        assert!(needles.is_sorted_by(|one, other| one.len() >= other.len()));
        assert_eq!(needles.iter().filter(|needle| *needle == "short").count(), 1);
        assert!(!needles.contains(&String::new()));
    }

    #[test]
    fn a_short_secret_has_one_form_only() {
        assert_eq!(of_secrets(["abc"]), ["abc"]);
    }
}

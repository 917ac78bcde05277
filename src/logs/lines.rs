//! Takes secrets out of a sequence of lines: they can be split over lines, and over what is read.

use super::redact::{REDACTED, Redactor, SHORTEST_PART, replaced};

/// A key of more lines than that is none.
const LONGEST_KEY: u32 = 200;

/// The lines of one stream of one program.
pub struct LineRedactor {
    redactor: Redactor,
    /// What the last line lacked of a secret: if this line begins so, that is taken out too.
    missing: Option<String>,
    /// How many more lines can belong to a private key that was begun.
    key_lines: u32,
}

impl LineRedactor {
    /// Begins before the first line.
    #[must_use]
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, missing: None, key_lines: 0 }
    }

    /// The next line, which has no line feed, without its secrets.
    ///
    /// No line is held back. So the end of a line that could be the first part of a secret (eight
    /// characters or more) is taken out at once, whatever follows.
    #[must_use]
    pub fn line(&mut self, line: &str) -> String {
        if self.is_in_key(line) {
            return REDACTED.to_owned();
        }
        let carried = self.carried_over(line);
        let (head, rest) = line.split_at(carried);
        let ranges = self.redactor.found(rest);
        self.key_lines = if begins_key(rest) { LONGEST_KEY } else { 0 };
        let mut told = replaced(rest, &ranges);
        if let Some((start, missing)) = self.redactor.cut_off_at_end(rest) {
            self.missing = Some(missing.to_owned());
            let before = ranges.iter().all(|range| range.end <= start);
            if before {
                told = replaced(&rest[..start], &ranges) + REDACTED;
            }
        }
        if head.is_empty() { told } else { format!("{REDACTED}{told}") }
    }

    /// How much of the line goes on with the secret that the last one began.
    fn carried_over(&mut self, line: &str) -> usize {
        let Some(missing) = self.missing.take() else {
            return 0;
        };
        if line.starts_with(&missing) {
            return missing.len();
        }
        // The whole line is a piece out of the middle.
        if line.len() >= SHORTEST_PART && missing.starts_with(line) {
            self.missing = Some(missing[line.len()..].to_owned());
            return line.len();
        }
        0
    }

    fn is_in_key(&mut self, line: &str) -> bool {
        if self.key_lines == 0 {
            return false;
        }
        self.key_lines -= 1;
        if line.contains("-----END ") {
            self.key_lines = 0;
            return true;
        }
        let is_material = line
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=:,.- \t\r".contains(&byte));
        if !is_material {
            self.key_lines = 0;
        }
        is_material
    }
}

fn begins_key(line: &str) -> bool {
    line.rfind("PRIVATE KEY-----").is_some_and(|at| {
        let from = line[..at].rfind("-----").unwrap_or_default();
        line[from..].starts_with("-----BEGIN ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "correct-horse-battery-staple";

    fn redacted(lines: &[&str]) -> Vec<String> {
        let mut redactor = LineRedactor::new(Redactor::new([SECRET]));
        lines.iter().map(|line| redactor.line(line)).collect()
    }

    #[test]
    fn a_secret_split_over_two_lines_is_taken_out_of_both() {
        for at in SHORTEST_PART..SECRET.len() {
            let (one, other) = SECRET.split_at(at);
            let told = redacted(&[&format!("a {one}"), &format!("{other} b")]);
            assert_eq!(told, ["a [redacted]", "[redacted] b"], "split at {at}");
        }
    }

    #[test]
    fn a_secret_split_over_three_lines_is_taken_out_of_all() {
        let told = redacted(&[&SECRET[..9], &SECRET[9..19], &SECRET[19..]]);
        assert_eq!(told, [REDACTED, REDACTED, REDACTED]);
    }

    #[test]
    fn what_only_begins_like_a_secret_does_not_touch_the_next_line() {
        assert_eq!(redacted(&["correct-h", "orange"]), [REDACTED, "orange"]);
        assert_eq!(redacted(&["correct", "horse"]), ["correct", "horse"]);
        assert_eq!(redacted(&["correct-horse-xyz", "a"]), ["correct-horse-xyz", "a"]);
    }

    #[test]
    fn a_line_with_a_whole_secret_and_the_beginning_of_one_loses_both() {
        let line = format!("{SECRET} then {}", &SECRET[..12]);
        assert_eq!(redacted(&[&line, &SECRET[12..]]), ["[redacted] then [redacted]", REDACTED]);
    }

    #[test]
    fn a_key_of_many_lines_is_taken_out_line_by_line() {
        let begin = "key: -----BEGIN OPENSSH PRIVATE KEY-----";
        let told =
            redacted(&[begin, "b3BlbnNz+aC1r/ZXk=", "-----END OPENSSH PRIVATE KEY-----", "x"]);
        assert_eq!(told, ["key: [redacted]", REDACTED, REDACTED, "x"]);
    }

    #[test]
    fn the_mention_of_a_key_does_not_swallow_what_follows() {
        let told = redacted(&["grep '-----BEGIN RSA PRIVATE KEY-----'", "{\"a\": 1}", "abc"]);
        assert_eq!(told[1..], ["{\"a\": 1}", "abc"]);
    }
}

//! Putting names from outside into a path or query.

use std::fmt::Write as _;

/// Encodes one segment of a path, or one value of a query: all but RFC 3986's unreserved letters.
pub(super) fn segment(text: &str) -> String {
    encoded(text, false)
}

/// Encodes a path of several segments: as [`segment`], the slashes kept.
pub(super) fn segments(text: &str) -> String {
    encoded(text, true)
}

fn encoded(text: &str, slashes: bool) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte));
            }
            b'/' if slashes => path.push('/'),
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_stays_one_segment() {
        assert_eq!(segment("a/../b?c#d%ü"), "a%2F..%2Fb%3Fc%23d%25%C3%BC");
        assert_eq!(segments("docs/a b.md"), "docs/a%20b.md");
    }
}

//! The hidden first line by which Baton finds its own objects again.
//!
//! A marker proves nothing: anybody can copy one. It is looked for only among objects that the App
//! itself wrote, and there it tells which is which. It stands first, so that no cut can lose it.

use serde::{Deserialize, Serialize};

use crate::model::{ReportKind, TaskId};

/// What a marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// `progress`, `asking`, `act`, …
    #[serde(skip)]
    pub kind: String,
    /// Whose object it is.
    pub task: TaskId,
    /// What tells two of a kind apart; empty for those that exist once.
    #[serde(default)]
    pub subject: String,
    /// The whole hash that a tick approves, in an asking comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The commit that a tick lets out, in a comment that asks for a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
}

/// Writes a marker: `<!-- baton:progress {"task":7,"subject":""} -->`.
#[must_use]
pub fn marker(name: &str, task: TaskId, kind: &str, subject: &str) -> String {
    let subject = subject.to_owned();
    Marker { kind: kind.to_owned(), task, subject, plan: None, sha: None }.write(name)
}

/// Reads the marker with which a text begins; one further down is a quotation and counts nothing.
#[must_use]
pub fn find(name: &str, body: &str) -> Option<Marker> {
    let inside = body.trim_start().strip_prefix("<!-- ")?.split_once(" -->")?.0;
    let (kind, data) = inside.strip_prefix(name)?.strip_prefix(':')?.split_once(' ')?;
    let marker: Marker = serde_json::from_str(data).ok()?;
    Some(Marker { kind: kind.to_owned(), ..marker })
}

impl Marker {
    /// The marker of a report's object.
    #[must_use]
    pub fn of_report(task: TaskId, kind: &ReportKind) -> Self {
        let key = kind.key();
        Self { kind: key.kind.to_owned(), task, subject: key.subject, plan: None, sha: None }
    }

    /// The hidden line.
    #[must_use]
    pub fn write(&self, name: &str) -> String {
        let data = serde_json::to_string(self).expect("a struct of texts and numbers is JSON");
        // The only thing that could end the comment early.
        let data = data.replace('>', "\\u003e");
        format!("<!-- {name}:{} {data} -->", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_again_whatever_its_subject_holds() {
        for subject in ["", "3", "production:abc:1", "a --> <b>", "\"\\"] {
            let body = format!("{}\n### Baton", marker("baton", TaskId(7), "asking", subject));
            let found = find("baton", &body).expect("it was just written");
            assert_eq!((found.kind.as_str(), found.task), ("asking", TaskId(7)));
            assert_eq!(found.subject, subject);
        }
    }

    #[test]
    fn a_marker_of_another_baton_or_further_down_is_not_read() {
        let line = marker("baton", TaskId(7), "progress", "");
        assert_eq!(find("other", &line), None);
        assert_eq!(find("baton", &format!("> quoted\n{line}")), None);
        assert_eq!(find("baton", "<!-- baton:progress no json -->"), None);
    }
}

//! One turn of one role: what was asked, which tools there are, what they have shown so far.

use serde_json::{Value, json};

use crate::models::answer::Answer;
use crate::models::request::{Call, Request};

/// The tool by which outcomes are given when a schema is asked for.
const OUTCOME_TOOL: &str = "StructuredOutput";

/// The roles that are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plan,
    Code,
    Review,
    Deploy,
    Verify,
    Audit,
    Analyse,
}

/// One turn, from the newest text of the user on.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    request: &'a Request,
    /// The role, if the request tells one.
    pub(super) role: Option<Role>,
    /// The newest text of the user.
    pub(super) prompt: String,
    /// The tool calls of this turn that have results.
    pub(super) calls: Vec<Call<'a>>,
}

/// What reading a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// It was not read in this turn.
    NotYet,
    /// It could not be read.
    Failed,
    /// Its text.
    Text(String),
}

impl Reading {
    /// The text, if there is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::NotYet | Self::Failed => None,
        }
    }
}

impl<'a> Turn<'a> {
    /// Looks at a request.
    pub(super) fn of(request: &'a Request) -> Self {
        let mut texts = vec![request.system.clone()];
        texts.extend(request.user_texts());
        Self {
            request,
            role: texts.iter().find_map(|text| role_in(text)),
            prompt: request.last_user_text().unwrap_or_default(),
            calls: request.tool_results_since_last_user_text(),
        }
    }

    /// Whether a tool is on offer.
    pub(super) fn can(&self, tool: &str) -> bool {
        self.request.offers(tool)
    }

    /// The newest reading of a file, by its path from the repository's root.
    pub(super) fn read(&self, path: &str) -> Reading {
        let call = self.calls.iter().rev().find(|call| call.name == "Read" && reads(call, path));
        match call {
            None => Reading::NotYet,
            Some(call) if call.is_error => Reading::Failed,
            Some(call) => Reading::Text(without_line_numbers(call.result)),
        }
    }

    /// Asks to read those files that were not read yet; `None` when nothing is left to read or reading is not
    /// offered.
    pub(super) fn reading(&self, say: &str, paths: &[&str]) -> Option<Answer> {
        let left: Vec<&&str> =
            paths.iter().filter(|path| self.read(path) == Reading::NotYet).collect();
        if left.is_empty() || !self.can("Read") {
            return None;
        }
        let ask = |answer: Answer, path: &&&str| {
            answer.and_tool("Read", json!({"file_path": self.full_path(path)}))
        };
        Some(left.iter().fold(Answer::text(say), ask))
    }

    /// A path as the tools want it: below the working directory where the program names one.
    pub(super) fn full_path(&self, path: &str) -> String {
        let directory = self.request.system.lines().find_map(|line| {
            let (_, directory) = line.split_once("orking directory: ")?;
            directory.trim().starts_with('/').then(|| directory.trim().trim_end_matches('/'))
        });
        directory.map_or_else(|| path.to_owned(), |directory| format!("{directory}/{path}"))
    }

    /// Gives the outcome: by the tool for it, or as text where there is no such tool.
    pub(super) fn conclude(&self, say: &str, outcome: Value) -> Answer {
        if !self.can(OUTCOME_TOOL) {
            return Answer::text(outcome.to_string());
        }
        let given = self.calls.last().is_some_and(|call| call.name == OUTCOME_TOOL);
        if given { Answer::text(say) } else { Answer::text(say).and_tool(OUTCOME_TOOL, outcome) }
    }
}

/// The role that a line of a text tells.
fn role_in(text: &str) -> Option<Role> {
    text.lines().find_map(|line| match line.trim().strip_prefix("Role:")?.trim() {
        "plan" => Some(Role::Plan),
        "code" | "work" | "refactor" | "test" => Some(Role::Code),
        "review" => Some(Role::Review),
        "deploy" => Some(Role::Deploy),
        "verify" => Some(Role::Verify),
        "audit" => Some(Role::Audit),
        "analyse" => Some(Role::Analyse),
        _ => None,
    })
}

/// Whether a call read that file.
fn reads(call: &Call<'_>, path: &str) -> bool {
    let read = call.input["file_path"].as_str().unwrap_or_default();
    read == path || read.strip_suffix(path).is_some_and(|folder| folder.ends_with('/'))
}

/// Takes off the line numbers that reading tools print, and what they remark after the text.
fn without_line_numbers(shown: &str) -> String {
    let mut text = String::new();
    for line in shown.lines() {
        if line.starts_with("<system-reminder>") {
            break;
        }
        text.push_str(unnumbered(line).unwrap_or(line));
        text.push('\n');
    }
    text
}

/// The line behind `   12→` or `12<tab>`.
fn unnumbered(line: &str) -> Option<&str> {
    let rest = line.trim_start().trim_start_matches(|character: char| character.is_ascii_digit());
    let numbered = rest.len() < line.trim_start().len();
    let line = rest.strip_prefix('→').or_else(|| rest.strip_prefix('\t'))?;
    numbered.then_some(line)
}

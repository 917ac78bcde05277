//! What a role that carries out a request is told.

use serde::Serialize;

use super::frame::Frame;

/// A request of somebody at the command line. Its words are the person's own: they instruct.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What to call the repository.
    pub repository: &'a str,
    /// What is wanted.
    pub text: &'a str,
    /// Paths from the repository's root that it is about; empty where it does not say.
    pub files: &'a [String],
    /// `AGENTS.md` or `CLAUDE.md` of the commit.
    pub project_instructions: Option<&'a str>,
}

/// The names that a template may use.
#[derive(Debug, Serialize)]
pub(super) struct Context<'a> {
    repository: &'a str,
    request: &'a str,
    files: &'a [String],
    project_instructions: Option<&'a str>,
    data_rule: String,
    /// No part of a plan.
    part: Option<()>,
}

impl<'a> Context<'a> {
    pub(super) fn new(request: &Request<'a>, frame: &Frame) -> Self {
        Self {
            repository: request.repository,
            request: request.text,
            files: request.files,
            project_instructions: request.project_instructions,
            data_rule: frame.rule(),
            part: None,
        }
    }
}

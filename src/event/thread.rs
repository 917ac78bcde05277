//! `issues`, `issue_comment` and the texts of reviews: what people say on a thread.

use super::{
    command::commands_in,
    dedup,
    delivery::Delivery,
    payload::{Comment, Issue},
    tick,
    verdict::{IgnoreReason, ParseError, Verdict},
};
use crate::model::{Actor, Command, CommentId, Form, Subject, Timestamp, Trigger, What};

/// Reads an `issues` delivery.
pub(super) fn issues(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let issue = delivery.payload.issue.as_ref().ok_or(ParseError::Missing("issue"))?;
    let (repository, number) = (delivery.repository()?, issue.number);
    let updated_at = delivery.at(issue.updated_at);
    let (key, what) = match delivery.action() {
        "labeled" | "unlabeled" => {
            return label(delivery, Subject::Issue(number), number, issue.updated_at);
        }
        "edited" if !title_or_text_changed(delivery) => {
            return Ok(Verdict::Ignored(IgnoreReason::NeitherTitleNorText));
        }
        "edited" => (dedup::issue_edited(repository, number, updated_at), What::TaskEdited),
        "closed" => {
            let closed_at = delivery.at(issue.closed_at.or(issue.updated_at));
            (dedup::issue_closed(repository, number, closed_at), What::TaskClosed)
        }
        // The request is gone from this repository, as after a close.
        "deleted" | "transferred" => (dedup::issue_gone(repository, number), What::TaskClosed),
        "reopened" => (dedup::issue_reopened(repository, number, updated_at), What::TaskReopened),
        _ => return Ok(delivery.other_action("issues")),
    };
    let event = delivery.event(updated_at, Subject::Issue(number), key, what)?;
    Ok(Verdict::Events(vec![event]))
}

fn title_or_text_changed(delivery: &Delivery<'_>) -> bool {
    let changes = delivery.payload.changes.as_ref();
    changes.is_some_and(|changes| changes.title.is_some() || changes.body.is_some())
}

/// A label was put on or taken off an issue or pull request.
pub(super) fn label(
    delivery: &Delivery<'_>,
    subject: Subject,
    number: u64,
    updated_at: Option<Timestamp>,
) -> Result<Verdict, ParseError> {
    let label = delivery.payload.label.as_ref().and_then(|label| label.name.as_deref());
    let label = label.ok_or(ParseError::Missing("label.name"))?;
    let Some(trigger) = trigger(&delivery.identity.name, label) else {
        return Ok(Verdict::Ignored(IgnoreReason::NotOurLabel));
    };
    let (repository, at) = (delivery.repository()?, delivery.at(updated_at));
    let (key, what) = match (delivery.action(), trigger) {
        ("labeled", trigger) => {
            (dedup::labelled(repository, number, label, at), What::TaskAssigned { trigger })
        }
        (_, Trigger::Label) => {
            (dedup::unlabelled(repository, number, label, at), What::TaskUnassigned)
        }
        (_, Trigger::PlanLabel | Trigger::ReviewLabel) => {
            return Ok(Verdict::Ignored(IgnoreReason::OneShotLabelRemoved));
        }
    };
    Ok(Verdict::Events(vec![delivery.event(at, subject, key, what)?]))
}

/// Labels are the same whatever their case, as on GitHub.
fn trigger(name: &str, label: &str) -> Option<Trigger> {
    [Trigger::Label, Trigger::PlanLabel, Trigger::ReviewLabel]
        .into_iter()
        .find(|trigger| label.eq_ignore_ascii_case(&format!("{name}{}", trigger.suffix())))
}

/// Reads an `issue_comment` delivery: commands, and ticks in comments by which Baton asks.
pub(super) fn issue_comment(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let comment = delivery.payload.comment.as_ref().ok_or(ParseError::Missing("comment"))?;
    let issue = delivery.payload.issue.as_ref().ok_or(ParseError::Missing("issue"))?;
    let form = match delivery.action() {
        "created" if written_by_app(delivery, comment) => return Ok(Verdict::Own),
        "created" => Form::Typed,
        "edited" if comment.user.as_ref().is_some_and(|u| u.id == delivery.identity.bot) => {
            return tick_in(delivery, comment, subject(issue));
        }
        "edited" => Form::Edited,
        _ => return Ok(delivery.other_action("issue_comment")),
    };
    let at = comment_time(delivery, comment);
    let said = Said { subject: subject(issue), form, at, comment: Some(comment.id) };
    let text = comment.body.as_deref().unwrap_or_default();
    said.verdict(delivery, text, |index| dedup::comment_command(comment.id, at, index))
}

/// An issue, or the conversation of a pull request.
fn subject(issue: &Issue) -> Subject {
    if issue.pull_request.is_some() {
        Subject::Pull(issue.number)
    } else {
        Subject::Issue(issue.number)
    }
}

/// Whether the App itself wrote the comment, in whosever name.
fn written_by_app(delivery: &Delivery<'_>, comment: &Comment) -> bool {
    let app = comment.performed_via_github_app.as_ref().and_then(|app| app.id);
    app == Some(delivery.identity.app_id)
}

fn comment_time(delivery: &Delivery<'_>, comment: &Comment) -> Timestamp {
    delivery.at(comment.updated_at.or(comment.created_at))
}

/// Reads a `pull_request_review` delivery: commands in its text.
pub(super) fn review(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let review = delivery.payload.review.as_ref().ok_or(ParseError::Missing("review"))?;
    let pull = delivery.payload.pull_request.as_ref();
    let pull = pull.ok_or(ParseError::Missing("pull_request"))?;
    let (form, at) = match delivery.action() {
        "submitted" => (Form::Typed, review.submitted_at.or(pull.updated_at)),
        // A review keeps the time of its submission when it is edited.
        "edited" => (Form::Edited, pull.updated_at),
        _ => return Ok(delivery.other_action("pull_request_review")),
    };
    let at = delivery.at(at);
    let said = Said { subject: Subject::Pull(pull.number), form, at, comment: None };
    let text = review.body.as_deref().unwrap_or_default();
    said.verdict(delivery, text, |index| dedup::review_command(review.id, at, index))
}

/// Reads a `pull_request_review_comment` delivery: commands in a remark on a line of the diff.
pub(super) fn review_comment(delivery: &Delivery<'_>) -> Result<Verdict, ParseError> {
    let comment = delivery.payload.comment.as_ref().ok_or(ParseError::Missing("comment"))?;
    let pull = delivery.payload.pull_request.as_ref();
    let pull = pull.ok_or(ParseError::Missing("pull_request"))?;
    let form = match delivery.action() {
        "created" if written_by_app(delivery, comment) => return Ok(Verdict::Own),
        "created" => Form::Typed,
        "edited" => Form::Edited,
        _ => return Ok(delivery.other_action("pull_request_review_comment")),
    };
    let at = comment_time(delivery, comment);
    let said = Said { subject: Subject::Pull(pull.number), form, at, comment: None };
    let text = comment.body.as_deref().unwrap_or_default();
    said.verdict(delivery, text, |index| dedup::review_comment_command(comment.id, at, index))
}

/// A text in which commands may stand.
struct Said {
    subject: Subject,
    form: Form,
    at: Timestamp,
    /// Only where reactions reach it by this id: not for reviews and their remarks.
    comment: Option<CommentId>,
}

impl Said {
    fn verdict(
        &self,
        delivery: &Delivery<'_>,
        text: &str,
        key: impl Fn(usize) -> String,
    ) -> Result<Verdict, ParseError> {
        let mut events = Vec::new();
        for (index, command) in self.new_commands(delivery, text) {
            let (form, comment) = (self.form, self.comment);
            let what = What::CommandGiven { command, form, comment };
            events.push(delivery.event(self.at, self.subject.clone(), key(index), what)?);
        }
        if events.is_empty() {
            return Ok(Verdict::Ignored(IgnoreReason::NoCommand));
        }
        Ok(Verdict::Events(events))
    }

    /// The text's commands with their places; of an edited text only those that the edit added.
    fn new_commands(&self, delivery: &Delivery<'_>, text: &str) -> Vec<(usize, Command)> {
        let (name, slug) = (&delivery.identity.name, &delivery.identity.slug);
        let mut commands: Vec<_> = commands_in(text, name, slug).into_iter().enumerate().collect();
        if self.form != Form::Edited {
            return commands;
        }
        let changes = delivery.payload.changes.as_ref();
        let Some(before) = changes.and_then(|changes| changes.body.as_ref()) else {
            return Vec::new();
        };
        for old in commands_in(before.from.as_deref().unwrap_or_default(), name, slug) {
            if let Some(place) = commands.iter().position(|(_, command)| *command == old) {
                commands.remove(place);
            }
        }
        commands
    }
}

/// Somebody edited a comment of Baton's: it counts where the edit ticked one box of a comment that asks.
fn tick_in(
    delivery: &Delivery<'_>,
    comment: &Comment,
    subject: Subject,
) -> Result<Verdict, ParseError> {
    let changes = delivery.payload.changes.as_ref();
    let before = changes.and_then(|changes| changes.body.as_ref());
    let before = before.and_then(|body| body.from.as_deref()).unwrap_or_default();
    let after = comment.body.as_deref().unwrap_or_default();
    let command = match tick::ticked(&delivery.identity.name, before, after) {
        Ok(command) => command,
        Err(reason) => return Ok(Verdict::Ignored(reason)),
    };
    if !matches!(delivery.actor, Actor::Person(_)) {
        return Ok(Verdict::Ignored(IgnoreReason::TickByBot));
    }
    let at = comment_time(delivery, comment);
    let comment_id = Some(comment.id);
    let what = What::CommandGiven { command, form: Form::Tick, comment: comment_id };
    let key = dedup::comment_command(comment.id, at, 0);
    Ok(Verdict::Events(vec![delivery.event(at, subject, key, what)?]))
}

//! What happens to issues and to the conversation of pull requests, whoever does it.
//!
//! Each change is made, then told by webhook with its sender. Refusals are GitHub's.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::model::{Closed, Comment, Issue, Label};
use super::state::State;

/// The longest body of an issue, a pull request or a comment, in characters.
pub(crate) const BODY_LIMIT: usize = 65_536;
/// The longest title, in characters.
const TITLE_LIMIT: usize = 256;
/// The longest label name, in characters.
const LABEL_NAME_LIMIT: usize = 50;
/// The longest label description, in characters.
const LABEL_DESCRIPTION_LIMIT: usize = 100;
/// The most labels one issue can have.
const LABELS_LIMIT: usize = 100;

/// Refuses a body beyond GitHub's limit.
pub(crate) fn check_body(resource: &str, body: &str) -> Result<(), Refusal> {
    if body.chars().count() > BODY_LIMIT {
        return Err(Refusal::custom(
            resource,
            "body",
            "body is too long (maximum is 65536 characters)",
        ));
    }
    Ok(())
}

/// Refuses an empty or overlong title.
pub(crate) fn check_title(resource: &str, title: &str) -> Result<(), Refusal> {
    if title.trim().is_empty() {
        return Err(Refusal::field(resource, "title", "missing_field"));
    }
    if title.chars().count() > TITLE_LIMIT {
        return Err(Refusal::custom(
            resource,
            "title",
            "title is too long (maximum is 256 characters)",
        ));
    }
    Ok(())
}

impl State {
    /// Tells of a change to an issue, or to a pull request when it is one.
    pub(crate) fn emit_thread(
        &mut self,
        repository_id: u64,
        number: u64,
        action: &str,
        extra: Value,
        sender: u64,
    ) -> Result<(), Refusal> {
        let repository = self.repository(repository_id)?;
        let issue = self.issue(repository_id, number)?;
        let mut fields = extra;
        let event = if issue.pull.is_some() {
            fields["number"] = json!(number);
            fields["pull_request"] = self.pull_event_json(repository, issue);
            "pull_request"
        } else {
            fields["issue"] = self.issue_json(repository, issue);
            "issues"
        };
        self.emit(repository_id, event, Some(action), fields, sender);
        Ok(())
    }

    /// The number the next issue or pull request gets.
    pub(crate) fn next_number(&self, repository: u64) -> Result<u64, Refusal> {
        let last = self.repository(repository)?.issues.keys().next_back();
        Ok(last.map_or(1, |last| last + 1))
    }

    /// Opens an issue and gives its number.
    pub(crate) fn open_issue(
        &mut self,
        repository: u64,
        actor: u64,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<u64, Refusal> {
        check_title("Issue", title)?;
        check_body("Issue", body)?;
        let number = self.next_number(repository)?;
        let issue = self.new_issue(number, actor, title, body);
        self.repository_mut(repository)?.issues.insert(number, issue);
        self.emit_thread(repository, number, "opened", json!({}), actor)?;
        self.add_labels(repository, number, actor, labels)?;
        Ok(number)
    }

    /// An issue as it is when just opened; not yet kept anywhere.
    pub(crate) fn new_issue(&mut self, number: u64, actor: u64, title: &str, body: &str) -> Issue {
        let now = self.now();
        Issue {
            id: self.fresh_id(),
            number,
            title: title.to_owned(),
            body: body.to_owned(),
            author: actor,
            created_at: now,
            updated_at: now,
            closed: None,
            labels: Vec::new(),
            comments: Vec::new(),
            reactions: Vec::new(),
            pull: None,
        }
    }

    /// Changes title or body.
    pub(crate) fn edit_issue(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        title: Option<&str>,
        body: Option<&str>,
    ) -> Result<(), Refusal> {
        title.map_or(Ok(()), |title| check_title("Issue", title))?;
        body.map_or(Ok(()), |body| check_body("Issue", body))?;
        let now = self.now();
        let issue = self.issue_mut(repository, number)?;
        let mut changes = json!({});
        if let Some(title) = title.filter(|title| *title != issue.title) {
            changes["title"] = json!({ "from": issue.title });
            title.clone_into(&mut issue.title);
        }
        if let Some(body) = body.filter(|body| *body != issue.body) {
            changes["body"] = json!({ "from": issue.body });
            body.clone_into(&mut issue.body);
        }
        if changes.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok(());
        }
        issue.updated_at = now;
        self.emit_thread(repository, number, "edited", json!({ "changes": changes }), actor)
    }

    /// Closes an issue (or an unmerged pull request); nothing happens when it is closed.
    pub(crate) fn close(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        reason: &str,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let issue = self.issue_mut(repository, number)?;
        if !issue.is_open() {
            return Ok(());
        }
        issue.closed = Some(Closed { at: now, by: actor, reason: reason.to_owned() });
        issue.updated_at = now;
        self.emit_thread(repository, number, "closed", json!({}), actor)
    }

    /// Opens it again; a merged pull request, or one whose branch is gone, cannot be.
    pub(crate) fn reopen(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let issue = self.issue(repository, number)?;
        if issue.is_open() {
            return Ok(());
        }
        if let Some(pull) = &issue.pull {
            let from = self.repositories.get(&pull.head_repository);
            let gone = from.and_then(|from| self.branch(from, &pull.head_branch)).is_none();
            if pull.merged.is_some() || gone {
                return Err(Refusal::custom(
                    "PullRequest",
                    "state",
                    "state cannot be changed. The pull request cannot be reopened.",
                ));
            }
        }
        let issue = self.issue_mut(repository, number)?;
        issue.closed = None;
        issue.updated_at = now;
        self.emit_thread(repository, number, "reopened", json!({}), actor)
    }

    /// Makes a label of the repository.
    pub(crate) fn create_label(
        &mut self,
        repository: u64,
        name: &str,
        color: &str,
        description: Option<&str>,
    ) -> Result<Label, Refusal> {
        check_label(name, color, description)?;
        if self.label(repository, name)?.is_some() {
            return Err(Refusal::field("Label", "name", "already_exists"));
        }
        let label = Label {
            id: self.fresh_id(),
            name: name.to_owned(),
            color: color.to_owned(),
            description: description.map(str::to_owned),
        };
        self.repository_mut(repository)?.labels.push(label.clone());
        Ok(label)
    }

    /// A label of the repository, whatever the name's case.
    pub(crate) fn label(&self, repository: u64, name: &str) -> Result<Option<&Label>, Refusal> {
        let labels = &self.repository(repository)?.labels;
        Ok(labels.iter().find(|label| label.name.eq_ignore_ascii_case(name)))
    }

    /// Adds labels, making those the repository does not have.
    pub(crate) fn add_labels(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        names: &[String],
    ) -> Result<(), Refusal> {
        if self.issue(repository, number)?.labels.len() + names.len() > LABELS_LIMIT {
            return Err(Refusal::custom("Issue", "labels", "labels: maximum is 100"));
        }
        names.iter().try_for_each(|name| check_label(name, "ededed", None))?;
        for name in names {
            let known = self.label(repository, name)?.cloned();
            let label = match known {
                Some(label) => label,
                None => self.create_label(repository, name, "ededed", None)?,
            };
            let now = self.now();
            let issue = self.issue_mut(repository, number)?;
            if issue.labels.contains(&label.name) {
                continue;
            }
            issue.labels.push(label.name.clone());
            issue.updated_at = now;
            self.emit_label(repository, number, "labeled", &label, actor)?;
        }
        Ok(())
    }

    /// Takes a label off; refused with 404 when it is not on.
    pub(crate) fn remove_label(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        name: &str,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let issue = self.issue_mut(repository, number)?;
        let place = issue.labels.iter().position(|label| label.eq_ignore_ascii_case(name));
        let Some(place) = place else { return Err(Refusal::new(404, "Label does not exist")) };
        let name = issue.labels.remove(place);
        issue.updated_at = now;
        match self.label(repository, &name)?.cloned() {
            Some(label) => self.emit_label(repository, number, "unlabeled", &label, actor),
            None => Ok(()),
        }
    }

    fn emit_label(
        &mut self,
        repository: u64,
        number: u64,
        action: &str,
        label: &Label,
        actor: u64,
    ) -> Result<(), Refusal> {
        let shape = self.label_json(self.repository(repository)?, label);
        self.emit_thread(repository, number, action, json!({ "label": shape }), actor)
    }

    /// Writes a comment and gives its id.
    pub(crate) fn add_comment(
        &mut self,
        repository: u64,
        number: u64,
        actor: u64,
        body: &str,
    ) -> Result<u64, Refusal> {
        check_comment(body)?;
        let now = self.now();
        let comment = Comment {
            id: self.fresh_id(),
            body: body.to_owned(),
            author: actor,
            created_at: now,
            updated_at: now,
            minimized: None,
            reactions: Vec::new(),
        };
        let id = comment.id;
        let issue = self.issue_mut(repository, number)?;
        issue.comments.push(comment);
        issue.updated_at = now;
        self.emit_comment(repository, id, "created", json!({}), actor)?;
        Ok(id)
    }

    /// Changes a comment's body, without asking what it was meanwhile.
    pub(crate) fn edit_comment(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
        body: &str,
    ) -> Result<(), Refusal> {
        check_comment(body)?;
        let now = self.now();
        let (number, place) = self.comment_place(repository, id)?;
        let comment = &mut self.issue_mut(repository, number)?.comments[place];
        if comment.body == body {
            return Ok(());
        }
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = now;
        let changes = json!({ "changes": { "body": { "from": before } } });
        self.emit_comment(repository, id, "edited", changes, actor)
    }

    /// Removes a comment.
    pub(crate) fn delete_comment(
        &mut self,
        repository: u64,
        id: u64,
        actor: u64,
    ) -> Result<(), Refusal> {
        let (number, place) = self.comment_place(repository, id)?;
        self.emit_comment(repository, id, "deleted", json!({}), actor)?;
        self.issue_mut(repository, number)?.comments.remove(place);
        Ok(())
    }

    fn emit_comment(
        &mut self,
        repository_id: u64,
        id: u64,
        action: &str,
        extra: Value,
        sender: u64,
    ) -> Result<(), Refusal> {
        let (number, place) = self.comment_place(repository_id, id)?;
        let repository = self.repository(repository_id)?;
        let issue = self.issue(repository_id, number)?;
        let mut fields = extra;
        fields["issue"] = self.issue_json(repository, issue);
        fields["comment"] = self.comment_json(repository, issue, &issue.comments[place]);
        self.emit(repository_id, "issue_comment", Some(action), fields, sender);
        Ok(())
    }
}

fn check_comment(body: &str) -> Result<(), Refusal> {
    if body.trim().is_empty() {
        return Err(Refusal::custom("IssueComment", "body", "Body cannot be blank"));
    }
    check_body("IssueComment", body)
}

fn check_label(name: &str, color: &str, description: Option<&str>) -> Result<(), Refusal> {
    let length = name.chars().count();
    if length == 0 {
        return Err(Refusal::field("Label", "name", "missing_field"));
    }
    if length > LABEL_NAME_LIMIT {
        return Err(Refusal::custom(
            "Label",
            "name",
            "name is too long (maximum is 50 characters)",
        ));
    }
    if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::field("Label", "color", "invalid"));
    }
    if description.is_some_and(|text| text.chars().count() > LABEL_DESCRIPTION_LIMIT) {
        return Err(Refusal::custom(
            "Label",
            "description",
            "description is too long (maximum is 100 characters)",
        ));
    }
    Ok(())
}

//! What a route gives back: an answer, or a refusal in GitHub's words.

use serde_json::{Value, json};

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Option<Value>,
}

impl Answer {
    /// 200 with a body.
    pub(crate) fn ok(body: Value) -> Answer {
        Answer { status: 200, headers: Vec::new(), body: Some(body) }
    }

    /// 201 with a body.
    pub(crate) fn created(body: Value) -> Answer {
        Answer { status: 201, ..Answer::ok(body) }
    }

    /// 204 without one.
    pub(crate) fn nothing() -> Answer {
        Answer { status: 204, headers: Vec::new(), body: None }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// GitHub's sentence.
    pub message: String,
    /// GitHub's details: objects with `resource`, `field`, `code`, or sentences.
    pub errors: Vec<Value>,
    /// Headers beside the usual ones.
    pub headers: Vec<(String, String)>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.status, self.message)?;
        self.errors.iter().try_for_each(|error| write!(formatter, " {error}"))
    }
}

impl std::error::Error for Refusal {}

/// What every route returns.
pub(crate) type Handled = Result<Answer, Refusal>;

impl Refusal {
    /// A refusal with a status and a message.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// 404: there is none, or the caller may not know that there is.
    pub(crate) fn not_found() -> Refusal {
        Refusal::new(404, "Not Found")
    }

    /// 401: an unknown or expired token.
    pub(crate) fn bad_credentials() -> Refusal {
        Refusal::new(401, "Bad credentials")
    }

    /// 403: the installation lacks the permission.
    pub(crate) fn not_accessible() -> Refusal {
        Refusal::new(403, "Resource not accessible by integration")
    }

    /// 422 naming the resource, the field and a code of GitHub's (`invalid`, `missing_field`, …).
    pub(crate) fn field(resource: &str, field: &str, code: &str) -> Refusal {
        let errors = vec![json!({ "resource": resource, "field": field, "code": code })];
        Refusal { errors, ..Refusal::new(422, "Validation Failed") }
    }

    /// 422 with a sentence about the field.
    pub(crate) fn custom(resource: &str, field: &str, message: &str) -> Refusal {
        let errors = vec![json!({
            "resource": resource, "field": field, "code": "custom", "message": message
        })];
        Refusal { errors, ..Refusal::new(422, "Validation Failed") }
    }

    /// The answer that tells it.
    pub(crate) fn answer(self) -> Answer {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.to_string(),
        });
        if !self.errors.is_empty() {
            body["errors"] = Value::Array(self.errors);
        }
        Answer { status: self.status, headers: self.headers, body: Some(body) }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::new(500, format!("the stand-in failed to read its repository: {error}"))
    }
}

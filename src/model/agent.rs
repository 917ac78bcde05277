//! What passes between Baton and the program that an agent is, in words of no provider.

use serde::{Deserialize, Serialize};

use super::{CommandRunId, Micros, QuestionId, Untrusted};

/// One thing that an agent's program told while it ran.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentEvent {
    /// It is up; these of its tool servers are not.
    Started {
        /// The model that it says it uses.
        model: Option<String>,
        /// Names of broken tool servers.
        broken_tools: Vec<String>,
    },
    /// It said something.
    Text(Untrusted),
    /// It calls a tool.
    ToolUse {
        /// The tool's name.
        name: String,
        /// A line that says what for, cut to 200 characters.
        summary: Untrusted,
    },
    /// A tool answered.
    ToolResult {
        /// Whether it failed.
        is_error: bool,
    },
    /// A call of Baton's own tools came back: answered, or why it never got there.
    ToolsReached(Result<(), String>),
    /// Its list of what is done and left.
    Todo(Vec<TodoItem>),
    /// Tokens since the last such event.
    Usage(TokenUsage),
    /// What the session has cost so far, by the program's own count.
    Cost(Micros),
    /// A tool was denied.
    Denied {
        /// The tool's name.
        name: String,
        /// Why, as its model was told.
        why: Untrusted,
    },
    /// The model API failed and is asked again.
    Retrying {
        /// Which try, from 1.
        attempt: u32,
        /// The HTTP status, where there was an answer.
        status: Option<u16>,
    },
    /// A turn is over.
    Finished {
        /// The outcome as JSON, still to be judged by the role's schema; or why there is none.
        result: Result<Option<serde_json::Value>, super::FailKind>,
        /// The last words.
        text: Untrusted,
    },
}

/// One entry of an agent's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoItem {
    /// What.
    pub text: Untrusted,
    /// How far.
    pub state: TodoState,
}

/// How far an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// Not begun.
    Pending,
    /// At it.
    Doing,
    /// Done.
    Done,
}

/// Tokens of one or more requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Read anew.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Written to the cache.
    pub cache_write: u64,
}

/// What an agent gets besides its task: stored with it, so that its prompt can be made again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Why it was started, oldest first.
    pub messages: Vec<Message>,
}

/// One reason for a start, or a word into a running session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// Somebody wants the plan otherwise.
    Revise {
        /// Their words.
        text: Untrusted,
        /// Their login.
        by: String,
    },
    /// The repository's commands failed on the change.
    CommandsFailed {
        /// Which run.
        run: CommandRunId,
    },
    /// The reviewer wants these findings (by number) settled.
    Findings {
        /// Their numbers, from 1.
        numbers: Vec<u32>,
    },
    /// The change may not be pushed as it is.
    Refused {
        /// Why.
        refusal: super::Refusal,
    },
    /// Evidence to judge: what Baton ran and what came out.
    Evidence {
        /// Which run.
        run: CommandRunId,
    },
    /// What it asked was answered.
    Answered {
        /// Which question.
        question: QuestionId,
    },
    /// Another agent wants this commit to be audited.
    AuditWanted {
        /// Whose wish, and what for.
        wish: super::AuditWish,
    },
    /// The session was interrupted and goes on.
    GoOn,
}

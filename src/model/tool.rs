//! What agents may call of Baton's own, beside their program's tools.

use serde::{Deserialize, Serialize};

/// Where the tool server is, on the listener of the gateway.
pub const TOOLS_PATH: &str = "/mcp";

/// One tool of Baton's tool server. Closed: `tools` has one file for each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// Shows the list of what is done and left on the thread.
    ReportProgress,
    /// Asks a person, and ends the turn.
    AskHuman,
    /// Leaves something for the agents after it.
    ContextPut,
    /// Reads what was left.
    ContextGet,
    /// Lists what was left.
    ContextList,
    /// Writes to other agents.
    SendMessage,
    /// Reads what they wrote.
    ReadMessages,
    /// Tells what people may want to act on.
    EmitEvent,
}

impl Tool {
    /// All tools.
    pub const ALL: [Self; 8] = [
        Self::ReportProgress,
        Self::AskHuman,
        Self::ContextPut,
        Self::ContextGet,
        Self::ContextList,
        Self::SendMessage,
        Self::ReadMessages,
        Self::EmitEvent,
    ];

    /// The name by which agents call it and prompts allow it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReportProgress => "report_progress",
            Self::AskHuman => "ask_human",
            Self::ContextPut => "context_put",
            Self::ContextGet => "context_get",
            Self::ContextList => "context_list",
            Self::SendMessage => "send_message",
            Self::ReadMessages => "read_messages",
            Self::EmitEvent => "emit_event",
        }
    }

    /// The tool of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }
}

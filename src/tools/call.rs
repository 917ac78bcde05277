//! One call of a tool: whether the agent may, and what comes of it.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Tools, ask, context, emit, letters, progress};
use crate::{
    db::{
        DbError,
        agents::{self, Caller},
        questions,
    },
    model::Tool,
    queue::QueueError,
};

/// How many calls one agent may make: several a minute, for hours.
const MOST_CALLS: u32 = 500;

/// Why a call came to nothing. Its words are for the agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The agent asked for what it may not or cannot have: it should do otherwise.
    #[error("{0}")]
    Refused(String),
    /// The database is away: asking again may help.
    #[error("Baton's database cannot be reached right now; try again in a while")]
    Database(#[from] DbError),
    /// The same, by way of the queue.
    #[error("Baton's queue cannot be reached right now; try again in a while")]
    Queue(#[from] QueueError),
    /// The same, between statements.
    #[error("Baton's database broke off; try again in a while")]
    Connection(#[from] sqlx::Error),
}

impl CallError {
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

/// The result of a call, as the protocol has it: words, and whether they tell of a failure.
pub(super) async fn answer(
    tools: &Tools,
    caller: &Caller,
    name: &str,
    arguments: Value,
) -> CallToolResult {
    let called = run(tools, caller, name, arguments).await;
    // Neither arguments nor answers: they can hold what nobody should read in a log.
    let shown: String = name.chars().take(40).collect();
    match &called {
        Ok(_) => tracing::info!(agent.id = %caller.agent, tool = shown, "a tool was called"),
        Err(error) => {
            tracing::info!(agent.id = %caller.agent, tool = shown, refused = is_refusal(error),
                "a tool was called in vain");
        }
    }
    match called {
        Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
        Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
    }
}

fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Refused(_))
}

async fn run(
    tools: &Tools,
    caller: &Caller,
    name: &str,
    arguments: Value,
) -> Result<String, CallError> {
    let tool = Tool::by_name(name).filter(|tool| caller.tools.contains(tool));
    let tool = tool.ok_or_else(|| {
        let named: Vec<&str> = caller.tools.iter().map(|tool| tool.name()).collect();
        CallError::refused(format!("there is no such tool for your role: {}", named.join(", ")))
    })?;
    if !agents::count_tool_call(&tools.pool, caller.agent, MOST_CALLS).await? {
        let why = format!("an agent may make {MOST_CALLS} calls, and you have made them");
        return Err(CallError::refused(why));
    }
    if questions::of_agent(&tools.pool, caller.agent).await?.is_some() {
        return Err(CallError::refused(ask::END_YOUR_TURN));
    }
    match tool {
        Tool::ReportProgress => progress::report(tools, caller, read(arguments)?).await,
        Tool::AskHuman => ask::human(tools, caller, read(arguments)?).await,
        Tool::ContextPut => context::put(tools, caller, read(arguments)?).await,
        Tool::ContextGet => context::get(tools, caller, read(arguments)?).await,
        Tool::ContextList => {
            let context::List {} = read(arguments)?;
            context::list(tools, caller).await
        }
        Tool::SendMessage => letters::send(tools, caller, read(arguments)?).await,
        Tool::ReadMessages => {
            let letters::Read {} = read(arguments)?;
            letters::read(tools, caller).await
        }
        Tool::EmitEvent => emit::event(tools, caller, read(arguments)?).await,
    }
}

/// Reads the arguments of a call; what is not of the form is told in words that help.
pub(super) fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, CallError> {
    T::deserialize(arguments).map_err(|error| CallError::refused(format!("arguments: {error}")))
}

/// A text of an agent's, held to its limit.
pub(super) fn held(what: &str, text: &str, most: usize) -> Result<(), CallError> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(CallError::refused(format!("{what} is empty")));
    }
    if length > most {
        let why = format!("{what} has {length} characters; {most} are allowed");
        return Err(CallError::refused(why));
    }
    Ok(())
}

//! What is tried again by itself: why, when, and what does it at once.

use crate::model::{Agent, AgentState, Mishap, Situation};

use super::commands::typed;
use super::figures::moment;

/// Why a queued agent waits for its time, and for which: `the agent's program ended without a result; tried
/// again by itself at 14:05 UTC (attempt 2), at once with …`; none where it waits for no time.
pub(super) fn waits_for_its_time(situation: &Situation, agent: &Agent) -> Option<String> {
    let at = agent.not_before.filter(|at| *at > situation.now)?;
    let at = moment(at, situation.now);
    let (attempt, retry) = (agent.attempt, typed(situation, "retry"));
    let why = why(situation, agent).unwrap_or("the attempt before it went wrong");
    Some(format!("{why}; tried again by itself at {at} (attempt {attempt}), at once with {retry}"))
}

/// What went wrong before an agent that was started by itself.
pub(super) fn why(situation: &Situation, agent: &Agent) -> Option<&'static str> {
    let earlier = situation.agents.iter().rev().filter(|it| it.stage == agent.stage);
    let before = earlier.skip_while(|it| it.id != agent.id).nth(1)?;
    let AgentState::Ended(end) = &before.state else { return None };
    Mishap::of(end).map(|mishap| match mishap {
        Mishap::Crashed => "the agent's program ended without a result",
        Mishap::Model => "the model API was away",
        Mishap::Tools => "the agent could not reach Baton's tools",
        Mishap::Lost => "Baton was ended under the agent",
    })
}

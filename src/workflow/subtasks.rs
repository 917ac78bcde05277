//! Who goes on with the change: the plan's subtasks one after another, then a coding agent with all that
//! comes back.
//!
//! Nothing is noted of how far they are: it follows from the agents that have ended. The session of a subtask
//! ends with it, so that nobody goes on in the words and tools of another role.

use crate::model::{Agent, AgentId, Message, Part, Sha, Situation, StageKey};

use super::draft::Draft;

/// Starts whoever goes on with the change, in the session of its last attempt, told these besides.
pub(super) fn go_on(draft: &mut Draft<'_>, messages: Vec<Message>, base: Sha) {
    let part = next(draft.s);
    let resumes = last_of(draft.s, part).map(|agent| agent.id);
    draft.start_part(StageKey::Code, part, resumes, messages, base);
}

/// Starts the first or the next subtask in a session of its own; a coding agent where nothing is divided.
pub(super) fn begin(draft: &mut Draft<'_>, base: Sha) {
    let part = next(draft.s);
    draft.start_part(StageKey::Code, part, None, Vec::new(), base);
}

/// The subtask that is next; none where a coding agent is.
pub(super) fn next(s: &Situation) -> Option<Part> {
    s.next_subtask().map(|subtask| subtask.part())
}

/// The last agent that played this part of the coding stage, or that stage as a whole.
pub(super) fn last_of(s: &Situation, part: Option<Part>) -> Option<&Agent> {
    let subtask = part.map(|part| part.subtask);
    s.agents.iter().rev().find(|agent| agent.stage == StageKey::Code && agent.subtask == subtask)
}

/// The coding agent that everything comes back to.
pub(super) fn coder(s: &Situation) -> Option<AgentId> {
    last_of(s, None).map(|agent| agent.id)
}

/// What the next subtask starts from.
pub(super) fn left_by(agent: &Agent) -> Sha {
    agent.head.clone().unwrap_or_else(|| agent.base.clone())
}

/// The commit that goes out now that this agent is the last to have worked on the change; none where
/// nothing was committed, or what was is given up.
pub(super) fn result<'s>(s: &'s Situation, agent: &'s Agent) -> Option<&'s Sha> {
    let head = match agent.role.writes() {
        true => agent.head.as_ref()?,
        false => Some(&agent.base).filter(|base| s.is_made_here(base))?,
    };
    (head != begun_at(s, agent)).then_some(head)
}

/// Where the work began of which this agent did the last.
fn begun_at<'s>(s: &'s Situation, agent: &'s Agent) -> &'s Sha {
    let first = s.agents.iter().find(|it| it.stage == agent.stage && it.subtask.is_some());
    first.filter(|_| agent.subtask.is_some()).map_or(&agent.base, |first| &first.base)
}

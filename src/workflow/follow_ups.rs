//! What agents notice outside of their task: it is shown, and a person may have an issue opened for it.

use crate::model::{Act, AgentId, NotHere, Reaction, ReportKind, Situation};

use super::{Decision, Effect, draft::Draft};

/// An agent noticed something: the progress comment names it at once.
pub(super) fn noted(mut draft: Draft<'_>, number: u32) -> Decision {
    if draft.s.follow_up(number).is_none() {
        return draft.nothing("unknown_follow_up");
    }
    draft.add(Effect::Raise(ReportKind::Progress));
    draft.rule("follow_up_noted")
}

/// An agent has ended, whichever way: what it noticed gets its boxes, now that nothing can be added.
pub(super) fn offer(mut decision: Decision, situation: &Situation, agent: AgentId) -> Decision {
    if situation.noticed_by(agent).next().is_some() {
        decision.effects.push(Effect::Raise(ReportKind::FollowUps(agent)));
    }
    decision
}

/// A person wants an issue of it. Nothing else comes of that: the issue has no label.
pub(super) fn taken(mut draft: Draft<'_>, number: u32) -> Decision {
    const WORD: &str = "follow-up";
    let Some(follow_up) = draft.s.follow_up(number) else {
        return draft.decline(WORD, NotHere::NoFollowUp);
    };
    if let Some(issue) = follow_up.issue {
        return draft.decline(WORD, NotHere::OpenedAlready { issue });
    }
    if draft.s.repository.off {
        return draft.decline(WORD, NotHere::Off);
    }
    draft.react(Reaction::Rocket);
    draft.add(Effect::Act(Act::OpenFollowUp { number }));
    draft.rule("issue_wanted")
}

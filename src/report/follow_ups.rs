//! What agents noticed outside of their task: a line each in the progress comment, a box each in a comment of
//! their own, and the issue that a person has opened for one.

use crate::model::{Agent, AgentId, Desired, FollowUp, ReportKind, Situation, Task};

use super::audit::{MARKER_ROOM, NewIssue};
use super::commands::typed;
use super::evidence::folded;
use super::figures::count;
use super::fit::{COMMENT, fit};
use super::kept::upper_first;
use super::marker::{Marker, marker};
use super::question::whose;
use super::quote::{block, line, plain};

/// Longest title that is shown, in characters; the tool takes no longer one.
const TITLE: usize = 160;
/// Longest text.
const TEXT: usize = 5000;

/// What the comment with an agent's follow-ups should be: new, so that it is seen, and never edited.
///
/// It comes once the agent has ended, with all that it noticed; it folds away when each has its issue.
#[must_use]
pub fn follow_ups(situation: &Situation, task: &Task, agent: AgentId) -> Desired {
    let noticed: Vec<&FollowUp> = situation.noticed_by(agent).collect();
    let ended = situation.agent(agent).is_some_and(Agent::has_ended);
    if noticed.is_empty() || !ended {
        return Desired::Nothing;
    }
    let marker = Marker::of_report(task.id, &ReportKind::FollowUps(agent)).write(&situation.name);
    let body = format!("{marker}\n{}", text(situation, agent, &noticed));
    let minimised = noticed.iter().all(|it| it.issue.is_some());
    Desired::Comment { body: fit(&body, COMMENT), minimised, frozen: true }
}

fn text(situation: &Situation, agent: AgentId, noticed: &[&FollowUp]) -> String {
    let who = upper_first(whose(situation, agent));
    let things = count(noticed.len(), "thing");
    let opening = format!("{who} noticed {things} outside of its task. In its words:");
    let boxes: Vec<String> = noticed.iter().map(|it| format!("- [ ] {}", numbered(it))).collect();
    let first = noticed.first().map_or(1, |it| it.number);
    let take = typed(situation, &format!("follow-up {first}"));
    let how = format!(
        "Tick one, or comment {take}, and Baton opens an issue for it. Nobody has checked it, and nothing starts by it."
    );
    let details =
        noticed.iter().map(|it| folded(&format!("{}.", it.number), &block(&it.text, TEXT)));
    let details: Vec<String> = details.collect();
    [opening, boxes.join("\n"), how, details.join("\n\n")].join("\n\n")
}

/// `**2.** the title`: a tick is read by what stands first.
fn numbered(follow_up: &FollowUp) -> String {
    format!("**{}.** {}", follow_up.number, line(&follow_up.title, TITLE))
}

/// The follow-ups of all agents, a line each, for the comment that has no boxes.
#[must_use]
pub fn noticed(situation: &Situation) -> String {
    if situation.follow_ups.is_empty() {
        return String::new();
    }
    let lines = situation.follow_ups.iter().map(|it| match it.issue {
        Some(issue) => format!("- {} → #{issue}", numbered(it)),
        None => format!("- {}", numbered(it)),
    });
    let lines: Vec<String> = lines.collect();
    format!("Outside of this task, in the agents' words:\n\n{}", lines.join("\n"))
}

/// The issue that a person wants of one. Its text is the agent's, and it has no label.
#[must_use]
pub fn follow_up_issue(situation: &Situation, task: &Task, follow_up: &FollowUp) -> NewIssue {
    let name = &situation.name;
    let parts = [
        block(&follow_up.text, 20_000),
        format!(
            "To have it done, put the label `{name}` on this issue. If it is wrong, close it.\n\n\
             <sub>Noticed by {} while Baton was at work on #{}; opened because a person asked for it, and not \
             checked by anybody.</sub>",
            whose(situation, follow_up.agent),
            task.number
        ),
    ];
    let title = plain(&follow_up.title, 256);
    let title = if title.is_empty() { format!("Noticed in #{}", task.number) } else { title };
    let marker = marker(name, task.id, "follow_up", &follow_up.number.to_string());
    NewIssue { marker, title, body: fit(&parts.join("\n\n"), COMMENT - MARKER_ROOM) }
}

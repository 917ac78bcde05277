//! What is known of one stage on one commit.

use crate::model::{Agent, CommandRun, RunKind, Sha, Situation, Stage, StageKey, StageState};

/// What is known of one stage on one commit.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The stage's row.
    pub stage: Option<&'a Stage>,
    /// Whether the stage's row is about this commit.
    pub current: bool,
    /// The newest agent that worked on this commit.
    pub agent: Option<&'a Agent>,
    /// The newest run of the repository's commands on this commit.
    pub run: Option<&'a CommandRun>,
}

impl<'a> Seen<'a> {
    /// Looks for it.
    #[must_use]
    pub fn of(situation: &'a Situation, key: StageKey, head: &Sha) -> Self {
        let stage = situation.stage(key);
        // A plan is made before there is a commit to show it on: it stands on every head of the task.
        let current =
            key == StageKey::Plan || stage.is_some_and(|stage| stage.head.as_ref() == Some(head));
        let about = |agent: &&Agent| {
            agent.stage == key
                && match key {
                    StageKey::Code => agent.head.as_ref() == Some(head),
                    StageKey::Plan => true,
                    StageKey::Review | StageKey::Deploy | StageKey::Verify | StageKey::Audit => {
                        agent.base == *head
                    }
                }
        };
        let running = match stage.map(|stage| &stage.state) {
            Some(StageState::Running(id)) if current => situation.agent(*id),
            _ => None,
        };
        let agent = situation.agents.iter().rev().find(about).or(running);
        let kind = match key {
            StageKey::Code => Some(RunKind::Test),
            StageKey::Deploy => Some(RunKind::Deploy),
            StageKey::Verify => Some(RunKind::Verify),
            StageKey::Plan | StageKey::Review | StageKey::Audit => None,
        };
        let run =
            situation.runs.iter().rev().find(|run| Some(run.kind) == kind && run.sha == *head);
        Self { stage, current, agent, run }
    }
}

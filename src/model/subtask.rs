//! How a plan is divided: consecutive steps of one role make a subtask, which an agent of its own plays.
//!
//! Most plans name no role. They have one subtask, a coding agent's, and nobody hears of subtasks.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{
    Agent, AgentState, CodeOutcome, End, Message, Outcome, PlanOutcome, PlanStep, Role, Situation,
    StageKey,
};

/// Who can do a step of a plan, by the names that starters write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepRole {
    /// Writes the change.
    Coding,
    /// Changes how code is written and not what it does.
    Refactor,
    /// Writes tests for what is there.
    TestGeneration,
    /// Answers a question about the repository.
    Analysis,
    /// Does what none of the others is for.
    Generic,
}

impl StepRole {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Coding, Self::Refactor, Self::TestGeneration, Self::Analysis, Self::Generic];

    /// The role.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Coding => Role::Coding,
            Self::Refactor => Role::Refactor,
            Self::TestGeneration => Role::TestGeneration,
            Self::Analysis => Role::Analysis,
            Self::Generic => Role::Generic,
        }
    }
}

/// Consecutive steps of a plan that one agent does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtask {
    /// From 1.
    pub number: u32,
    /// By whom.
    pub role: Role,
    /// The steps, by their place from 0.
    pub steps: Range<usize>,
}

/// What an agent of the coding stage plays of a divided plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The subtask's number, from 1.
    pub subtask: u32,
    /// In which role.
    pub role: Role,
}

impl Subtask {
    /// The same as what an agent plays.
    #[must_use]
    pub fn part(&self) -> Part {
        Part { subtask: self.number, role: self.role }
    }

    /// Its steps, by the numbers that people see: `step 2`, `steps 2–4`.
    #[must_use]
    pub fn steps_in_words(&self) -> String {
        match (self.steps.start + 1, self.steps.end) {
            (first, last) if first == last => format!("step {first}"),
            (first, last) => format!("steps {first}–{last}"),
        }
    }
}

impl PlanStep {
    /// Who does it.
    #[must_use]
    pub fn by(&self) -> Role {
        self.role.map_or(Role::Coding, StepRole::role)
    }
}

impl PlanOutcome {
    /// Its subtasks: all steps in order, each in one.
    #[must_use]
    pub fn subtasks(&self) -> Vec<Subtask> {
        let mut subtasks: Vec<Subtask> = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            match subtasks.last_mut() {
                Some(last) if last.role == step.by() => last.steps.end = place + 1,
                last => {
                    let number = last.map_or(1, |last| last.number + 1);
                    subtasks.push(Subtask { number, role: step.by(), steps: place..place + 1 });
                }
            }
        }
        subtasks
    }
}

impl Situation {
    /// The subtasks of the newest plan; none where a coding agent plays all of it.
    #[must_use]
    pub fn subtasks(&self) -> Vec<Subtask> {
        let subtasks = self.plan().map(|plan| plan.body.subtasks()).unwrap_or_default();
        match subtasks.as_slice() {
            [Subtask { role: Role::Coding, .. }] => Vec::new(),
            _ => subtasks,
        }
    }

    /// The subtask that an agent plays.
    #[must_use]
    pub fn subtask_of(&self, agent: &Agent) -> Option<Subtask> {
        self.subtasks().into_iter().find(|subtask| Some(subtask.number) == agent.subtask)
    }

    /// The first subtask of a divided plan that no agent has carried out. Whoever has carried out the
    /// whole, has carried out all of them.
    #[must_use]
    pub fn next_subtask(&self) -> Option<Subtask> {
        let done = || self.agents.iter().filter(|agent| agent.has_coded());
        if done().any(|agent| agent.subtask.is_none()) {
            return None;
        }
        let last = done().filter_map(|agent| agent.subtask).max().unwrap_or(0);
        self.subtasks().into_iter().find(|subtask| subtask.number > last)
    }

    /// Those who carried out subtasks, in order; before a subtask's number where one is named.
    pub fn parts_done(&self, before: Option<u32>) -> impl Iterator<Item = &Agent> {
        let is_before = move |number: u32| before.is_none_or(|before| number < before);
        let done = self.agents.iter().filter(|agent| agent.has_coded());
        done.filter(move |agent| agent.subtask.is_some_and(is_before))
    }
}

impl Situation {
    /// Those who made the change as it is, with their word on it: the newest coder; all parts of a divided
    /// plan, in order, where nothing came back of it yet.
    #[must_use]
    pub fn newest_coders(&self) -> Vec<(&Agent, &CodeOutcome)> {
        let said = self.agents.iter().filter_map(|agent| match &agent.outcome {
            Some(Outcome::Code(code)) => Some((agent, code)),
            Some(
                Outcome::Plan(_)
                | Outcome::Review(_)
                | Outcome::Deploy(_)
                | Outcome::Verify(_)
                | Outcome::Audit(_)
                | Outcome::Analysis(_),
            )
            | None => None,
        });
        let said: Vec<_> = said.collect();
        let newest = said.iter().rposition(|(agent, _)| agent.subtask.is_none());
        match newest {
            Some(newest) if newest + 1 == said.len() => said[newest..].to_vec(),
            _ => said.into_iter().filter(|(agent, _)| agent.subtask.is_some()).collect(),
        }
    }
}

impl Agent {
    /// What it plays of a divided plan.
    #[must_use]
    pub fn part(&self) -> Option<Part> {
        self.subtask.map(|subtask| Part { subtask, role: self.role })
    }

    /// Whether it has carried out what it was started for on the change.
    fn has_coded(&self) -> bool {
        self.stage == StageKey::Code && self.state == AgentState::Ended(End::Succeeded)
    }

    /// What people wanted otherwise when it was started.
    pub fn wishes(&self) -> impl Iterator<Item = &Message> {
        let told = self.inputs.messages.iter();
        told.filter(|message| matches!(message, Message::Revise { .. }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::sample;

    fn plan(roles: &[Option<StepRole>]) -> PlanOutcome {
        let step =
            |role: &Option<StepRole>| PlanStep { title: "t".into(), files: vec![], role: *role };
        PlanOutcome { steps: roles.iter().map(step).collect(), ..sample::plan().body }
    }

    fn any_role() -> impl Strategy<Value = Option<StepRole>> {
        prop_oneof![Just(None), proptest::sample::select(StepRole::ALL.to_vec()).prop_map(Some)]
    }

    proptest! {
        #[test]
        fn subtasks_hold_each_step_once_in_order_and_neighbours_differ(
            roles in proptest::collection::vec(any_role(), 0..13),
        ) {
            let plan = plan(&roles);
            let subtasks = plan.subtasks();
            let steps: Vec<usize> =
                subtasks.iter().flat_map(|subtask| subtask.steps.clone()).collect();
            prop_assert_eq!(steps, (0..roles.len()).collect::<Vec<_>>());
            for (place, subtask) in subtasks.iter().enumerate() {
                prop_assert_eq!(subtask.number as usize, place + 1);
                prop_assert!(!subtask.steps.is_empty());
                prop_assert!(plan.steps[subtask.steps.clone()].iter().all(|it| it.by() == subtask.role));
            }
            prop_assert!(subtasks.windows(2).all(|pair| pair[0].role != pair[1].role));
        }
    }

    #[test]
    fn a_plan_of_coding_steps_alone_is_not_divided() {
        let mut situation = sample::situation();
        let mut subtasks = |roles: &[Option<StepRole>]| {
            situation.plans = vec![crate::model::Plan { body: plan(roles), ..sample::plan() }];
            let told = situation.subtasks();
            told.iter().map(|it| format!("{} {}", it.role.name(), it.steps_in_words())).collect()
        };
        let none: [String; 0] = [];
        let (coding, tests) = (Some(StepRole::Coding), Some(StepRole::TestGeneration));
        let divided: Vec<String> = subtasks(&[None, coding, tests]);
        assert_eq!(divided, ["coding steps 1–2", "test-generation step 3"]);
        let whole: Vec<String> = subtasks(&[None, coding]);
        assert_eq!(whole, none);
        let of_another: Vec<String> = subtasks(&[tests]);
        assert_eq!(of_another, ["test-generation step 1"]);
    }
}

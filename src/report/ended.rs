//! How an agent ended, in words: what happened and what continues.

use crate::model::{
    Agent, CancelledBy, Conclusion, End, FailKind, QuestionId, RunState, Situation, StageKey,
    Untrusted, Watchdog,
};

use super::figures::moment;
use super::limits::{after_quota, money_sentence, refused_at};
use super::people::ended_by;
use super::question::how;
use super::quote::line;
use super::setup::setup_failed;

/// An agent's end that is no success, ready to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What a check says of it.
    pub conclusion: Conclusion,
    /// A line without Markdown, at most 100 characters.
    pub title: String,
    /// What happened, in Markdown.
    pub what: String,
    /// What continues: a command or the fact that nothing has to be done.
    pub next: String,
}

/// Words for an end; none for a success, whose words are its outcome.
#[must_use]
pub fn ending(situation: &Situation, agent: &Agent, end: &End) -> Option<Ending> {
    let name = &situation.name;
    let stage = agent.stage.name();
    let said = match end {
        End::Succeeded => return None,
        End::Asked(question) => asked(situation, agent, *question),
        End::Failed(kind) => failed(situation, agent.stage, kind),
        End::OutOfQuota { until } => {
            let until = moment(*until, situation.now);
            Ending {
                conclusion: Conclusion::Cancelled,
                title: format!("no quota until {until}"),
                what: format!("{} gives no more until {until}.", provider(agent)),
                next: after_quota(situation),
            }
        }
        End::OutOfBudget => Ending {
            conclusion: Conclusion::ActionRequired,
            title: "its money is spent".to_owned(),
            what: money_sentence(agent),
            next: "The progress comment says how to go on.".to_owned(),
        },
        End::TimedOut(watchdog) => timed_out(situation, agent, *watchdog),
        End::Cancelled(by) => {
            let next = match by {
                CancelledBy::Shutdown => "It goes on by itself after the restart.".to_owned(),
                CancelledBy::Superseded => "Nothing to do.".to_owned(),
                CancelledBy::Person(_) | CancelledBy::Operator => {
                    format!("`/{name} resume` goes on.")
                }
            };
            let by = ended_by(situation, by);
            Ending {
                conclusion: Conclusion::Cancelled,
                title: format!("ended by {by}"),
                what: format!("The {stage} agent was ended by {by}."),
                next,
            }
        }
        End::Lost => Ending {
            conclusion: Conclusion::Cancelled,
            title: "Baton was restarted under it".to_owned(),
            what: format!(
                "Baton stopped while the {stage} agent was at work, and the agent with it."
            ),
            next: format!("If no new attempt appears here: `/{name} retry`."),
        },
    };
    Some(said)
}

/// An agent that asked is gone; another goes on with the answer.
fn asked(situation: &Situation, agent: &Agent, id: QuestionId) -> Ending {
    let stage = agent.stage.name();
    let question = situation.question(id);
    let number = question.map_or_else(String::new, |question| format!(" Q{}", question.number));
    let waits = situation.waiting_question().is_some_and(|waiting| waiting.id == id);
    let next = match question {
        Some(question) if waits => {
            format!("{} It goes on then.", how(situation, question, "Tick one on the thread"))
        }
        Some(_) | None => "It goes on with the answer.".to_owned(),
    };
    Ending {
        conclusion: if waits { Conclusion::ActionRequired } else { Conclusion::Neutral },
        title: format!("asked a person{number}"),
        what: format!("The {stage} agent asked a person and ended; the question is on the thread."),
        next,
    }
}

/// Words for a failure of a stage.
#[must_use]
pub fn failed(situation: &Situation, stage: StageKey, kind: &FailKind) -> Ending {
    let (title, what, next) = words(situation, stage, kind);
    Ending { conclusion: conclusion(kind), title: title.to_owned(), what, next }
}

/// Title, what happened and what continues.
type Words = (&'static str, String, String);

fn words(situation: &Situation, stage: StageKey, kind: &FailKind) -> Words {
    let verb = stage.name();
    let retry = format!("`/{} retry`", situation.name);
    // What a plain retry can settle.
    let again = |title, what: &str, why: &str| {
        (title, format!("{what}: {}", detail(why)), format!("{retry} tries again."))
    };
    match kind {
        FailKind::Setup(why) => not_begun(situation, stage, kind, why),
        FailKind::Provider(why) => {
            again("the agent's program failed", "The agent's program failed", why)
        }
        FailKind::InvalidOutcome(why) => again(
            "the agent's answer could not be used",
            &format!("The {verb} agent's answer was not of the agreed form, also when asked again"),
            why,
        ),
        FailKind::Model(why) => model_refused(situation, stage, why),
        FailKind::Away(why) => {
            again("the model API was away", "The model API failed or did not answer", why)
        }
        FailKind::Tools(why) => again(
            "the agent could not reach Baton's tools",
            "The agent was ended early, as it could not reach Baton's tools",
            why,
        ),
        FailKind::Resources(excess) => (
            "took too much of the machine",
            format!(
                "The {verb} agent took {} and was ended; others were not touched.",
                excess.words()
            ),
            format!("{retry} tries again; that setting is for whoever runs the server."),
        ),
        FailKind::Commands => commands_failed(situation, stage),
        FailKind::Verdict => (
            "not good enough",
            format!("What was looked at in *{verb}* did not pass; the evidence is in its check."),
            format!("{retry} looks again, once the cause is gone."),
        ),
        FailKind::Unpushed(commit) => (
            "the change could not be pushed",
            format!("`{}` is kept, and could not be pushed where it goes.", commit.short()),
            format!("{retry} pushes it once the cause is gone."),
        ),
        FailKind::Crashed(how) if broken_run(situation, stage) => (
            "the commands were interrupted",
            format!("Nobody knows how far the commands came: {}", detail(how)),
            format!("look first; then {retry} runs them again."),
        ),
        FailKind::Crashed(how) => again(
            "the agent's program ended without a result",
            "The agent's program ended without a result",
            how,
        ),
    }
}

/// Whether the failure is the change's own, or something that a person has to see to.
fn conclusion(kind: &FailKind) -> Conclusion {
    match kind {
        FailKind::Commands | FailKind::Verdict => Conclusion::Failure,
        FailKind::Setup(_)
        | FailKind::Provider(_)
        | FailKind::InvalidOutcome(_)
        | FailKind::Model(_)
        | FailKind::Away(_)
        | FailKind::Tools(_)
        | FailKind::Unpushed(_)
        | FailKind::Crashed(_)
        | FailKind::Resources(_) => Conclusion::ActionRequired,
    }
}

/// What a program or a server said, short and harmless.
fn detail(text: &str) -> String {
    line(&Untrusted::from(text), 600)
}

fn not_begun(situation: &Situation, stage: StageKey, kind: &FailKind, why: &str) -> Words {
    let plain = || format!("The {} stage could not begin: {}", stage.name(), detail(why));
    let what = setup_failed(situation, stage, kind).unwrap_or_else(plain);
    let next = format!("`/{} retry` tries again once that is settled.", situation.name);
    ("could not begin", what, next)
}

/// A limit of this server or of policy, or else the API itself.
fn model_refused(situation: &Situation, stage: StageKey, why: &str) -> Words {
    let limited = situation.last_agent(stage).and_then(|agent| refused_at(situation, agent));
    limited.unwrap_or_else(|| {
        let next = format!(
            "`/{} retry` tries again; a refused key or model is for whoever runs the server.",
            situation.name
        );
        ("the model API refused", format!("The model API refused: {}", detail(why)), next)
    })
}

fn commands_failed(situation: &Situation, stage: StageKey) -> Words {
    let name = &situation.name;
    let run = situation
        .runs
        .iter()
        .rev()
        .find(|run| run.stage == stage)
        .filter(|run| !matches!(run.state, RunState::Ended { passed: true, .. }));
    let what = run.map_or_else(
        || "A command of the repository failed.".to_owned(),
        |run| format!("{}.", super::kept::upper_first(&super::evidence::in_short(run))),
    );
    let next = match stage {
        StageKey::Code => {
            format!("`/{name} fix` lets the coder work on it, `/{name} retry` runs it again.")
        }
        StageKey::Plan
        | StageKey::Review
        | StageKey::Deploy
        | StageKey::Verify
        | StageKey::Audit => {
            format!("`/{name} retry` runs it again.")
        }
    };
    ("a command failed", what, next)
}

/// Whether it was commands that broke off, not an agent.
fn broken_run(situation: &Situation, stage: StageKey) -> bool {
    let run = situation.runs.iter().rev().find(|run| run.stage == stage);
    run.is_some_and(|run| matches!(run.state, RunState::Broken { .. }))
}

fn timed_out(situation: &Situation, agent: &Agent, watchdog: Watchdog) -> Ending {
    let stage = agent.stage.name();
    let (title, what) = match watchdog {
        Watchdog::Total => ("ran out of time", "used up its time"),
        Watchdog::Silence => ("fell silent", "said nothing for too long"),
        Watchdog::Linger => ("did not end", "did not go after it had ended its work"),
    };
    Ending {
        conclusion: Conclusion::TimedOut,
        title: title.to_owned(),
        what: format!("The {stage} agent {what} and was ended."),
        next: format!("`/{} retry` tries again.", situation.name),
    }
}

fn provider(agent: &Agent) -> String {
    super::quote::code(&agent.provider)
}

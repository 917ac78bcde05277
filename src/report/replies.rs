//! Short answers to commands: what was done, or why not, and what would do.

use crate::model::{NotHere, Outcome, Permission, Reply, Situation};

use super::commands::{in_a_line, meaning, sensible, typed, usage};
use super::figures::{count, spent};
use super::progress::headline;
use super::question::answered;
use super::quote::code;
use super::steps::checklist;

/// The words of an answer, in Markdown without a marker.
#[must_use]
pub fn reply(situation: &Situation, reply: &Reply) -> String {
    match reply {
        Reply::Help => help(situation),
        Reply::Status => status(situation),
        Reply::Unknown { word, near } => mistyped(situation, word, near.as_deref()),
        Reply::NotAllowed { command, needs } => format!(
            "{} needs {} access here. Nothing was done.",
            typed(situation, &plain_word(command)),
            access(*needs)
        ),
        Reply::Edited { command } => format!(
            "An edited comment cannot give {}, nothing was done. Write it in a new comment.",
            typed(situation, &plain_word(command))
        ),
        Reply::NotHere { command, why } => not_here(situation, command, why),
        Reply::SwitchedOff => format!(
            "Baton is off in this repository. What was at work is being stopped and kept; nothing new starts. {} switches it on.",
            typed(situation, "on")
        ),
        Reply::SwitchedOn => format!(
            "Baton is on in this repository. What was stopped stays so until {} on its thread.",
            typed(situation, "resume")
        ),
        Reply::AnsweredByDefault { question } => {
            let asked = situation.question(*question).and_then(answered);
            let asked = asked.unwrap_or_else(|| "Nobody answered in time.".to_owned());
            format!("{asked}\n\nBaton goes on with that. {}", also(situation))
        }
        Reply::Audited { agent } => {
            match situation.agent(*agent).and_then(|agent| agent.outcome.as_ref()) {
                Some(Outcome::Audit(outcome)) => super::audit::audit_summary(outcome),
                _ => "The audit left no result.".to_owned(),
            }
        }
    }
}

/// A refusal: what was asked, why nothing happens, what would do.
fn not_here(situation: &Situation, command: &str, why: &NotHere) -> String {
    let command = typed(situation, &plain_word(command));
    let reason = match why {
        NotHere::NoTask => "Baton is not at work on this thread".to_owned(),
        NotHere::NoIssue => {
            "it needs an open issue to work on, and a default branch with a commit".to_owned()
        }
        NotHere::NoPull => "there is no pull request to read here".to_owned(),
        NotHere::NoPlan => "no plan waits for an answer".to_owned(),
        NotHere::OtherPlan { current } => {
            let approve = typed(situation, &format!("approve {current}"));
            return format!(
                "That is not the newest plan, nothing was approved. The newest is `{current}`: read it, then {approve}."
            );
        }
        NotHere::OtherCommit { current } => {
            let approve = typed(situation, &format!("approve {current}"));
            return format!(
                "That is not the commit that waits, nothing was pushed. `{current}` waits: read what it changes, then {approve}."
            );
        }
        NotHere::NoQuestion => "no question waits for an answer".to_owned(),
        NotHere::Unanswered { question } => {
            let answer = typed(situation, &format!("answer {question}: <your answer>"));
            format!("question Q{question} waits for an answer first: {answer}")
        }
        NotHere::NoSuchOption { options } => {
            format!("the question has {} to choose from", count(*options as usize, "option"))
        }
        NotHere::NoFollowUp => {
            "no agent noticed anything under that number on this thread".to_owned()
        }
        NotHere::OpenedAlready { issue } => format!("#{issue} was opened for it already"),
        NotHere::Busy => "Baton is at it already".to_owned(),
        NotHere::NothingToFix => "no finding of Baton's own pull request is left to fix".to_owned(),
        NotHere::NothingToResume => "nothing was stopped or parked".to_owned(),
        NotHere::Over => "the task is over".to_owned(),
        NotHere::BeyondPolicy => {
            "the repository's policy does not go so far (`until` in `.github/baton.yml`)".to_owned()
        }
        NotHere::Off => {
            format!("Baton is off in this repository; {} switches it on", typed(situation, "on"))
        }
        NotHere::NotServed => {
            "this server does not serve the account; its operator lists accounts under `[limits]`"
                .to_owned()
        }
        NotHere::Closed => "the thread is closed".to_owned(),
        NotHere::NoSuchProvider { have } => format!(
            "it has to name one of the providers that this server has, as in {}: {}",
            typed(
                situation,
                &format!("provider {}", have.first().map_or("claude", String::as_str))
            ),
            have.join(", ")
        ),
        NotHere::NoAmount => format!(
            "it has to say how many dollars to add, as in {}",
            typed(situation, "budget +2")
        ),
        NotHere::OverLimit { limit } => {
            let budget = situation.task.as_ref().map_or(*limit, |task| task.budget);
            format!(
                "this server lets no task cost more than {limit}, and this one may cost {budget} already; whoever runs the server can raise `max_usd_per_task`"
            )
        }
    };
    format!("{command} does nothing here: {reason}. {}", also(situation))
}

fn help(situation: &Situation) -> String {
    let here = sensible(situation)
        .into_iter()
        .map(|(usage, what)| format!("- {}: {what}", typed(situation, &usage)));
    let here: Vec<String> = here.collect();
    let rest = crate::model::Command::WORDS.into_iter().filter_map(|word| {
        Some(format!("- {}: {}", typed(situation, &usage(word)), meaning(word)?))
    });
    let all = super::evidence::folded("All commands", &rest.collect::<Vec<_>>().join("\n"));
    format!(
        "Here and now:\n\n{}\n\n{all}\n\n<sub>At the start of a line, in a new comment; `@{} …` does the same.</sub>",
        here.join("\n"),
        situation.slug
    )
}

fn status(situation: &Situation) -> String {
    let Some(task) = &situation.task else {
        return format!("Baton has nothing to do here. {}", also(situation));
    };
    let said = headline(situation, task).replace('@', "");
    let commands = in_a_line(situation);
    format!(
        "**Baton:** {said}\n\n{}\n\n<sub>{} · {commands}</sub>",
        checklist(situation),
        spent(situation)
    )
}

fn mistyped(situation: &Situation, word: &str, near: Option<&str>) -> String {
    let asked = code(&format!("/{} {word}", situation.name));
    let guess = near.and_then(|near| meaning(near).map(|_| near)).map(|near| {
        let plan = situation.plan().filter(|_| near == "approve");
        let plan = plan.map(|plan| format!(" (plan `{}`)", plan.hash.short())).unwrap_or_default();
        format!(" Did you mean {}{plan}?", typed(situation, near))
    });
    let here: Vec<String> = sensible(situation)
        .into_iter()
        .filter(|(usage, _)| Some(usage.split(' ').next().unwrap_or("")) != near)
        .map(|(usage, _)| format!("`{usage}`"))
        .chain(["`help`".to_owned()])
        .collect();
    format!(
        "> {asked}\n\nNo such command, nothing was done.{}\n\n<sub>Also here: {}</sub>",
        guess.unwrap_or_default(),
        here.join(" · ")
    )
}

fn also(situation: &Situation) -> String {
    format!("Here and now: {}", in_a_line(situation))
}

/// A command's word as it may stand inside a code span.
fn plain_word(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric() || *c == '-').take(40).collect()
}

fn access(needs: Permission) -> &'static str {
    match needs {
        Permission::None | Permission::Read => "read",
        Permission::Triage => "triage",
        Permission::Write => "write",
        Permission::Maintain => "maintain",
        Permission::Admin => "admin",
    }
}

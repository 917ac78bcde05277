//! Which commands make sense here and now, and what each does.

use crate::model::{FindingState, ParkReason, Situation, TaskOrigin, TaskState, WaitFor};

/// A command as people type it (without the prefix), and what it does.
pub type Usage = (String, &'static str);

/// What a command does; none for a word that is no command.
#[must_use]
pub fn meaning(word: &str) -> Option<&'static str> {
    let said = match word {
        "plan" => "plans the issue, or plans it again",
        "approve" => {
            "accepts the newest plan, or what the hash names: a plan, or a commit that waits to be pushed"
        }
        "revise" => "plans again with your words",
        "reject" => "turns down what waits, a plan or a push, and ends the task",
        "answer" => "answers what an agent asked: an option's number, or words",
        "follow-up" => "opens an issue for what an agent noticed outside of its task",
        "fix" => "lets the coder settle what is open",
        "review" => "reads the pull request, or reads it again",
        "audit" => "looks over the repository and opens issues for what it finds",
        "retry" => "runs the failed stage again, or now what is tried again later",
        "stop" => "stops the task and keeps what there is; with now its agents are killed",
        "resume" => "goes on after a stop or a parking",
        "budget" => {
            "lets the task cost so many dollars more, and goes on where that was what it lacked"
        }
        "provider" => {
            "lets another provider play this task's agents, and goes on where quota was what it lacked"
        }
        "off" => "switches Baton off in this repository",
        "on" => "switches Baton on in this repository",
        "status" => "says where the task stands",
        "help" => "says what can be done here",
        _ => return None,
    };
    Some(said)
}

/// The command with its arguments as help shows them.
#[must_use]
pub fn usage(word: &str) -> String {
    match word {
        "approve" => "approve [hash]".to_owned(),
        "revise" => "revise <what to change>".to_owned(),
        "reject" => "reject <why>".to_owned(),
        "answer" => "answer <n>: <your answer>".to_owned(),
        "follow-up" => "follow-up <n>".to_owned(),
        "budget" => "budget +<dollars>".to_owned(),
        "provider" => "provider <name>".to_owned(),
        other => other.to_owned(),
    }
}

/// The commands that do something in this situation, the likeliest first.
#[must_use]
pub fn sensible(situation: &Situation) -> Vec<Usage> {
    if situation.repository.off {
        return with_meaning(&["on", "status"]);
    }
    if let Some(question) = situation.waiting_question() {
        let usage = usage("answer").replace("<n>", &question.number.to_string());
        let answer = meaning("answer").map(|meaning| (usage, meaning));
        return answer.into_iter().chain(with_meaning(&["stop"])).collect();
    }
    let Some(task) = &situation.task else { return with_meaning(&["plan", "review", "audit"]) };
    if let TaskState::Waiting(WaitFor::PushApproval(head)) = &task.state {
        let mut usages = with_meaning(&["approve", "revise", "reject", "stop"]);
        usages[0] = (format!("approve {}", head.named()), "lets this commit be pushed");
        return usages;
    }
    let open = situation.findings.iter().any(|finding| finding.state == FindingState::Open);
    let words: &[&str] = match (&task.state, task.origin) {
        (TaskState::Waiting(WaitFor::PlanApproval(_) | WaitFor::PushApproval(_)), _) => {
            &["approve", "revise", "reject", "stop"]
        }
        (TaskState::Waiting(WaitFor::Merge(_)), _) if open => &["fix", "review", "stop"],
        (TaskState::Waiting(WaitFor::Merge(_)), _) => &["review", "stop"],
        (TaskState::Open | TaskState::Waiting(WaitFor::Answer(_)), _) => &["stop", "status"],
        (TaskState::Parked(reason), _) => after_parking(reason),
        (TaskState::Done | TaskState::Cancelled { .. }, TaskOrigin::Pull) => &["review"],
        (TaskState::Done | TaskState::Cancelled { .. }, TaskOrigin::Audit) => &["audit"],
        (TaskState::Done | TaskState::Cancelled { .. }, TaskOrigin::Issue) => &["plan"],
    };
    with_meaning(words)
}

/// The same as one line: `` `/baton revise <what to change>` · `/baton stop` ``.
#[must_use]
pub fn in_a_line(situation: &Situation) -> String {
    let typed = sensible(situation).into_iter().map(|(usage, _)| typed(situation, &usage));
    typed.collect::<Vec<_>>().join(" · ")
}

/// A command as a code span with the prefix: `` `/baton stop` ``.
#[must_use]
pub fn typed(situation: &Situation, usage: &str) -> String {
    format!("`/{} {usage}`", situation.name)
}

fn after_parking(reason: &ParkReason) -> &'static [&'static str] {
    match reason {
        ParkReason::Budget => &["budget", "resume"],
        ParkReason::NoSandbox { .. } | ParkReason::Stopped(_) => &["resume"],
        ParkReason::Quota { .. } => &["resume", "stop"],
        ParkReason::NotConverging => &["fix", "resume"],
        ParkReason::Failed(_) => &["retry"],
        ParkReason::Refused(_) => &["retry"],
        ParkReason::PullClosed | ParkReason::BranchDeleted => &["resume"],
        ParkReason::Off => &["on", "resume"],
    }
}

fn with_meaning(words: &[&str]) -> Vec<Usage> {
    words.iter().filter_map(|word| Some((usage(word), meaning(word)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Command;

    #[test]
    fn every_command_is_explained_and_nothing_else_is() {
        for word in Command::WORDS {
            assert!(meaning(word).is_some(), "{word} has no explanation");
        }
        assert_eq!(meaning("aprove"), None);
    }
}

//! The comment by which Baton asks whether a commit may be pushed: with what it changes, and why it asks.

use crate::model::{
    Desired, Difference, PushPolicy, ReportKind, RunKind, Sha, Situation, Task, TaskState, WaitFor,
};

use super::commands::typed;
use super::evidence::{folded, newest};
use super::figures::count;
use super::fit::{COMMENT, fit};
use super::kept::upper_first;
use super::marker::Marker;
use super::people::who_acts;
use super::quote::{clip, code, fence};

/// How many files are listed.
const FILES: usize = 40;

/// How many characters of the difference are shown. Characters that hide are written out and grow, so
/// this counts them as they are shown: the box below the difference must never be cut off.
const SHOWN: usize = 42_000;

/// What the comment should be. The marker holds the whole commit id: a tick lets out that commit and no
/// other.
#[must_use]
pub fn asking_push(situation: &Situation, task: &Task, head: &Sha) -> Desired {
    let kind = ReportKind::AskingPush(head.clone());
    let marker =
        Marker { sha: Some(head.as_str().to_owned()), ..Marker::of_report(task.id, &kind) };
    let waits = task.state == TaskState::Waiting(WaitFor::PushApproval(head.clone()));
    let body = format!("{}\n{}", marker.write(&situation.name), text(situation, task, head));
    Desired::Comment { body: fit(&body, COMMENT), minimised: !waits, frozen: true }
}

fn text(situation: &Situation, task: &Task, head: &Sha) -> String {
    let who = who_acts(situation);
    let waits = format!("commit `{}` for this issue waits to be pushed", head.short());
    let first = if who.starts_with('@') {
        format!("{who} {waits}.")
    } else {
        format!("{}, by {who}.", upper_first(&waits))
    };
    let shown = situation.difference.as_ref().filter(|difference| difference.head == *head);
    let mut parts = vec![first, why(situation, task), evidence(situation, head)];
    parts.extend(shown.map(|difference| changed(situation, difference)));
    parts.push(format!("- [ ] **Push this commit** (`{}`)", head.named()));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// Why a person is asked at all.
#[must_use]
pub fn why(situation: &Situation, task: &Task) -> String {
    let runs = "a pushed branch is code that CI runs with this repository's secrets";
    if situation.policy.push == Some(PushPolicy::AfterApproval) {
        return format!("`.github/baton.yml` says `push: after-approval`: {runs}.");
    }
    if task.input.outsiders.is_empty() {
        return format!(
            "Its agents could search the web, where anybody writes (`web: true` in \
             `.github/baton.yml`), and {runs}: so read what it changes first."
        );
    }
    let logins: Vec<String> =
        task.input.outsiders.iter().take(5).map(|login| code(&clip(login, 40))).collect();
    format!(
        "Words of {}, without write access here, went into it, and {runs}: so read what it changes \
         first.",
        logins.join(", ")
    )
}

/// What Baton itself saw of the commit.
fn evidence(situation: &Situation, head: &Sha) -> String {
    let about = situation.last_run(RunKind::Test).is_some_and(|run| run.sha == *head);
    newest(situation, RunKind::Test).filter(|_| about).map_or_else(
        || "No tests were run on it: `test` in `.github/baton.yml` names none.".to_owned(),
        |said| format!("{}.", upper_first(&said)),
    )
}

/// The files, and the difference folded; where it is long its beginning, and where the rest is.
fn changed(situation: &Situation, difference: &Difference) -> String {
    let Difference { from, head, files, text, cut } = difference;
    let (added, removed) = files.iter().fold((0, 0), |sum, file| (sum.0 + file.1, sum.1 + file.2));
    let listed = files
        .iter()
        .take(FILES)
        .map(|(path, added, removed)| format!("- {} +{added} −{removed}", code(&clip(path, 200))));
    let mut listed: Vec<String> = listed.collect();
    if files.len() > FILES {
        listed.push(format!("- and {} more", files.len() - FILES));
    }
    let whole = text.as_code();
    let cut = *cut || whole.chars().count() > SHOWN;
    let title = if cut { "What it changes, the beginning" } else { "What it changes" };
    let mut said = format!(
        "{}, {} added, {removed} removed:\n\n{}\n\n{}",
        count(files.len(), "file"),
        count(added, "line"),
        listed.join("\n"),
        folded(title, &fence(&clip(&whole, SHOWN), "diff"))
    );
    if cut {
        let repository = situation.repository.id;
        said.push_str(&format!(
            "\n\n**That is not all of it.** The whole is on Baton's machine: in its data folder, \
             `git --git-dir=mirrors/{repository}.git diff {} {}` shows it.",
            from.named(),
            head.named()
        ));
    }
    said
}

/// What can be done about it, for the progress comment.
#[must_use]
pub fn act(situation: &Situation) -> String {
    let otherwise = super::commands::sensible(situation).into_iter();
    let typed: Vec<String> = otherwise.map(|(usage, _)| typed(situation, &usage)).collect();
    format!("Read what it changes below and tick the box there, or comment {}", typed.join(" · "))
}

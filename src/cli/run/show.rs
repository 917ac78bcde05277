//! What the terminal shows: who does what, and in the end what there is to look at.

use std::{collections::BTreeSet, time::Instant};

use serde_json::json;

use crate::{
    app::local::{Change, Done, Fetch, Kept, Left, Note, Repository, Work},
    cli::output::{plain, plain_lines},
    config::Agents,
    model::{Micros, Outcome, Refusal, Stop, TodoState, Untrusted},
};

/// How much of an agent's line is shown, in characters.
const WIDTH: usize = 110;

/// Lines for people, or one JSON object for each request that ended.
pub(super) struct Screen {
    json: bool,
    /// Whether lines have to say whose they are.
    several: bool,
    begun: Instant,
}

impl Screen {
    pub fn new(json: bool, requests: usize) -> Self {
        Self { json, several: requests > 1, begun: Instant::now() }
    }

    /// Says what is about to happen, and what it may cost.
    pub fn begin(&self, repository: &Repository, agents: &Agents, budget: Micros, bare: bool) {
        if bare {
            eprintln!(
                "NO SANDBOX: agents run on the bare machine, as was asked, and can do what you can."
            );
        }
        if self.json {
            return;
        }
        println!(
            "{} at {} · {} with {} · may cost up to {budget} in all",
            plain(&repository.name),
            repository.head.short(),
            agents.provider,
            agents.model
        );
        if repository.changed_files > 0 {
            println!(
                "{} file(s) that are not committed stay as they are; agents do not see them.",
                repository.changed_files
            );
        }
    }

    fn line(&self, work: &Work, what: &str) {
        let whose = if self.several { format!("{} ", work.number) } else { String::new() };
        self.say(&format!("{whose}{what}"));
    }

    fn say(&self, what: &str) {
        if !self.json {
            let what: String = plain(what).chars().take(WIDTH).collect();
            println!("{:>6.1} s  {what}", self.begun.elapsed().as_secs_f64());
        }
    }

    /// Names the hosts that were not let through, each once and whole, with the line that would allow it.
    fn kept_from(&self, fetched: &[Fetch]) {
        let blocked = fetched.iter().filter_map(|fetch| {
            let named = fetch.named();
            let remedy = fetch.blocked.as_ref()?.remedy(&named);
            Some(format!("not let through to {named}: {remedy}"))
        });
        for line in blocked.collect::<BTreeSet<_>>() {
            eprintln!("{}", plain(&line));
        }
    }

    /// Says what is run before the first agent, if anything is.
    pub fn sets_up(&self, commands: &[String]) {
        for command in commands {
            self.say(&format!("set-up: {command}"));
        }
    }

    /// Shows what a set-up prints, and which hosts it was kept from.
    pub fn set_up_note(&self, note: Note) {
        match note {
            Note::Line { text, .. } => self.say(&text),
            Note::Fetched(fetched) => self.kept_from(&fetched),
            Note::Started { .. }
            | Note::Doing(_)
            | Note::Todo(_)
            | Note::Usage(_)
            | Note::Footprint(_)
            | Note::Called
            | Note::CallFailed
            | Note::Denied
            | Note::CaughtUp(_)
            | Note::Cost(_)
            | Note::Retried => {}
        }
    }

    /// Says what became of a request of an earlier command that was killed.
    pub fn left(&self, left: &Left) {
        if self.json {
            println!("{}", left_as_json(left));
            return;
        }
        let asked = left.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let words = match &left.kept {
            Kept::Nothing => "its agent had changed nothing".to_owned(),
            Kept::Branch(change) => format!("nothing is lost\n{}", change_text(change)),
            Kept::Known(branch) => format!("nothing is lost, it is on the branch {branch}"),
            Kept::Later(error) => {
                let why = plain_lines(&format!("{error:#}"));
                format!("what it left is kept, and the next command tries again: {why}")
            }
        };
        println!(
            "\nAn earlier command was killed, and this is not run again: {}",
            plain(asked.trim())
        );
        println!("{words}\n");
    }

    pub fn begins(&self, work: &Work) {
        let request = work.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        self.line(work, &format!("{}: {}", work.role.verb(), request.trim()));
    }

    pub fn note(&self, work: &Work, note: Note) {
        match note {
            Note::Doing(text) => self.line(work, text.0.lines().next().unwrap_or_default()),
            Note::Todo(items) => {
                let doing = items.iter().find(|item| item.state == TodoState::Doing);
                let done = items.iter().filter(|item| item.state == TodoState::Done).count();
                if let Some(doing) = doing {
                    self.line(work, &format!("[{}/{}] {}", done + 1, items.len(), doing.text.0));
                }
            }
            Note::Fetched(fetched) => self.kept_from(&fetched),
            Note::Retried => self.line(work, "the model API failed and is asked again"),
            Note::Line { .. }
            | Note::Started { .. }
            | Note::Usage(_)
            | Note::Footprint(_)
            | Note::Cost(_)
            | Note::Called
            | Note::CallFailed
            | Note::Denied
            | Note::CaughtUp(_) => {}
        }
    }

    pub fn stopping(&self, stop: Stop) {
        eprintln!(
            "{}",
            match stop {
                Stop::Interrupt =>
                    "stopping: what is committed is kept; once more ends the agents at once",
                Stop::Kill => "ending the agents at once",
            }
        );
    }

    pub fn not_begun(&self, work: &Work) {
        self.line(work, "not begun");
    }

    /// Shows what became of a request; true if it succeeded.
    pub fn done(&self, work: &Work, done: &Done) -> bool {
        if self.json {
            println!("{}", as_json(work, done));
        } else {
            println!("\n{}", as_text(work, done, self.several));
        }
        done.succeeded()
    }

    /// Shows that Baton itself could not do its part.
    pub fn broken(&self, work: &Work, error: &anyhow::Error) -> bool {
        if self.json {
            let row = json!({
                "request": work.number, "succeeded": false, "problem": format!("{error:#}"),
            });
            println!("{row}");
        } else {
            let problem = plain_lines(&format!("{error:#}"));
            println!("\n✗ request {}: {problem}\n", work.number);
        }
        false
    }

    pub fn end(&self, spent: Micros) {
        if !self.json && self.several {
            println!("{spent} in all");
        }
    }
}

fn as_text(work: &Work, done: &Done, several: bool) -> String {
    let mark = if done.succeeded() { '✓' } else { '✗' };
    let which = if several { format!("request {}, ", work.number) } else { String::new() };
    let headline = match done.problem() {
        Some(problem) => plain_lines(&problem),
        None => {
            done.outcome.as_ref().map(|outcome| plain_lines(summary(outcome))).unwrap_or_default()
        }
    };
    let mut parts = vec![format!("{mark} {which}{headline}")];
    parts.extend(done.outcome.as_ref().and_then(details));
    match &done.change {
        Some(change) => parts.push(change_text(change)),
        None if work.role.writes() => parts.push("Nothing was committed.".to_owned()),
        None => {}
    }
    parts.push(format!("{} spent\n", done.cost));
    parts.join("\n\n")
}

/// The sentence that an agent concludes with.
fn summary(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Plan(plan) => &plan.summary.0,
        Outcome::Code(code) => &code.summary.0,
        Outcome::Review(review) => &review.summary.0,
        Outcome::Deploy(deploy) => &deploy.summary.0,
        Outcome::Verify(verify) => &verify.summary.0,
        Outcome::Audit(audit) => &audit.summary.0,
        Outcome::Analysis(analysis) => &analysis.summary.0,
    }
}

/// What an agent concludes besides; its claims are told as such.
fn details(outcome: &Outcome) -> Option<String> {
    let said = |label: &str, text: &Untrusted| {
        (!text.0.trim().is_empty()).then(|| format!("{label}: {}", plain_lines(&text.0)))
    };
    let text = match outcome {
        Outcome::Code(code) => {
            let parts = [
                said("Tests, the agent says", &code.tests_run),
                said("Notes of the agent", &code.notes),
            ];
            parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        Outcome::Analysis(analysis) => plain_lines(&analysis.report.0),
        Outcome::Plan(_)
        | Outcome::Review(_)
        | Outcome::Deploy(_)
        | Outcome::Verify(_)
        | Outcome::Audit(_) => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

fn change_text(change: &Change) -> String {
    let (added, removed) = change
        .files
        .iter()
        .fold((0, 0), |(added, removed), file| (added + file.added, removed + file.removed));
    let mut text = format!(
        "{} commit(s), {} file(s), +{added} −{removed}, on the branch {}\n",
        change.commits,
        change.files.len(),
        change.branch
    );
    for file in &change.files {
        text.push_str(&format!("  {} +{} −{}\n", plain(&file.path), file.added, file.removed));
    }
    if let Some(refusal) = &change.refusal {
        text.push_str(&format!("Look at it closely: {}\n", plain(&reason(refusal))));
    }
    text.push_str(&format!("See it: git diff HEAD...{0} · take it: git merge {0}", change.branch));
    text
}

/// What a server would not publish.
fn reason(refusal: &Refusal) -> String {
    match refusal {
        Refusal::ProtectedPath(path) => format!("it changes {path}, which is protected"),
        Refusal::Workflows(path) => format!("it changes {path}, which runs in CI"),
        Refusal::TooLarge { what } => format!("it is large: {what}"),
        Refusal::Secret { path } => format!("{path} holds what looks like a secret"),
        Refusal::Submodule(path) => format!("{path} changes a submodule"),
        Refusal::Symlink(path) => format!("{path} is a symbolic link"),
        Refusal::ForeignAuthor { commit } => format!("commit {commit} is by somebody else"),
        Refusal::NoTrailer { commit } => format!("commit {commit} does not say whose it is"),
        Refusal::Nothing => "its commits change nothing".to_owned(),
        Refusal::BranchMoved | Refusal::GitHub(_) | Refusal::Fork { .. } => {
            "it cannot be published".to_owned()
        }
    }
}

fn change_as_json(change: &Change) -> serde_json::Value {
    let files = change
        .files
        .iter()
        .map(|file| json!({ "path": file.path, "added": file.added, "removed": file.removed }));
    json!({
        "branch": change.branch.as_str(), "head": change.head.as_str(),
        "commits": change.commits, "files": files.collect::<Vec<_>>(),
        "refusal": change.refusal.as_ref().map(reason),
    })
}

fn left_as_json(left: &Left) -> serde_json::Value {
    let kept = match &left.kept {
        Kept::Nothing => json!({ "change": null }),
        Kept::Branch(change) => json!({ "change": change_as_json(change) }),
        Kept::Known(branch) => json!({ "change": { "branch": branch.as_str() } }),
        Kept::Later(error) => json!({ "problem": format!("{error:#}") }),
    };
    json!({ "killed": left.text, "kept": kept })
}

fn as_json(work: &Work, done: &Done) -> serde_json::Value {
    let change = done.change.as_ref().map(change_as_json);
    json!({
        "request": work.number, "role": work.role.name(), "succeeded": done.succeeded(),
        "problem": done.problem(), "outcome": done.outcome, "change": change,
        "cost_micros": done.cost.0,
    })
}

//! How a stage came out on a commit, once its agent and its commands are through.

use crate::model::{
    AuditOutcome, CodeOutcome, CommandRun, Conclusion, DeployOutcome, Outcome, ReviewOutcome,
    RunState, Severity, Situation, StageKey, Verdict, VerifyOutcome,
};

use super::commands::typed;
use super::evidence::{agent_says, criteria, in_short, lines};
use super::figures::count;
use super::findings::{in_full, of_round, tally};
use super::quote::line;
use super::review::{looked_at, named, settled_since, whats_next};
use super::seen::Seen;

/// How a check came out, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// For GitHub.
    pub conclusion: Conclusion,
    /// A line without Markdown.
    pub title: String,
    /// Markdown: what was found, then what comes next.
    pub summary: String,
}

impl Judgement {
    /// A line for something that is not over yet; its conclusion is never shown.
    #[must_use]
    pub fn running(title: String) -> Self {
        Self { conclusion: Conclusion::Neutral, summary: String::new(), title }
    }

    fn new(conclusion: Conclusion, title: impl Into<String>, parts: Vec<String>) -> Self {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Self { conclusion, title: title.into(), summary: parts.join("\n\n") }
    }
}

/// Judges a stage whose agent succeeded or needed none.
#[must_use]
pub fn judge(situation: &Situation, key: StageKey, seen: &Seen<'_>) -> Judgement {
    let outcome = seen.agent.and_then(|agent| agent.outcome.as_ref());
    match outcome {
        Some(Outcome::Plan(_)) => Judgement::new(
            Conclusion::Success,
            "planned",
            vec!["The plan is in the progress comment.".to_owned()],
        ),
        Some(Outcome::Code(code)) => coded(situation, code, seen.run),
        Some(Outcome::Review(review)) => reviewed(situation, review, seen),
        Some(Outcome::Deploy(deploy)) => deployed(situation, deploy, seen.run),
        Some(Outcome::Verify(verify)) => verified(situation, verify, seen.run),
        Some(Outcome::Audit(audit)) => audited(audit),
        Some(Outcome::Analysis(_)) | None => by_commands(situation, key, seen.run),
    }
}

fn coded(situation: &Situation, code: &CodeOutcome, run: Option<&CommandRun>) -> Judgement {
    let said = agent_says(&code.summary, 3000);
    let Some(run) = run else {
        let none = "Baton ran nothing: `.github/baton.yml` names no `test` commands.".to_owned();
        let claimed = line(&code.tests_run, 600);
        let claimed =
            if claimed.is_empty() { claimed } else { format!("Tests, the agent says: {claimed}") };
        return Judgement::new(
            Conclusion::Neutral,
            "not tested by Baton",
            vec![none, claimed, said],
        );
    };
    let tested = by_commands(situation, StageKey::Code, Some(run));
    Judgement { summary: format!("{}\n\n{said}", tested.summary), ..tested }
}

/// Success or failure of commands alone: evidence without an agent's opinion.
fn by_commands(situation: &Situation, key: StageKey, run: Option<&CommandRun>) -> Judgement {
    let Some(run) = run else {
        return Judgement::new(Conclusion::Neutral, "nothing was run", vec![String::new()]);
    };
    let shown = lines(run).join("\n");
    match &run.state {
        RunState::Ended { passed: true, results } => {
            let title = format!("{} passed (run by Baton)", count(results.len(), "command"));
            Judgement::new(Conclusion::Success, title, vec![shown])
        }
        RunState::Ended { passed: false, .. } => {
            let next = failed_next(situation, key);
            Judgement::new(
                Conclusion::Failure,
                "a command failed (run by Baton)",
                vec![shown, next],
            )
        }
        RunState::Pending | RunState::Broken { .. } => {
            let next = format!(
                "**Next:** nobody knows how far it came. Look, then {}.",
                typed(situation, "retry")
            );
            Judgement::new(
                Conclusion::ActionRequired,
                "the commands could not be run",
                vec![shown, next],
            )
        }
    }
}

fn failed_next(situation: &Situation, key: StageKey) -> String {
    let rounds_left = situation.task.as_ref().is_some_and(|task| task.rounds < task.max_rounds);
    match key {
        StageKey::Code if rounds_left => "**Next:** the coder works on it.".to_owned(),
        StageKey::Code => {
            format!("**Next:** a person decides; {} gives one more round.", typed(situation, "fix"))
        }
        StageKey::Plan
        | StageKey::Review
        | StageKey::Deploy
        | StageKey::Verify
        | StageKey::Audit => {
            format!("**Next:** {} runs it again.", typed(situation, "retry"))
        }
    }
}

fn reviewed(situation: &Situation, review: &ReviewOutcome, seen: &Seen<'_>) -> Judgement {
    let found = seen.agent.map(|agent| of_round(situation, agent.attempt)).unwrap_or_default();
    let round = seen.agent.map_or(0, |agent| agent.attempt);
    let must = found.iter().any(|finding| finding.severity == Severity::MustFix);
    let (conclusion, title) = match (must, found.is_empty(), review.verdict) {
        (true, _, _) => (Conclusion::Failure, tally(&found)),
        (false, false, _) => (Conclusion::Neutral, tally(&found)),
        (false, true, Verdict::Approve) => (Conclusion::Success, "nothing found".to_owned()),
        (false, true, Verdict::Changes) => {
            (Conclusion::ActionRequired, "wants changes, but names none".to_owned())
        }
    };
    let mut parts: Vec<String> = found.iter().map(|finding| in_full(finding)).collect();
    parts.push(agent_says(&review.summary, 3000));
    parts.push(named("Settled", &settled_since(situation, round)));
    let next = if seen.current { whats_next(situation, &found) } else { String::new() };
    parts.push([looked_at(review), next].join("\n").trim().to_owned());
    Judgement::new(conclusion, title, parts)
}

fn deployed(situation: &Situation, deploy: &DeployOutcome, run: Option<&CommandRun>) -> Judgement {
    let watch: Vec<String> =
        deploy.watch.iter().map(|what| format!("- {}", line(what, 300))).collect();
    let watch = if watch.is_empty() {
        String::new()
    } else {
        format!("To watch, the agent says:\n\n{}", watch.join("\n"))
    };
    let back = line(&deploy.rollback, 600);
    let back =
        if back.is_empty() { back } else { format!("To take it back, the agent says: {back}") };
    let said = agent_says(&deploy.summary, 3000);
    if !deploy.ready {
        let next = format!("**Next:** a person decides. {} asks again.", typed(situation, "retry"));
        let parts = vec!["Nothing was deployed.".to_owned(), said, watch, next];
        return Judgement::new(Conclusion::ActionRequired, "held back, a person decides", parts);
    }
    let ran = by_commands(situation, StageKey::Deploy, run);
    let parts = vec![ran.summary, said, watch, back];
    Judgement::new(ran.conclusion, ran.title, parts)
}

fn verified(situation: &Situation, verify: &VerifyOutcome, run: Option<&CommandRun>) -> Judgement {
    let met = verify.criteria.iter().filter(|verdict| verdict.passed).count();
    let all = verify.criteria.len();
    let noun = if all == 1 { "criterion" } else { "criteria" };
    let (conclusion, title, next) = if verify.passed {
        (Conclusion::Success, format!("{met} of {all} {noun} met"), String::new())
    } else {
        let next = format!(
            "**Next:** put it right or take it back by hand, then {} verifies again.",
            typed(situation, "retry")
        );
        (Conclusion::Failure, format!("{} of {all} {noun} not met", all - met), next)
    };
    let evidence = run.map(|run| format!("Evidence: {}", in_short(run))).unwrap_or_default();
    let parts = vec![
        criteria(&verify.criteria).join("\n"),
        evidence,
        agent_says(&verify.summary, 2000),
        next,
    ];
    Judgement::new(conclusion, title, parts)
}

fn audited(audit: &AuditOutcome) -> Judgement {
    let title = match audit.findings.len() {
        0 => "nothing found".to_owned(),
        some => count(some, "finding"),
    };
    let conclusion =
        if audit.findings.is_empty() { Conclusion::Success } else { Conclusion::Neutral };
    let parts = audit.findings.iter().map(|finding| format!("- {}", line(&finding.title, 300)));
    let parts = vec![parts.collect::<Vec<_>>().join("\n"), agent_says(&audit.summary, 3000)];
    Judgement::new(conclusion, title, parts)
}

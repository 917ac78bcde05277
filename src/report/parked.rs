//! Why a task is parked: what went wrong, who must act, and the commands that continue.

use crate::model::{
    AgentState, FindingState, Outcome, ParkReason, Severity, Situation, StageKey, StageState,
    Untrusted,
};

use super::commands::typed;
use super::ended::{ending, failed};
use super::evidence::{agent_says, criteria};
use super::figures::count;
use super::limits::{no_money, no_quota};
use super::parking::Parked;
use super::people::{ended_by, pull_name};
use super::quote::line;
use super::refused::refused;

/// Words for a parking.
#[must_use]
pub fn parked(situation: &Situation, reason: &ParkReason) -> Parked {
    let name = &situation.name;
    let go_on = |text: String| vec![("Go on", text)];
    match reason {
        ParkReason::Budget => no_money(situation),
        ParkReason::Quota { until } => no_quota(situation, *until),
        ParkReason::NotConverging => not_converging(situation),
        ParkReason::Failed(stage) => stage_failed(situation, *stage),
        ParkReason::Refused(refusal) => {
            let (wrong, next) = refused(situation, refusal);
            Parked {
                headline: "the change was not pushed".to_owned(),
                wrong,
                next: go_on(next),
                needs_person: true,
            }
        }
        ParkReason::NoSandbox { remedy } => Parked {
            headline: "this server has no sandbox for agents".to_owned(),
            wrong: format!(
                "No agent is started without one. {}",
                line(&Untrusted::from(remedy.as_str()), 600)
            ),
            next: go_on(format!("whoever runs the server does this, then `/{name} resume`.")),
            needs_person: false,
        },
        ParkReason::Stopped(by) => Parked {
            headline: format!("stopped by {}", ended_by(situation, by)),
            wrong: String::new(),
            next: go_on(format!("`/{name} resume`")),
            needs_person: false,
        },
        ParkReason::PullClosed => Parked {
            headline: "the pull request was closed".to_owned(),
            wrong: String::new(),
            next: go_on(format!("reopen {}; Baton resumes then.", pull_name(situation))),
            needs_person: false,
        },
        ParkReason::BranchDeleted => Parked {
            headline: "its branch was deleted".to_owned(),
            wrong: "The commits are still on the pull request, and Baton has a copy.".to_owned(),
            next: go_on(format!(
                "restore the branch on {}, then `/{name} resume`.",
                pull_name(situation)
            )),
            needs_person: false,
        },
        ParkReason::Off => Parked {
            headline: "Baton is switched off here".to_owned(),
            wrong: "The repository is switched off or no longer in the installation.".to_owned(),
            next: go_on(format!("`/{name} on`, then `/{name} resume`.")),
            needs_person: false,
        },
    }
}

fn not_converging(situation: &Situation) -> Parked {
    let name = &situation.name;
    let open = situation.findings.iter().filter(|finding| {
        finding.state == FindingState::Open && finding.severity == Severity::MustFix
    });
    let dispute: Vec<String> = open
        .map(|finding| {
            let rounds = finding.last_round.saturating_sub(finding.first_round) as usize + 1;
            let title = line(&finding.title, 200);
            format!("- **F{}** {title} (stood for {})", finding.number, count(rounds, "round"))
        })
        .collect();
    let rounds = situation.task.as_ref().map_or(0, |task| task.rounds);
    let wrong = if dispute.is_empty() && rounds == 0 {
        "The reviewer wants changes, but names nothing that must be fixed.".to_owned()
    } else if dispute.is_empty() {
        format!(
            "The change went back to the coder {} and still does not pass.",
            count(rounds as usize, "time")
        )
    } else {
        format!("Coder and reviewer do not come together over:\n\n{}", dispute.join("\n"))
    };
    Parked {
        headline: "the rounds bring nothing new".to_owned(),
        wrong,
        next: vec![
            ("Go on", format!("`/{name} fix` gives the coder one more round.")),
            (
                "Decide otherwise",
                format!("merge {} as it is, or push to its branch.", pull_name(situation)),
            ),
            ("Leave it", "do nothing. Nothing more is spent.".to_owned()),
        ],
        needs_person: true,
    }
}

fn stage_failed(situation: &Situation, stage: StageKey) -> Parked {
    let said = match situation.stage(stage).map(|stage| &stage.state) {
        Some(StageState::Failed(kind)) => Some(failed(situation, stage, kind)),
        Some(_) | None => situation.last_agent(stage).and_then(|agent| {
            let AgentState::Ended(end) = &agent.state else { return None };
            ending(situation, agent, end)
        }),
    };
    let by_verdict = match stage {
        StageKey::Verify => unverified(situation),
        StageKey::Deploy => held_back(situation),
        StageKey::Plan | StageKey::Code | StageKey::Review | StageKey::Audit => None,
    };
    if let Some(said) = by_verdict {
        return said;
    }
    let retry = format!("`/{} retry` tries again.", situation.name);
    let (wrong, next) = said.map_or((String::new(), retry), |said| (said.what, said.next));
    let headline = match stage {
        StageKey::Plan => "planning failed",
        StageKey::Code => "coding failed",
        StageKey::Review => "the review failed",
        StageKey::Deploy => "the deployment failed",
        StageKey::Verify => "the deployed change does not pass verification",
        StageKey::Audit => "the audit failed",
    };
    Parked {
        headline: headline.to_owned(),
        wrong,
        next: vec![("Go on", next), ("Leave it", "do nothing. Nothing more is spent.".to_owned())],
        needs_person: true,
    }
}

/// What the verifier found unmet, and how the deployer would take it back.
fn unverified(situation: &Situation) -> Option<Parked> {
    let outcomes = || situation.agents.iter().rev().filter_map(|agent| agent.outcome.as_ref());
    let unmet = outcomes().find_map(|outcome| match outcome {
        Outcome::Verify(verdict) if !verdict.passed => Some(criteria(&verdict.criteria).join("\n")),
        _ => None,
    })?;
    let back = outcomes().find_map(|outcome| match outcome {
        Outcome::Deploy(deploy) => {
            Some(line(&deploy.rollback, 600)).filter(|text| !text.is_empty())
        }
        _ => None,
    });
    let back = back.map(|text| ("Take it back", format!("{text} (the agent says)")));
    let again = typed(situation, "retry");
    let go_on = ("Go on", format!("put it right, or take it back; then {again} verifies again."));
    Some(Parked {
        headline: "the deployed change does not pass verification".to_owned(),
        wrong: unmet,
        next: [go_on].into_iter().chain(back).collect(),
        needs_person: true,
    })
}

/// What the deployer wants settled before anything goes out.
fn held_back(situation: &Situation) -> Option<Parked> {
    let outcome = situation.last_agent(StageKey::Deploy)?.outcome.as_ref()?;
    let Outcome::Deploy(deploy) = outcome else { return None };
    let again = typed(situation, "retry");
    (!deploy.ready).then(|| Parked {
        headline: "the deployment is held back".to_owned(),
        wrong: format!("Nothing was deployed. {}", agent_says(&deploy.summary, 2000)),
        next: vec![
            ("Go on", format!("settle that, then {again} asks again.")),
            ("Leave it", "do nothing. Nothing more is spent.".to_owned()),
        ],
        needs_person: true,
    })
}

//! Every reason for a stop has words that say what happened and what continues.

use insta::assert_snapshot;

use super::*;
use crate::model::{
    AfterQuota, Agent, BudgetScope, CancelledBy, FailKind, ForkProblem, Limited, Micros,
    ParkReason, Refusal, ReportKind, Role, RolePolicy, Shortage, Watchdog,
};
use crate::report::{ended::ending, limits::refused_at, refused::refused, render};

/// How many characters of a reason stand in a table.
fn refusals() -> Vec<Refusal> {
    let problems = [
        ForkProblem::NotInstalled,
        ForkProblem::Suspended,
        ForkProblem::ReadOnly,
        ForkProblem::NoFork,
        ForkProblem::Archived,
        ForkProblem::Hidden,
        ForkProblem::Behind,
    ];
    let name = crate::model::RepositoryName::new("acme", "files-work").expect("a name");
    let of_fork = problems.map(|problem| Refusal::Fork { name: name.clone(), problem });
    let mut all = vec![
        Refusal::ProtectedPath(".github/CODEOWNERS".to_owned()),
        Refusal::Workflows(".github/workflows/ci.yml".to_owned()),
        Refusal::TooLarge { what: "212 files of at most 100".to_owned() },
        Refusal::Secret { path: "src/key.rs".to_owned() },
        Refusal::Submodule("vendor/x".to_owned()),
        Refusal::Symlink("link".to_owned()),
        Refusal::ForeignAuthor { commit: "c41d09a".to_owned() },
        Refusal::NoTrailer { commit: "c41d09a".to_owned() },
        Refusal::Nothing,
        Refusal::BranchMoved,
        Refusal::GitHub("GH013: rule violations found".to_owned()),
    ];
    all.extend(of_fork);
    all
}

fn fails() -> Vec<FailKind> {
    vec![
        FailKind::Setup("no space left on device".to_owned()),
        FailKind::Provider("unknown option".to_owned()),
        FailKind::InvalidOutcome("/steps: empty".to_owned()),
        FailKind::Model("401 invalid x-api-key".to_owned()),
        FailKind::Tools("no connection to baton".to_owned()),
        FailKind::Commands,
        FailKind::Verdict,
        FailKind::Crashed("signal 9".to_owned()),
        FailKind::Unpushed(sha(ONE)),
    ]
}

fn parkings() -> Vec<ParkReason> {
    let mut all = vec![
        ParkReason::Budget,
        ParkReason::Quota { until: sample::at("19:00") },
        ParkReason::NotConverging,
        ParkReason::NoSandbox { remedy: "Install bubblewrap: `apt install bubblewrap`".to_owned() },
        ParkReason::Stopped(CancelledBy::Person(sample::mara().id)),
        ParkReason::Stopped(CancelledBy::Operator),
        ParkReason::Stopped(CancelledBy::Shutdown),
        ParkReason::Stopped(CancelledBy::Superseded),
        ParkReason::PullClosed,
        ParkReason::BranchDeleted,
        ParkReason::Off,
    ];
    all.extend(StageKey::ALL.map(ParkReason::Failed));
    all.extend(refusals().into_iter().map(ParkReason::Refused));
    all
}

fn run_kind(stage: StageKey) -> RunKind {
    match stage {
        StageKey::Deploy => RunKind::Deploy,
        StageKey::Verify => RunKind::Verify,
        StageKey::Plan | StageKey::Code | StageKey::Review | StageKey::Audit => RunKind::Test,
    }
}

#[test]
fn a_deployment_that_is_held_back_is_no_failed_one() {
    let mut situation = merged();
    let outcome = Outcome::Deploy(crate::model::DeployOutcome {
        ready: false,
        summary: "The migration drops a column that is read.".into(),
        watch: vec![],
        rollback: "".into(),
    });
    situation.agents.push(ended(6, StageKey::Deploy, 1, End::Succeeded, Some(outcome)));
    be(&mut situation, TaskState::Parked(ParkReason::Failed(StageKey::Deploy)));
    let said = body(render(&situation, &ReportKind::Progress));
    assert!(said.contains("parked, the deployment is held back. Waiting for @mara"), "{said}");
    assert!(said.contains("Nothing was deployed. The agent says: The migration"), "{said}");
}

#[test]
fn every_parking_is_explained() {
    let mut table = String::new();
    for reason in parkings() {
        let mut situation = reviewed();
        if let ParkReason::Failed(stage) = &reason {
            situation = if *stage > StageKey::Review { merged() } else { situation };
            let kind = run_kind(*stage);
            situation.runs.push(run(9, *stage, kind, sha(ONE), Some(1)));
            set(&mut situation, *stage, StageState::Failed(FailKind::Commands), 1);
        }
        be(&mut situation, TaskState::Parked(reason.clone()));
        situation.task.as_mut().expect("the sample has a task").endings = 1;
        let said = body(render(&situation, &ReportKind::Closing(1)));
        let said = said.split_once("-->\n").map_or(said.as_str(), |(_, said)| said);
        let ways = ["`/baton ", "reopen", "take the label"];
        assert!(ways.iter().any(|way| said.contains(way)), "no way on: {said}");
        table.push_str(&format!("----- {reason:?}\n{said}\n"));
    }
    assert_snapshot!("parkings", table);
}

#[test]
fn every_failure_and_every_end_is_explained() {
    let mut ends = vec![
        End::OutOfQuota { until: sample::at("19:00") },
        End::OutOfBudget,
        End::TimedOut(Watchdog::Total),
        End::TimedOut(Watchdog::Silence),
        End::TimedOut(Watchdog::Linger),
        End::Cancelled(CancelledBy::Person(sample::mara().id)),
        End::Cancelled(CancelledBy::Shutdown),
        End::Lost,
    ];
    ends.extend(fails().into_iter().map(End::Failed));
    let situation = reviewed();
    let mut table = String::new();
    for end in ends {
        let said = ending(&situation, &situation.agents[1], &end).expect("no success");
        let line = format!(
            "{end:?}\n  {:?}: {}\n  {}\n  {}\n",
            said.conclusion, said.title, said.what, said.next
        );
        table.push_str(&line);
    }
    assert_snapshot!("ends", table);
    assert_eq!(ending(&situation, &situation.agents[1], &End::Succeeded), None);
}

#[test]
fn every_refusal_is_explained() {
    let situation = reviewed();
    let table: Vec<String> = refusals()
        .iter()
        .map(|refusal| {
            let (what, next) = refused(&situation, refusal);
            format!("{what}\n  {next}")
        })
        .collect();
    assert_snapshot!("refusals", table.join("\n"));
}

#[test]
fn a_limit_for_the_day_says_that_tomorrow_will_do() {
    let mut situation = reviewed();
    situation.server.spent_today = situation.server.limits.server_day;
    be(&mut situation, TaskState::Parked(ParkReason::Budget));
    let said = body(render(&situation, &ReportKind::Progress));
    assert!(said.contains("parked, this server's $100.00 for today are spent"), "{said}");
    assert!(said.contains("`/baton resume` tomorrow (UTC)"), "{said}");
}

/// A task that was parked because its coder met a limit.
fn limited(limited: Limited, end: End, reason: ParkReason) -> Situation {
    let mut situation = second_round();
    situation.server.limits.task = Micros(9_000_000);
    situation.task.as_mut().expect("the sample has a task").spent = Micros(4_930_000);
    let agent = Agent { limited: Some(limited), ..ended(9, StageKey::Code, 3, end, None) };
    situation.agents.push(agent);
    be(&mut situation, TaskState::Parked(reason));
    situation
}

#[test]
fn a_limit_of_requests_is_lifted_where_it_was_set() {
    let failed = End::Failed(FailKind::Model("403".to_owned()));
    let mut situation =
        limited(Limited::Requests { most: 5 }, failed, ParkReason::Failed(StageKey::Code));
    let next = |situation: &Situation| {
        let agent = situation.agents.last().expect("it was added");
        refused_at(situation, agent).expect("it was refused").2
    };
    assert!(next(&situation).contains("whoever runs this server can raise `requests_per_agent`"));
    let role = RolePolicy { requests: Some(5), ..RolePolicy::default() };
    situation.policy.roles.insert(Role::Coding, role);
    assert!(
        next(&situation).contains("`roles.coding.requests` in `.github/baton.yml` allows so many")
    );
}

#[test]
fn every_limit_is_named_with_what_lifts_it() {
    let until = sample::at("19:00");
    let budget = |scope| Limited::Budget { scope, left: Micros(70_000), needs: Micros(119_000) };
    let mut cases: Vec<(Limited, End, ParkReason)> =
        BudgetScope::ALL.map(|scope| (budget(scope), End::OutOfBudget, ParkReason::Budget)).into();
    for shortage in [Shortage::Quota, Shortage::Overloaded, Shortage::Credit] {
        let limited = Limited::Quota { until, shortage };
        cases.push((limited, End::OutOfQuota { until }, ParkReason::Quota { until }));
    }
    let failed = || End::Failed(FailKind::Model("403".to_owned()));
    for limited in
        [Limited::Requests { most: 500 }, Limited::Model { model: "claude-opus-4-5".to_owned() }]
    {
        cases.push((limited, failed(), ParkReason::Failed(StageKey::Code)));
    }
    let mut table = String::new();
    for (limit, end, reason) in cases {
        let mut situation = limited(limit.clone(), end.clone(), reason.clone());
        if let (ParkReason::Failed(key), End::Failed(kind)) = (reason, &end) {
            set(&mut situation, key, StageState::Failed(kind.clone()), 3);
        }
        situation.task.as_mut().expect("the sample has a task").endings = 1;
        let said = body(render(&situation, &ReportKind::Closing(1)));
        let said = said.split_once("-->\n").map_or(said.as_str(), |(_, said)| said);
        let agent = situation.agents.last().expect("it was added");
        let check = ending(&situation, agent, &end).expect("no success");
        table.push_str(&format!("----- {limit:?}\n{said}\n{}: {}\n", check.title, check.what));
    }
    assert_snapshot!("limits", table);
}

#[test]
fn a_person_resumes_after_quota_where_policy_says_so() {
    let until = sample::at("19:00");
    let quota = Limited::Quota { until, shortage: Shortage::Quota };
    let mut situation = limited(quota, End::OutOfQuota { until }, ParkReason::Quota { until });
    situation.policy.after_quota = AfterQuota::Person;
    let said = body(render(&situation, &ReportKind::Progress));
    assert!(said.contains("used up until 19:00 UTC. Waiting for @mara"), "{said}");
    assert!(said.contains("`/baton resume`, from 19:00 UTC on."), "{said}");
    assert!(!said.contains("by itself"), "{said}");
}

#[test]
fn more_money_is_proposed_only_as_far_as_the_server_allows() {
    let spent = Limited::Budget { scope: BudgetScope::Task, left: Micros(0), needs: Micros(1) };
    let mut situation = limited(spent, End::OutOfBudget, ParkReason::Budget);
    for (limit, said) in [
        (9_000_000, "`/baton budget +2` (this server allows $9.00)"),
        (6_500_000, "`/baton budget +1.50` (this server allows $6.50)"),
        (5_000_000, "once whoever runs it has raised that, `/baton budget +2`"),
        (4_000_000, "once whoever runs it has raised that, `/baton resume`"),
    ] {
        situation.server.limits.task = Micros(limit);
        let told = body(render(&situation, &ReportKind::Progress));
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn commands_that_broke_off_are_looked_at_first() {
    let mut situation = merged();
    let mut broken = run(9, StageKey::Deploy, RunKind::Deploy, sha("abc1234"), None);
    broken.state = crate::model::RunState::Broken { reason: "Baton was ended".to_owned() };
    situation.runs.push(broken);
    let kind = FailKind::Crashed("Baton was ended".to_owned());
    set(&mut situation, StageKey::Deploy, StageState::Failed(kind), 1);
    be(&mut situation, TaskState::Parked(ParkReason::Failed(StageKey::Deploy)));
    let said = body(render(&situation, &ReportKind::Progress));
    assert!(said.contains("Nobody knows how far the commands came"), "{said}");
}

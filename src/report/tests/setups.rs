//! What a set-up did, and what was fetched.

use insta::assert_snapshot;

use super::*;
use crate::model::{
    Blocked, FailKind, Fetch, Fetched, Fetcher, ParkReason, ReportKind, SET_UP, Untrusted,
};
use crate::report::render;

fn asked(
    by: Fetcher,
    host: &str,
    port: u16,
    package: Option<&str>,
    blocked: Option<Blocked>,
) -> Fetched {
    let (host, package) = (host.to_owned(), package.map(str::to_owned));
    Fetched { by, fetch: Fetch { host, port, package, blocked } }
}

fn said(situation: &Situation, kind: &ReportKind) -> String {
    match render(situation, kind) {
        crate::model::Desired::Comment { body, .. } | crate::model::Desired::Pull { body, .. } => {
            body
        }
        other => panic!("{other:?}"),
    }
}

/// The coder waits for a set-up; `exit` none while it runs.
fn setting_up(exit: Option<i32>) -> Situation {
    let mut situation = coding();
    situation.runs.push(sample::run(7, StageKey::Code, RunKind::Setup, sha(ONE), exit));
    situation
}

#[test]
fn a_set_up_that_runs_is_seen_in_the_checklist() {
    let progress = said(&setting_up(None), &ReportKind::Progress);
    let line = progress.lines().find(|line| line.contains("**Code**")).unwrap_or_default();
    assert_snapshot!(line);
    let progress = said(&setting_up(Some(0)), &ReportKind::Progress);
    assert!(!progress.contains("set up"), "{progress}");
}

#[test]
fn a_set_up_that_failed_names_the_command_the_hosts_and_the_lines_that_would_allow_them() {
    let mut situation = setting_up(Some(101));
    let run = Fetcher::Run(crate::model::CommandRunId(7));
    if let Some(crate::model::RunState::Ended { results, .. }) =
        situation.runs.last_mut().map(|run| &mut run.state)
    {
        results[0].output = Untrusted::from("error: failed to get `pad`\n@mara ``` [Baton] note");
    }
    situation.fetches = vec![
        asked(run, "static.crates.io", 443, None, None),
        asked(run, "evil.test", 8443, None, Some(Blocked::Both)),
        asked(run, "corp.test", 443, None, Some(Blocked::Address([10, 0, 0, 5].into()))),
        asked(Fetcher::Agent(AgentId(2)), "other.test", 443, None, Some(Blocked::Offline)),
    ];
    let kind = FailKind::Setup(format!("{SET_UP}'s command \"cargo fetch\" failed"));
    set(&mut situation, StageKey::Code, StageState::Failed(kind), 1);
    be(&mut situation, TaskState::Parked(ParkReason::Failed(StageKey::Code)));
    let endings = situation.task.as_ref().map_or(0, |task| task.endings);
    assert_snapshot!(said(&situation, &ReportKind::Closing(endings)));
}

#[test]
fn what_agents_and_tests_fetched_is_in_the_pull_request_and_what_a_set_up_fetched_is_not() {
    let mut situation = reviewing();
    situation.runs.push(sample::run(7, StageKey::Code, RunKind::Setup, sha(ONE), Some(0)));
    let [set_up, test] = [7, 1].map(|id| Fetcher::Run(crate::model::CommandRunId(id)));
    let agent = Fetcher::Agent(AgentId(2));
    situation.fetches = vec![
        asked(set_up, "registry.npmjs.org", 443, None, None),
        asked(agent, "registry.test", 81, Some("pad 1.0"), None),
        asked(agent, "registry.test", 81, None, None),
        asked(test, "registry.test", 81, Some("pad 1.0"), None),
        asked(agent, "pypi.org", 443, None, None),
        asked(agent, "evil.test", 443, None, Some(Blocked::Policy)),
    ];
    let body = said(&situation, &ReportKind::Pull);
    let from = body.find("**Fetched**").unwrap_or_default();
    let until = body.find("**For the reviewer").unwrap_or(body.len());
    assert_snapshot!(&body[from..until]);
}

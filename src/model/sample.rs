//! A task in the middle of its life, for tests of whoever reads a [`Situation`].

use super::*;

/// A moment on the sample's day.
#[must_use]
pub fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}:00Z").parse().expect("hours and minutes make a time")
}

/// A commit id that repeats one hexadecimal digit after a readable start.
#[must_use]
pub fn sha(start: &str) -> Sha {
    Sha::new(format!("{start:0<40}")).expect("hexadecimal digits, filled up")
}

/// The maintainer who asked.
#[must_use]
pub fn mara() -> Person {
    Person { id: ActorId(501), login: Login::new("mara").expect("a login") }
}

/// The sample's plan.
#[must_use]
pub fn plan() -> Plan {
    let step = |title: &str, file: &str| PlanStep {
        title: title.into(),
        files: vec![file.into()],
        role: None,
    };
    Plan {
        number: 1,
        hash: PlanHash::new(format!("{:0<64}", "7f3c1e")).expect("hexadecimal"),
        input_hash: InputHash::new("1".repeat(64)).expect("hexadecimal"),
        body: PlanOutcome {
            summary: "A request for `bytes=500-` loses the last byte: `parse_range` treats a missing end as `len - 1`, then subtracts one again.".into(),
            steps: vec![
                step("Correct `parse_range`", "src/http/range.rs"),
                step("Test open, empty and reversed ranges", "tests/range.rs"),
                step("Say so in the change log", "CHANGELOG.md"),
            ],
            acceptance: vec![
                "`bytes=500-` of a 1000-byte file answers 500 bytes".into(),
                "`bytes=9-2` is answered with 416".into(),
            ],
            risks: vec![],
            questions: vec![],
        },
    }
}

/// An agent of a stage that has not started.
#[must_use]
pub fn agent(id: i64, stage: StageKey, attempt: u32) -> Agent {
    Agent {
        id: AgentId(id),
        stage,
        role: stage.role(),
        subtask: None,
        attempt,
        provider: "claude".to_owned(),
        model: "sonnet".to_owned(),
        session: SessionId(uuid::Uuid::from_u128(id.unsigned_abs().into())),
        resumes: None,
        inputs: Inputs::default(),
        base: sha("ba5e"),
        state: AgentState::Queued,
        outcome: None,
        head: None,
        cost: Micros::ZERO,
        footprint: Footprint::default(),
        tally: Tally::default(),
        waits_for: None,
        not_before: None,
        todo: vec![],
        last_line: None,
        wanted: None,
        limited: None,
        refused: Vec::new(),
        started_at: None,
        ended_at: None,
    }
}

/// An agent that ended, after three minutes that cost 38 cents.
#[must_use]
pub fn ended(id: i64, stage: StageKey, attempt: u32, end: End, outcome: Option<Outcome>) -> Agent {
    Agent {
        state: AgentState::Ended(end),
        outcome,
        cost: Micros(380_000),
        started_at: Some(at("14:02")),
        ended_at: Some(at("14:05")),
        last_line: Some("All done.".into()),
        ..agent(id, stage, attempt)
    }
}

/// A run of one command on a commit; `exit` none while it runs.
#[must_use]
pub fn run(id: i64, stage: StageKey, kind: RunKind, sha: Sha, exit: Option<i32>) -> CommandRun {
    let command = match kind {
        RunKind::Setup => "cargo fetch",
        RunKind::Test => "cargo test",
        RunKind::Deploy => "./deploy.sh",
        RunKind::Verify => "./smoke.sh",
    };
    let state = exit.map_or(RunState::Pending, |exit| RunState::Ended {
        results: vec![CommandResult {
            command: command.to_owned(),
            exit: Some(exit),
            output: "running 214 tests\ntest result: see above".into(),
            millis: 12_300,
        }],
        passed: exit == 0,
    });
    let commands = vec![command.to_owned()];
    CommandRun { id: CommandRunId(id), stage, kind, commands, sha, state, at: at("14:06") }
}

/// The two findings of a first round of review.
#[must_use]
pub fn findings() -> Vec<Finding> {
    let finding = |number, severity, line, title: &str, body: &str| Finding {
        number,
        fingerprint: format!("print{number}"),
        severity,
        path: "src/http/range.rs".to_owned(),
        line,
        title: title.into(),
        body: body.into(),
        suggestion: None,
        state: FindingState::Open,
        first_round: 1,
        last_round: 1,
    };
    let mut first = finding(
        1,
        Severity::MustFix,
        88,
        "`end - start` underflows for `bytes=9-2`",
        "One request makes the server panic: nothing checks that `start` is not past `end`.",
    );
    first.suggestion = Some("    let length = end.checked_sub(start)?;".into());
    let second = finding(
        2,
        Severity::Suggestion,
        41,
        "The bounds check repeats `clamp_to`",
        "`clamp_to` in line 17 does the same.",
    );
    vec![first, second]
}

/// A stage in a state, started once.
#[must_use]
pub fn stage(key: StageKey, state: StageState, head: Option<Sha>) -> Stage {
    let round = u32::from(state != StageState::Blocked);
    Stage { id: StageId(key as i64 + 1), key, state, round, head, changed_at: at("14:06") }
}

/// An issue that was just assigned: a task, its stages blocked, nothing done.
#[must_use]
pub fn situation() -> Situation {
    let name = |text: &str| BranchName::new(text).expect("a branch name");
    Situation {
        now: at("14:10"),
        name: "baton".to_owned(),
        slug: "baton-app".to_owned(),
        repository: Repository {
            id: RepositoryId(9),
            installation: InstallationId(4),
            name: RepositoryName::new("acme", "files").expect("a repository's name"),
            default_branch: name("main"),
            private: false,
            off: false,
            policy_error: None,
        },
        policy: Policy { test: vec!["cargo test".to_owned()], ..Policy::default() },
        task: Some(task()),
        stages: StageKey::ALL[..3]
            .iter()
            .map(|key| stage(*key, StageState::Blocked, None))
            .collect(),
        plans: vec![],
        approvals: vec![],
        findings: vec![],
        questions: vec![],
        follow_ups: vec![],
        audit_wishes: vec![],
        agents: vec![],
        runs: vec![],
        fetches: Vec::new(),
        deployments: vec![],
        asked: vec![],
        tail: None,
        difference: None,
        server: Server {
            providers: vec!["claude".to_owned(), "codex".to_owned()],
            paused: None,
            no_sandbox: None,
            limits: Limits::default(),
            provider: "claude".to_owned(),
            model: "sonnet".to_owned(),
            repository_spent_today: Micros::ZERO,
            spent_today: Micros::ZERO,
            open_pulls: 0,
            deploys_to: vec![],
        },
        facts: Facts::default(),
    }
}

fn task() -> Task {
    Task {
        id: TaskId(7),
        origin: TaskOrigin::Issue,
        number: 311,
        generation: 1,
        state: TaskState::Open,
        version: 1,
        input: TaskInput {
            title: "Open ranges lose the last byte".into(),
            body: "`curl -H 'Range: bytes=500-'` returns one byte too few.".into(),
            author: "tom".to_owned(),
            comments: vec![],
            outsiders: vec![],
        },
        input_hash: InputHash::new("1".repeat(64)).expect("hexadecimal"),
        rounds: 0,
        max_rounds: 3,
        budget: Micros(5_000_000),
        spent: Micros(140_000),
        requested_by: Some(mara()),
        pull: None,
        branch: None,
        head: None,
        merged: None,
        opened_at: at("13:50"),
        endings: 0,
    }
}

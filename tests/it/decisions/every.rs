//! Every state with every event, as a table, and events in any order.

use super::*;

/// Every state of a task that people can meet.
fn states() -> Vec<(&'static str, Play)> {
    let mut parked = approved();
    parked.agent_ends(StageKey::Code, End::TimedOut(Watchdog::Silence), None, None);
    let mut done = verifying();
    done.succeeds(StageKey::Verify, verify_outcome(true), None);
    vec![
        ("no task", Play::new()),
        ("planning", assigned()),
        ("plan waits", planned()),
        ("coding", approved()),
        ("coding, something noticed", noticing()),
        ("the last of two parts", subtasks::second_of_two()),
        ("parked between two parts", subtasks::parked_between()),
        ("question waits", asking()),
        ("testing", tested()),
        ("publishing", publishing()),
        ("push waits", held()),
        ("reviewing", reviewing()),
        ("waits for merge", mergeable()),
        ("deploying", deploying()),
        ("verifying", verifying()),
        ("parked", parked),
        ("done", done),
    ]
}

/// Every event that can come from outside.
fn outside_events() -> Vec<What> {
    let commands = vec![
        Command::Plan,
        Command::Approve { hash: None },
        Command::Revise { text: "smaller".into() },
        Command::Reject { why: "no".into() },
        Command::Answer { number: 1, text: "2".into() },
        Command::FollowUp { number: 1 },
        Command::Fix,
        Command::Review,
        Command::Audit,
        Command::Retry,
        Command::Stop { now: false },
        Command::Resume,
        Command::Budget { add: Some(Micros(1_000_000)) },
        Command::Provider { provider: Some("codex".into()) },
        Command::Off,
        Command::On,
        Command::Status,
        Command::Help,
        Command::Unknown { word: "aprove".into(), near: Some("approve".into()) },
    ];
    let given =
        |command| What::CommandGiven { command, form: Form::Typed, comment: Some(CommentId(50)) };
    let mut events: Vec<What> = commands.into_iter().map(given).collect();
    events.extend([
        What::TaskAssigned { trigger: Trigger::Label },
        What::TaskUnassigned,
        What::TaskEdited,
        What::TaskClosed,
        What::TaskReopened,
        What::PullOpened { head: sha(2) },
        What::PullUpdated { head: sha(5) },
        What::PullMerged { commit: sha(9) },
        What::PullClosed,
        What::PullReopened,
        What::BranchDeleted,
        What::PolicyChanged,
        What::RepositoryAdded,
        What::RepositoryRemoved,
        What::DeadlinePassed { question: QuestionId(1) },
        What::FollowUpNoted { number: 1 },
        What::AuditWanted {
            wish: AuditWish { agent: AgentId(2), reason: "A header".into(), paths: Vec::new() },
        },
    ]);
    events
}

fn name(what: &What) -> String {
    match what {
        What::CommandGiven { command: Command::Unknown { .. }, .. } => "a typo".into(),
        What::CommandGiven { command, .. } => format!("`{}`", command.word()),
        other => other.name().to_owned(),
    }
}

/// The effects that matter to a reader, in a few words.
fn words(decision: &Decision) -> String {
    let mut words: Vec<String> = Vec::new();
    for effect in &decision.effects {
        words.push(match effect {
            Effect::Open(_) => "task opens".into(),
            Effect::Task { next: TaskState::Waiting(WaitFor::Merge(_)) } => {
                "waits for merge".into()
            }
            Effect::Task { next: TaskState::Waiting(WaitFor::PushApproval(_)) } => {
                "waits to be pushed".into()
            }
            Effect::Publish { .. } => "pushed".into(),
            Effect::Task { next } => match next {
                TaskState::Open => continue,
                TaskState::Waiting(WaitFor::Answer(_)) => "waits for an answer".into(),
                TaskState::Waiting(_) => "waits for approval".into(),
                TaskState::Parked(_) => "parked".into(),
                TaskState::Done => "done".into(),
                TaskState::Cancelled { .. } => "cancelled".into(),
            },
            Effect::StartAgent { stage, part, resumes, .. } => {
                let how = if resumes.is_some() { "goes on" } else { "starts" };
                let part = part.map(|part| format!(" part {}", part.subtask));
                format!("{}{} {how}", stage.name(), part.unwrap_or_default())
            }
            Effect::StartRun { kind, .. } => format!("{} commands run", kind.name()),
            Effect::StartNow { .. } => "agent starts now".into(),
            Effect::StopAgents { .. } => "agents stop".into(),
            Effect::FollowUp { .. } => "told to the running agent".into(),
            Effect::Act(Act::Reply { reply, .. }) => match reply {
                Reply::NotHere { .. } => "declined".into(),
                _ => "answered".into(),
            },
            Effect::Act(Act::OpenFollowUp { .. }) => "issue opens".into(),
            Effect::Raise(ReportKind::Progress) if is_word_of_an_agent(&decision.rule) => {
                "named on the thread".into()
            }
            Effect::Switch { off } => if *off { "switched off" } else { "switched on" }.into(),
            Effect::Answer { .. } => "answer kept".into(),
            Effect::Merged { .. } => "merge noted".into(),
            Effect::Pull { .. } => "head noted".into(),
            _ => continue,
        });
    }
    words.dedup();
    if words.is_empty() { "–".into() } else { words.join(", ") }
}

/// A wish is of the last coder, where there is one.
fn of_the_coder(play: &Play, what: What) -> What {
    match (what, play.s.last_agent(StageKey::Code)) {
        (What::AuditWanted { wish }, Some(coder)) => {
            What::AuditWanted { wish: AuditWish { agent: coder.id, ..wish } }
        }
        (what, _) => what,
    }
}

fn is_word_of_an_agent(rule: &str) -> bool {
    rule == "follow_up_noted" || rule.starts_with("audit_wanted")
}

/// Prints the table; a row that does not say what happens fails.
#[test]
fn the_table_of_states_and_events_is_the_one_in_the_documents() {
    let states = states();
    let mut table = String::from(
        "# What Baton decides\n\nEach state of a task against each event from outside, given by somebody who may, as the code \
         decides today. A test writes this page; run it with `UPDATE_DOCS=1` after a change that is meant. `–`: nothing happens.\n",
    );
    for (label, play) in &states {
        let _ = writeln!(table, "\n## {label}\n\n| event | what happens | rule |\n|---|---|---|");
        for what in outside_events() {
            let mut play = play.clone();
            let what = of_the_coder(&play, what);
            facts_after(&mut play, &what);
            let decision = play.happens(Actor::Person(mara()), what.clone());
            assert!(!decision.rule.is_empty(), "{label} × {} has no rule", name(&what));
            let _ =
                writeln!(table, "| {} | {} | {} |", name(&what), words(&decision), decision.rule);
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/DECISIONS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let differs = written.lines().zip(table.lines()).find(|(is, should)| is != should);
    assert!(
        written == table,
        "docs/DECISIONS.md differs, first here: {differs:?}; run with UPDATE_DOCS=1"
    );
}

/// Whatever happens in whatever order, the rules that hold everywhere hold.
#[test]
fn any_order_of_events_keeps_the_rules() {
    use proptest::prelude::*;
    let events = outside_events();
    let count = events.len();
    proptest!(ProptestConfig::with_cases(3000), |(steps in proptest::collection::vec(0..count + 6, 1..40))| {
        let mut play = Play::new();
        for step in steps {
            let before = play.s.task.as_ref().map(|task| task.state.clone());
            let decision = match step.checked_sub(count) {
                None => {
                    let what = of_the_coder(&play, events[step].clone());
                    facts_after(&mut play, &what);
                    play.happens(Actor::Person(mara()), what)
                }
                Some(inner) => match inside(&mut play, inner) {
                    Some(decision) => decision,
                    None => continue,
                },
            };
            check(&play, before.as_ref(), &decision);
        }
    });
}

/// Something that Baton itself does, where it makes sense.
fn inside(play: &mut Play, which: usize) -> Option<Decision> {
    let active = play.s.stages.iter().find(|stage| stage.state.is_active())?.clone();
    let head = sha(u8::try_from(play.s.agents.len() % 200 + 20).unwrap());
    match active.state {
        StageState::Running(_) => {
            let analyses = play.s.last_agent(active.key).is_some_and(|it| !it.role.writes());
            let outcome = match active.key {
                StageKey::Plan if which == 3 => divided_outcome(&subtasks::WHOLE_WAY),
                StageKey::Plan => plan_outcome(),
                StageKey::Code if analyses => analysis_outcome(),
                StageKey::Code => code_outcome(),
                StageKey::Review => {
                    review_outcome(if which.is_multiple_of(2) { &[] } else { &["Something"] })
                }
                StageKey::Deploy => deploy_outcome(which != 1),
                StageKey::Verify => verify_outcome(which != 1),
                StageKey::Audit => {
                    return Some(play.agent_ends(StageKey::Audit, End::Lost, None, None));
                }
            };
            let head = (active.key == StageKey::Code && !analyses).then_some(head);
            Some(match which {
                4 => play.agent_ends(active.key, End::Lost, None, None),
                5 => play.agent_ends(
                    active.key,
                    End::Failed(FailKind::Crashed("x".into())),
                    None,
                    None,
                ),
                _ => play.succeeds(active.key, outcome, head),
            })
        }
        StageState::Commands(_) => Some(play.run_ends(which != 1)),
        StageState::Publishing { head, .. } => Some(match which {
            2 => play.happens(Actor::System, What::PublishHeld { head }),
            1 => {
                play.happens(Actor::System, What::PublishRefused { refusal: Refusal::BranchMoved })
            }
            _ => play.happens(Actor::System, What::PublishDone { pull: 2, head }),
        }),
        _ => None,
    }
}

fn check(play: &Play, before: Option<&TaskState>, decision: &Decision) {
    let Some(task) = &play.s.task else { return };
    let main: Vec<&Stage> =
        play.s.stages.iter().filter(|stage| stage.key != StageKey::Audit).collect();
    let active = main.iter().filter(|stage| stage.state.is_active()).count();
    assert!(active <= 1, "two stages at work after {}: {:?}", decision.rule, play.rules);
    if task.state.is_final() {
        assert_eq!(active, 0, "{} left something running: {:?}", decision.rule, play.rules);
    }
    if task.state == TaskState::Open && task.origin == TaskOrigin::Issue {
        assert_eq!(
            active, 1,
            "open, and nothing at work after {}: {:?}",
            decision.rule, play.rules
        );
    }
    subtasks::in_order(play);
    let changed = before != Some(&task.state);
    let ended =
        matches!(task.state, TaskState::Parked(_) | TaskState::Done | TaskState::Cancelled { .. });
    if changed && ended && task.origin == TaskOrigin::Issue {
        let told =
            decision.effects.iter().any(|e| matches!(e, Effect::Raise(ReportKind::Closing(_))));
        assert!(told, "{} ended the task in silence", decision.rule);
    }
    assert!(task.rounds <= task.max_rounds + 3, "rounds run away: {:?}", play.rules);
}

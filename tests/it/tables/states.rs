//! States come back from Postgres as they went in.

use super::*;

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::ProtectedPath("a".into()),
        Refusal::Workflows("b".into()),
        Refusal::TooLarge { what: "9 files".into() },
        Refusal::Secret { path: "c".into() },
        Refusal::Submodule("d".into()),
        Refusal::Symlink("e".into()),
        Refusal::ForeignAuthor { commit: "abc1234".into() },
        Refusal::NoTrailer { commit: "abc1234".into() },
        Refusal::Nothing,
        Refusal::BranchMoved,
        Refusal::GitHub("f".into()),
        Refusal::Fork {
            name: RepositoryName::new("acme", "work").unwrap(),
            problem: ForkProblem::NoFork,
        },
    ]
}

fn cancellers() -> Vec<CancelledBy> {
    use CancelledBy::{Operator, Person, Shutdown, Superseded};
    vec![Person(ActorId(4)), Operator, Shutdown, Superseded]
}

fn waits() -> Vec<WaitFor> {
    let answer = WaitFor::Answer(QuestionId(6));
    vec![
        WaitFor::PlanApproval(plan_hash()),
        WaitFor::PushApproval(sha('6')),
        answer,
        WaitFor::Merge(sha('2')),
    ]
}

fn fail_kinds() -> Vec<FailKind> {
    vec![
        FailKind::Setup("a".into()),
        FailKind::Provider("b".into()),
        FailKind::InvalidOutcome("c".into()),
        FailKind::Model("d".into()),
        FailKind::Tools("f".into()),
        FailKind::Commands,
        FailKind::Verdict,
        FailKind::Crashed("e".into()),
        FailKind::Unpushed(sha('7')),
    ]
}

fn task_states() -> Vec<TaskState> {
    let mut parks = vec![
        ParkReason::Budget,
        ParkReason::Quota { until: noon() },
        ParkReason::NotConverging,
        ParkReason::Failed(StageKey::Code),
        ParkReason::NoSandbox { remedy: "install bubblewrap".into() },
        ParkReason::PullClosed,
        ParkReason::BranchDeleted,
        ParkReason::Off,
    ];
    parks.extend(refusals().into_iter().map(ParkReason::Refused));
    parks.extend(cancellers().into_iter().map(ParkReason::Stopped));
    let mut states = vec![TaskState::Open];
    states.extend(waits().into_iter().map(TaskState::Waiting));
    states.extend(parks.into_iter().map(TaskState::Parked));
    states.push(TaskState::Done);
    states.extend(cancellers().into_iter().map(|by| TaskState::Cancelled { by }));
    states
}

fn ends() -> Vec<End> {
    let mut ends =
        vec![End::Succeeded, End::OutOfQuota { until: noon() }, End::OutOfBudget, End::Lost];
    ends.push(End::Asked(QuestionId(6)));
    ends.extend(fail_kinds().into_iter().map(End::Failed));
    ends.extend([Watchdog::Total, Watchdog::Silence, Watchdog::Linger].map(End::TimedOut));
    ends.extend(cancellers().into_iter().map(End::Cancelled));
    ends
}

#[tokio::test]
async fn every_state_of_a_task_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let id = with_task(&database.pool).await;
    for state in task_states() {
        let mut task = tasks::load(&database.pool, id).await.unwrap().task;
        task.state = state;
        task.rounds += 1;
        let version = task.version;
        tasks::save(&database.pool, &task, version, noon()).await.unwrap();
        task.version += 1;
        assert_eq!(tasks::load(&database.pool, id).await.unwrap().task, task);
        let is_open = tasks::by_thread(&database.pool, RepositoryId(1), 17).await.unwrap();
        assert_eq!(is_open.is_none(), task.state.is_final(), "{:?}", task.state);
    }
}

#[tokio::test]
async fn every_state_of_a_stage_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut states = vec![
        StageState::Blocked,
        StageState::Running(AgentId(3)),
        StageState::Commands(CommandRunId(4)),
        StageState::Publishing { from: AgentId(3), head: sha('3') },
        StageState::Passed,
        StageState::Cancelled,
    ];
    states.extend(waits().into_iter().map(StageState::Waiting));
    states.extend(fail_kinds().into_iter().map(StageState::Failed));
    for (round, state) in states.iter().enumerate() {
        let (round, head) = (round as u32, sha('4'));
        for key in StageKey::ALL {
            let head = Some(&head);
            let saved = stages::save(&database.pool, task, key, state, round, head, noon()).await;
            saved.unwrap();
        }
        let read = stages::list(&database.pool, task).await.unwrap();
        assert!(read.iter().map(|stage| stage.key).eq(StageKey::ALL));
        assert!(read.iter().all(|it| it.state == *state && it.round == round), "{read:?}");
    }
}

#[tokio::test]
async fn every_state_of_an_agent_is_read_as_it_was_written() {
    let database = TestDatabase::new().await;
    let task = with_task(&database.pool).await;
    let mut connection = database.pool.acquire().await.unwrap();
    for (place, end) in ends().into_iter().enumerate() {
        let id = with_agent(&mut connection, task, None).await;
        let mut state = AgentState::Queued;
        for next in [AgentState::Preparing, AgentState::Running, AgentState::Finishing] {
            agents::set_state(&mut *connection, id, &state, &next, noon()).await.unwrap();
            assert_eq!(agents::load(&mut *connection, id).await.unwrap().agent.state, next);
            state = next;
        }
        let until = noon();
        let limited = [
            Some(Limited::Budget { scope: BudgetScope::Task, left: Micros(1), needs: Micros(2) }),
            Some(Limited::Requests { most: 3 }),
            Some(Limited::Model { model: "opus".into() }),
            Some(Limited::Quota { until, shortage: Shortage::Overloaded }),
            None,
        ];
        let limited = &limited[place % limited.len()];
        let summary: Untrusted = "did\0it".into();
        let outcome =
            Outcome::Code(CodeOutcome { summary, tests_run: "".into(), notes: "".into() });
        let finished = agents::Finished {
            end: end.clone(),
            outcome: Some(outcome),
            head: Some(sha('5')),
            limited: limited.clone(),
        };
        agents::finish(&mut *connection, id, finished.clone(), noon()).await.unwrap();
        let row = agents::load(&mut *connection, id).await.unwrap();
        assert_eq!(row.agent.state, AgentState::Ended(end));
        assert_eq!(row.agent.limited, *limited);
        assert_eq!(row.agent.attempt as usize, place + 1);
        assert_eq!(row.agent.role, Role::Coding);
        let twice = agents::finish(&mut *connection, id, finished, noon()).await;
        assert!(matches!(twice, Err(DbError::Stale { .. })), "{twice:?}");
    }
    assert!(agents::list_open(&mut *connection).await.unwrap().is_empty());
}

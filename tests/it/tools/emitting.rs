//! What agents emit: things they noticed, and audits that they want.

use baton::db::events;

use super::*;

#[tokio::test]
async fn what_a_role_may_not_emit_is_refused_in_words_that_name_what_it_may() {
    let house = House::new().await;
    house.agent(StageKey::Verify, &Tool::ALL).await;
    let listed = house.ask("verify", "tools/list", json!({})).await["result"]["tools"].take();
    let tool = listed.as_array().unwrap().iter().find(|tool| tool["name"] == "emit_event").unwrap();
    let told = &tool["inputSchema"]["properties"]["event"]["enum"];
    assert_eq!(told, &json!(["follow_up"]));
    let long = |most: usize| "a".repeat(most + 1);
    let event =
        |title: &str, text: &str| json!({ "event": "follow_up", "title": title, "text": text });
    let table = [
        (json!({}), "your role may emit: follow_up"),
        (json!({ "event": "plan_approved" }), "your role may emit: follow_up"),
        (
            json!({ "event": "verify_passed", "title": "a", "text": "b" }),
            "your role may emit: follow_up",
        ),
        (json!({ "event": ["follow_up"] }), "your role may emit: follow_up"),
        (json!({ "event": "follow_up", "title": "a" }), "missing field `text`"),
        (
            json!({ "event": "follow_up", "title": "a", "text": "b", "labels": ["baton"] }),
            "unknown field `labels`",
        ),
        (event(" \n ", "b"), "the title is empty"),
        (event(&long(120), "b"), "the title has 121 characters; 120 are allowed"),
        (event("a", &long(4000)), "the text has 4001 characters; 4000 are allowed"),
        (json!({ "event": "audit_wanted", "reason": "a" }), "your role may emit: follow_up"),
    ];
    for (arguments, why) in table {
        let refused = house.call("verify", "emit_event", arguments).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
    let noted = follow_ups::list(&house.database.pool, house.task).await.unwrap();
    assert_eq!(noted, []);
    let events = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM events");
    assert_eq!(events.fetch_one(&house.database.pool).await.unwrap(), 0);
}

#[tokio::test]
async fn a_follow_up_is_noted_once_redacted_and_told_to_the_pipeline() {
    let house = House::new().await;
    let agent = house.agent(StageKey::Code, &Tool::ALL).await;
    let pool = &house.database.pool;
    let event = |title: &str| json!({ "event": "follow_up", "title": title, "text": format!("Is {SECRET} used?") });
    let words = house.call("code", "emit_event", event("The log\n  grows")).await.unwrap();
    assert!(words.starts_with("Noted as 1;"), "{words}");
    let again = house.call("code", "emit_event", event("the LOG grows")).await.unwrap();
    assert_eq!(again, "It is noted already, as 1.");
    let noted = follow_ups::list(pool, house.task).await.unwrap();
    let (title, text) = ("The log grows".into(), "Is [redacted] used?".into());
    assert_eq!(noted, [FollowUp { number: 1, agent, title, text, issue: None }]);
    let told = "SELECT events.kind || ' ' || (what->>'number') FROM events JOIN jobs ON payload->>'event' = events.id::text";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(pool).await.unwrap();
    assert_eq!(told, ["follow_up.noted 1"]);
}

#[tokio::test]
async fn follow_ups_have_an_end_and_count_on_for_the_threads_next_task() {
    let mut house = House::new().await;
    let event = |title: String| json!({ "event": "follow_up", "title": title, "text": "?" });
    for (stage, token) in [(StageKey::Code, "code"), (StageKey::Review, "review")] {
        let agent = house.agent(stage, &Tool::ALL).await;
        for number in 1..=5 {
            house.call(token, "emit_event", event(format!("{token} {number}"))).await.unwrap();
        }
        let refused = house.call(token, "emit_event", event("one more".into())).await;
        assert!(refused.unwrap_err().contains("an agent may note 5 follow-ups"));
        house.end(agent).await;
    }
    let agent = house.agent(StageKey::Plan, &Tool::ALL).await;
    let refused = house.call("plan", "emit_event", event("one more".into())).await.unwrap_err();
    assert!(refused.contains("this task has 10 follow-ups"), "{refused}");
    house.end(agent).await;

    let pool = house.database.pool.clone();
    sqlx::query("UPDATE tasks SET state = 'done', closed_at = now()").execute(&pool).await.unwrap();
    let first = std::mem::replace(&mut house.task, open_task(&pool, 17, house.clock.now()).await);
    house.agent(StageKey::Plan, &Tool::ALL).await;
    let words = house.call("plan", "emit_event", event("one more".into())).await.unwrap();
    assert!(words.starts_with("Noted as 11;"), "{words}");
    let (repository, issue) = (RepositoryId(1), task_refs::RefKind::Issue);
    for (number, task) in [(1, Some(first)), (11, Some(house.task)), (12, None)] {
        let found = follow_ups::task_of(&pool, repository, issue, 17, number).await.unwrap();
        assert_eq!(found, task, "{number}");
    }
}

/// Lets agents of every task ask for audits.
async fn allow_audits(house: &House) {
    let allow = r#"UPDATE tasks SET policy = policy || '{"agent_audits": true}'"#;
    sqlx::query(allow).execute(&house.database.pool).await.unwrap();
}

#[tokio::test]
async fn an_audit_is_asked_for_once_redacted_and_told_to_the_pipeline() {
    let house = House::new().await;
    let agent = house.agent(StageKey::Code, &Tool::ALL).await;
    let pool = &house.database.pool;
    let event = json!({
        "event": "audit_wanted", "reason": format!("It holds {SECRET}."), "paths": ["src/a.rs"],
    });
    let refused = house.call("code", "emit_event", event.clone()).await.unwrap_err();
    assert!(refused.contains("only people ask for audits"), "{refused}");
    assert!(events::list_audit_wishes(pool, house.task).await.unwrap().is_empty());

    allow_audits(&house).await;
    let words = house.call("code", "emit_event", event.clone()).await.unwrap();
    assert!(words.starts_with("Asked for;"), "{words}");
    let again = house.call("code", "emit_event", event).await.unwrap_err();
    assert_eq!(again, "you have asked for an audit already");
    let (reason, paths) = ("It holds [redacted].".into(), vec!["src/a.rs".into()]);
    let wishes = events::list_audit_wishes(pool, house.task).await.unwrap();
    assert_eq!(wishes, [AuditWish { agent, reason, paths }]);
    let told = "SELECT events.kind FROM events JOIN jobs ON payload->>'event' = events.id::text";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(pool).await.unwrap();
    assert_eq!(told, ["audit.wanted"]);
}

#[tokio::test]
async fn wishes_for_audits_have_a_form_and_an_end() {
    let house = House::new().await;
    allow_audits(&house).await;
    for number in 0..4 {
        let agent = house.agent(StageKey::Code, &Tool::ALL).await;
        for (arguments, why) in [
            (json!({ "event": "audit_wanted" }), "missing field `reason`"),
            (json!({ "event": "audit_wanted", "reason": " " }), "the reason is empty"),
            (
                json!({ "event": "audit_wanted", "reason": "a", "paths": vec!["b"; 21] }),
                "at most 20 paths",
            ),
            (
                json!({ "event": "audit_wanted", "reason": "a", "head": "b" }),
                "unknown field `head`",
            ),
        ] {
            let refused = house.call("code", "emit_event", arguments).await.unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let event = json!({ "event": "audit_wanted", "reason": "It parses a header." });
        let asked = house.call("code", "emit_event", event).await;
        match number {
            0..3 => assert!(asked.is_ok(), "{asked:?}"),
            _ => assert!(asked.unwrap_err().contains("3 audits were asked for"), "{number}"),
        }
        house.end(agent).await;
    }
}

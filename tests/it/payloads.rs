//! Every delivery that GitHub publishes as an example gives events or a named reason.

use std::{collections::BTreeMap, fs, path::Path};

use baton::{
    event::{DeliveryHeaders, Identity, IgnoreReason, Parsed, Verdict, parse},
    model::{ActorId, DeliveryGuid},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use uuid::Uuid;

const EXAMPLES: &str = "node_modules/@octokit/webhooks-examples/api.github.com/index.json";

#[derive(serde::Deserialize)]
struct Examples {
    name: String,
    examples: Vec<Value>,
}

/// All recorded payloads, each with the name of its event.
fn recorded() -> Vec<(String, Value)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLES);
    let text = fs::read(&path).unwrap_or_else(|error| {
        panic!("GitHub's example payloads are needed: run `npm ci` ({}: {error})", path.display())
    });
    let all: Vec<Examples> = serde_json::from_slice(&text).unwrap();
    all.into_iter()
        .flat_map(|Examples { name, examples }| {
            examples.into_iter().map(move |example| (name.clone(), example))
        })
        .collect()
}

/// As an App gets it: the examples of repository webhooks lack the installation.
fn installed(mut body: Value) -> Value {
    if body.get("installation").is_none_or(Value::is_null) {
        body["installation"] = json!({"id": 5, "node_id": "x"});
    }
    body
}

fn read(event: &str, body: &[u8]) -> Result<Parsed, String> {
    let identity = Identity {
        app_id: 1,
        bot: ActorId(i64::MAX),
        slug: "baton".to_owned(),
        name: "bug".to_owned(),
    };
    let headers = DeliveryHeaders {
        event: event.to_owned(),
        guid: DeliveryGuid(Uuid::nil()),
        received_at: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    parse(&identity, &headers, body).map_err(|error| format!("{event}: {error}"))
}

/// What came of it, as a word for counting.
fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Events(events) => {
            assert!(!events.is_empty(), "no events are a reason");
            format!("event {}", events[0].what.name())
        }
        Verdict::Ignored(IgnoreReason::NotWatched { .. }) => "not watched".to_owned(),
        Verdict::Ignored(reason) => {
            assert!(!reason.to_string().is_empty());
            format!("ignored: {reason}")
        }
        Verdict::Own => "own".to_owned(),
    }
}

fn counts(payloads: &[(String, Value)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (event, body) in payloads {
        let parsed = read(event, body.to_string().as_bytes()).unwrap();
        *counts.entry(outcome(&parsed.verdict)).or_default() += 1;
    }
    counts
}

#[test]
fn every_recorded_payload_gives_events_or_a_named_reason() {
    let recorded = recorded();
    assert_eq!(recorded.len(), 329, "another version of the examples");
    counts(&recorded);
    let as_app: Vec<_> =
        recorded.into_iter().map(|(event, body)| (event, installed(body))).collect();
    let counts = counts(&as_app);
    println!("{counts:#?}");
    // The examples label with `bug`, which is this Baton's name.
    for what in [
        "event task.assigned",
        "event task.unassigned",
        "event task.closed",
        "event task.reopened",
        "event pr.created",
        "event pr.updated",
        "event pr.closed",
        "event pr.reopened",
        "event policy.changed",
        "event repository.added",
        "not watched",
        "ignored: the text holds no command that is new",
    ] {
        assert!(counts.contains_key(what), "{what} came of no payload: {counts:#?}");
    }
}

#[test]
fn an_unknown_action_is_a_reason_and_no_error() {
    let changed: Vec<_> = recorded()
        .into_iter()
        .map(|(event, body)| {
            let mut body = installed(body);
            if body.get("action").is_some() {
                body["action"] = json!("transmogrified");
            }
            (event, body)
        })
        .collect();
    let counts = counts(&changed);
    println!("{counts:#?}");
    let acting: Vec<_> = counts.keys().filter(|what| what.starts_with("event ")).collect();
    assert!(acting.is_empty(), "an unknown action tells {acting:?}");
}

#[test]
fn extra_fields_and_nulls_do_not_hide_an_event() {
    for (event, body) in recorded() {
        let body = installed(body);
        let plain = read(&event, body.to_string().as_bytes()).unwrap();
        let mut richer = body;
        richer["new_field_of_next_year"] = json!({"x": [1, null]});
        for unused in ["organization", "enterprise", "team", "number", "head_commit"] {
            richer[unused] = Value::Null;
        }
        assert_eq!(read(&event, richer.to_string().as_bytes()).unwrap(), plain, "{event}");
    }
}

#[test]
fn no_damage_to_a_payload_makes_the_parser_panic() {
    let watched: Vec<(String, Value)> = recorded()
        .into_iter()
        .map(|(event, body)| (event, installed(body)))
        .filter(|(event, body)| {
            let parsed = read(event, body.to_string().as_bytes()).unwrap();
            matches!(parsed.verdict, Verdict::Events(_))
        })
        .collect();
    let put = prop::sample::select(vec![
        json!(null),
        json!(""),
        json!(-1),
        json!(1e300),
        json!([]),
        json!({}),
        json!("\u{0}é"),
        json!("/bug stop"),
        json!(true),
        json!("refs/heads/"),
    ]);
    let damage = (0..watched.len(), any::<prop::sample::Index>(), put);
    let mut runner = TestRunner::new(Config { cases: 512, ..Config::default() });
    runner
        .run(&damage, |(which, place, put)| {
            let (event, body) = &watched[which];
            let mut body = body.clone();
            let pointers = pointers(&body);
            *body.pointer_mut(&pointers[place.index(pointers.len())]).unwrap() = put;
            let _ = read(event, body.to_string().as_bytes());
            Ok(())
        })
        .unwrap();
}

/// The places of all values in a payload, two levels deep.
fn pointers(body: &Value) -> Vec<String> {
    let mut pointers = Vec::new();
    for (key, value) in body.as_object().unwrap() {
        pointers.push(format!("/{key}"));
        for inner in value.as_object().into_iter().flat_map(|object| object.keys()) {
            pointers.push(format!("/{key}/{inner}"));
        }
    }
    pointers
}

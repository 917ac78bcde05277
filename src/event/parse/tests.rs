//! What GitHub sends, and what it means to Baton.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    event::{ALWAYS_SENT, InstallationState, SUBSCRIBED, dedup},
    model::{
        ActorId, Cause, Command, CommentId, DeliveryGuid, Form, NewEvent, RepositoryId, Sha,
        Subject, Timestamp, Trigger, What,
    },
};

const BOT: i64 = 900;
const MARA: i64 = 7;
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn identity() -> Identity {
    Identity {
        app_id: 42,
        bot: ActorId(BOT),
        slug: "baton-acme".to_owned(),
        name: "baton".to_owned(),
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn headers(event: &str) -> DeliveryHeaders {
    DeliveryHeaders {
        event: event.to_owned(),
        guid: DeliveryGuid(uuid::Uuid::from_u128(1)),
        received_at: time("2026-01-02T00:00:10Z"),
    }
}

/// A delivery by mara with what every delivery of an App has; `own` wins.
fn delivery(action: &str, own: Value) -> Value {
    let mut body = json!({
        "action": action,
        "installation": {"id": 5, "node_id": "x"},
        "repository": {
            "id": 11, "full_name": "acme/range", "default_branch": "main", "private": false,
            "owner": {"id": 3, "login": "acme", "type": "Organization"},
            "pushed_at": 1_767_312_000,
        },
        "sender": {"id": MARA, "login": "mara", "type": "User"},
    });
    let fields = body.as_object_mut().unwrap();
    fields.extend(own.as_object().unwrap().clone());
    body
}

fn read(event: &str, body: &Value) -> Result<Parsed, ParseError> {
    parse(&identity(), &headers(event), body.to_string().as_bytes())
}

fn verdict(event: &str, body: &Value) -> Verdict {
    read(event, body).unwrap().verdict
}

fn events(event: &str, body: &Value) -> Vec<NewEvent> {
    match verdict(event, body) {
        Verdict::Events(events) => events,
        other => panic!("{other:?} from {body}"),
    }
}

fn one(event: &str, body: &Value) -> NewEvent {
    let mut events = events(event, body);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn ignored(event: &str, body: &Value) -> IgnoreReason {
    match verdict(event, body) {
        Verdict::Ignored(reason) => reason,
        other => panic!("{other:?} from {body}"),
    }
}

fn issue(action: &str, own: Value) -> Value {
    let mut body = delivery(
        action,
        json!({"issue": {"number": 17, "updated_at": "2026-01-02T00:00:00Z", "title": "t"}}),
    );
    body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    body
}

fn comment(action: &str, text: &str, own: Value) -> Value {
    let comment = json!({
        "id": 77, "body": text, "user": {"id": MARA, "login": "mara", "type": "User"},
        "created_at": "2026-01-02T00:00:01Z", "updated_at": "2026-01-02T00:00:02Z",
        "performed_via_github_app": null,
    });
    let mut body = issue(action, json!({"comment": comment}));
    body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    body
}

fn pull(action: &str, own: Value) -> Value {
    let mut pull = json!({
        "number": 18, "head": {"sha": SHA}, "merged": false,
        "updated_at": "2026-01-02T00:00:00Z",
    });
    pull.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    delivery(action, json!({"pull_request": pull}))
}

fn command(command: Command, form: Form, comment: Option<i64>) -> What {
    What::CommandGiven { command, form, comment: comment.map(CommentId) }
}

#[test]
fn every_event_that_github_is_asked_for_is_read() {
    for event in SUBSCRIBED.iter().chain(ALWAYS_SENT) {
        assert!(Kind::of(event).is_some(), "{event} is asked for and not read");
    }
}

#[test]
fn a_delivery_tells_where_and_by_whom() {
    let parsed = read("issues", &issue("closed", json!({}))).unwrap();
    let repository = parsed.repository.unwrap();
    assert_eq!(repository.name.to_string(), "acme/range");
    assert_eq!(repository.default_branch.as_str(), "main");
    assert!(!repository.private);
    let installation = parsed.installation.unwrap();
    assert_eq!((installation.id.0, installation.account_id.0), (5, 3));
    assert_eq!(installation.state, None);
    let Verdict::Events(events) = parsed.verdict else { panic!("no events") };
    assert_eq!(events[0].repository.0, 11);
    assert_eq!(events[0].cause, Cause::Delivery { guid: headers("").guid });
    let mara = Person { id: ActorId(MARA), login: Login::new("mara").unwrap() };
    assert_eq!(events[0].actor, Actor::Person(mara));
}

#[test]
fn the_label_assigns_and_its_removal_unassigns() {
    for (label, trigger) in [
        ("baton", Trigger::Label),
        ("Baton", Trigger::Label),
        ("baton:plan", Trigger::PlanLabel),
        ("baton:review", Trigger::ReviewLabel),
    ] {
        let event = one("issues", &issue("labeled", json!({"label": {"name": label}})));
        assert_eq!(event.what, What::TaskAssigned { trigger });
        assert_eq!(event.subject, Subject::Issue(17));
        assert_eq!(event.at, time("2026-01-02T00:00:00Z"));
        let key = dedup::labelled(RepositoryId(11), 17, label, event.at);
        assert_eq!(event.dedup_key, key);
    }
    let off = one("issues", &issue("unlabeled", json!({"label": {"name": "baton"}})));
    assert_eq!(off.what, What::TaskUnassigned);
    let shot = issue("unlabeled", json!({"label": {"name": "baton:plan"}}));
    assert_eq!(ignored("issues", &shot), IgnoreReason::OneShotLabelRemoved);
    for other in ["bug", "batons", "baton:waiting", "baton:parked"] {
        let body = issue("labeled", json!({"label": {"name": other}}));
        assert_eq!(ignored("issues", &body), IgnoreReason::NotOurLabel, "{other}");
    }
    let mut on_pull = pull("labeled", json!({}));
    on_pull["label"] = json!({"name": "baton"});
    let event = one("pull_request", &on_pull);
    assert_eq!(event.subject, Subject::Pull(18));
    assert_eq!(event.what, What::TaskAssigned { trigger: Trigger::Label });
}

#[test]
fn labelling_again_later_is_another_event() {
    let first = issue("labeled", json!({"label": {"name": "baton"}}));
    let mut again = first.clone();
    assert_eq!(one("issues", &first).dedup_key, one("issues", &again).dedup_key);
    again["issue"]["updated_at"] = json!("2026-01-02T00:05:00Z");
    assert_ne!(one("issues", &first).dedup_key, one("issues", &again).dedup_key);
}

#[test]
fn an_issue_lives() {
    let what = |action: &str, own| one("issues", &issue(action, own)).what;
    assert_eq!(what("closed", json!({})), What::TaskClosed);
    assert_eq!(what("deleted", json!({})), What::TaskClosed);
    assert_eq!(what("transferred", json!({"changes": {"new_issue": {}}})), What::TaskClosed);
    assert_eq!(what("reopened", json!({})), What::TaskReopened);
    assert_eq!(what("edited", json!({"changes": {"title": {"from": "x"}}})), What::TaskEdited);
    assert_eq!(what("edited", json!({"changes": {"body": {"from": null}}})), What::TaskEdited);
    let neither = issue("edited", json!({"changes": {}}));
    assert_eq!(ignored("issues", &neither), IgnoreReason::NeitherTitleNorText);
}

#[test]
fn commands_of_one_comment_come_in_order() {
    let body = comment("created", "/baton stop\r\n\r\n/baton status", json!({}));
    let events = events("issue_comment", &body);
    let whats: Vec<_> = events.iter().map(|event| event.what.clone()).collect();
    assert_eq!(
        whats,
        [
            command(Command::Stop { now: false }, Form::Typed, Some(77)),
            command(Command::Status, Form::Typed, Some(77)),
        ]
    );
    assert_eq!(events[0].dedup_key, dedup::comment_command(CommentId(77), events[0].at, 0));
    assert_ne!(events[0].dedup_key, events[1].dedup_key);
    assert_eq!(events[0].subject, Subject::Issue(17));
}

#[test]
fn a_comment_on_a_pull_request_is_about_the_pull_request() {
    let mut body = comment("created", "/baton review", json!({}));
    body["issue"]["pull_request"] = json!({"url": "x"});
    assert_eq!(one("issue_comment", &body).subject, Subject::Pull(17));
}

#[test]
fn an_edit_gives_only_the_commands_that_it_adds() {
    let changes = json!({"changes": {"body": {"from": "/baton stop\nplaese"}}});
    let body = comment("edited", "/baton stop\nplease", changes.clone());
    assert_eq!(ignored("issue_comment", &body), IgnoreReason::NoCommand);
    let body = comment("edited", "/baton stop\n/baton status", changes);
    let event = one("issue_comment", &body);
    assert_eq!(event.what, command(Command::Status, Form::Edited, Some(77)));
    let untold = comment("edited", "/baton stop", json!({}));
    assert_eq!(ignored("issue_comment", &untold), IgnoreReason::NoCommand);
}

const ASKED: &str = "<!-- baton:asking {\"task\":3,\"subject\":\"1\"} -->\r\n@mara the plan is \
                     ready.\r\n\r\n- [ ] **Approve this plan** (`7f3c1e`)";

fn edit_of_batons(before: &str, after: &str) -> Value {
    let mut body = comment("edited", after, json!({"changes": {"body": {"from": before}}}));
    body["comment"]["user"] = json!({"id": BOT, "login": "baton-acme[bot]", "type": "Bot"});
    body["comment"]["performed_via_github_app"] = json!({"id": 42});
    body
}

#[test]
fn a_tick_by_a_person_approves_the_plan_behind_it() {
    let ticked = ASKED.replace("[ ]", "[x]");
    let event = one("issue_comment", &edit_of_batons(ASKED, &ticked));
    let approve = Command::Approve { hash: Some("7f3c1e".to_owned()) };
    assert_eq!(event.what, command(approve, Form::Tick, Some(77)));
    let mut by_bot = edit_of_batons(ASKED, &ticked);
    by_bot["sender"]["type"] = json!("Bot");
    assert_eq!(ignored("issue_comment", &by_bot), IgnoreReason::TickByBot);
    let mut own = edit_of_batons(ASKED, &ticked);
    own["sender"]["id"] = json!(BOT);
    assert_eq!(verdict("issue_comment", &own), Verdict::Own);
}

#[test]
fn a_tick_in_a_comment_of_somebody_else_is_nothing() {
    let ticked = ASKED.replace("[ ]", "[x]");
    let body = comment("edited", &ticked, json!({"changes": {"body": {"from": ASKED}}}));
    assert_eq!(ignored("issue_comment", &body), IgnoreReason::NoCommand);
}

#[test]
fn words_put_into_batons_mouth_are_no_commands() {
    let body = edit_of_batons(ASKED, &format!("/baton approve\n\n{ASKED}"));
    assert_eq!(ignored("issue_comment", &body), IgnoreReason::NotATick);
}

#[test]
fn what_baton_wrote_itself_triggers_nothing() {
    let mut body = comment("created", "/baton stop", json!({}));
    body["sender"] = json!({"id": BOT, "login": "baton-acme[bot]", "type": "Bot"});
    let parsed = read("issue_comment", &body).unwrap();
    assert_eq!(parsed.verdict, Verdict::Own);
    assert!(parsed.repository.is_some());
    let mut in_a_persons_name = comment("created", "/baton stop", json!({}));
    in_a_persons_name["comment"]["performed_via_github_app"] = json!({"id": 42});
    assert_eq!(verdict("issue_comment", &in_a_persons_name), Verdict::Own);
}

#[test]
fn a_bot_is_told_from_a_person_by_its_type_and_not_by_its_name() {
    let mut body = comment("created", "/baton stop", json!({}));
    body["sender"] = json!({"id": 8, "login": "helper[bot]", "type": "Bot"});
    assert!(matches!(one("issue_comment", &body).actor, Actor::Bot(_)));
    body["sender"] = json!({"id": 8, "login": "helper[bot]", "type": "User"});
    assert!(matches!(one("issue_comment", &body).actor, Actor::Person(_)));
}

#[test]
fn a_pull_request_lives() {
    let head = Sha::new(SHA).unwrap();
    let what = |action: &str, own| one("pull_request", &pull(action, own)).what;
    assert_eq!(what("opened", json!({})), What::PullOpened { head: head.clone() });
    assert_eq!(what("synchronize", json!({})), What::PullUpdated { head: head.clone() });
    assert_eq!(what("closed", json!({})), What::PullClosed);
    assert_eq!(what("reopened", json!({})), What::PullReopened);
    let merged = json!({"merged": true, "merge_commit_sha": SHA});
    let event = one("pull_request", &pull("closed", merged));
    assert_eq!(event.what, What::PullMerged { commit: head.clone() });
    assert_eq!(event.dedup_key, dedup::pull_merged(RepositoryId(11), 18, &head));
    let no_commit = pull("closed", json!({"merged": true, "merge_commit_sha": null}));
    assert!(matches!(read("pull_request", &no_commit), Err(ParseError::Missing(_))));
    let bad = pull("opened", json!({"head": {"sha": "../../x"}}));
    assert!(matches!(read("pull_request", &bad), Err(ParseError::Invalid { .. })));
}

#[test]
fn a_head_that_comes_back_is_another_event() {
    let first = pull("synchronize", json!({}));
    let later = pull("synchronize", json!({"updated_at": "2026-01-02T01:00:00Z"}));
    assert_ne!(one("pull_request", &first).dedup_key, one("pull_request", &later).dedup_key);
}

#[test]
fn reviews_and_their_remarks_can_hold_commands() {
    let mut review = pull("submitted", json!({}));
    review["review"] = json!({"id": 4, "body": "/baton fix", "submitted_at": null});
    let event = one("pull_request_review", &review);
    assert_eq!(event.what, command(Command::Fix, Form::Typed, None));
    assert_eq!(event.subject, Subject::Pull(18));
    review["review"]["body"] = Value::Null;
    assert_eq!(ignored("pull_request_review", &review), IgnoreReason::NoCommand);

    let mut remark = pull("created", json!({}));
    remark["comment"] = json!({"id": 5, "body": "/baton fix"});
    let event = one("pull_request_review_comment", &remark);
    assert_eq!(event.what, command(Command::Fix, Form::Typed, None));
}

#[test]
fn a_push_counts_where_it_may_change_the_policy() {
    let push = |reference: &str, own: Value| {
        let mut body = delivery("", json!({"ref": reference, "after": SHA, "commits": []}));
        body.as_object_mut().unwrap().remove("action");
        body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        body
    };
    for list in ["added", "removed", "modified"] {
        let commits = json!({"commits": [{list: ["a", ".github/baton.yml"]}]});
        let event = one("push", &push("refs/heads/main", commits.clone()));
        assert_eq!((event.what, event.subject), (What::PolicyChanged, Subject::Repository));
        let elsewhere = push("refs/heads/other", commits);
        assert_eq!(ignored("push", &elsewhere), IgnoreReason::NotDefaultBranch);
    }
    let forced = push("refs/heads/main", json!({"forced": true}));
    assert_eq!(one("push", &forced).what, What::PolicyChanged);
    let other = push("refs/heads/main", json!({"commits": [{"added": ["x/.github/baton.yml"]}]}));
    assert_eq!(ignored("push", &other), IgnoreReason::PolicyUntouched);
    let tag = push("refs/tags/main", json!({}));
    assert_eq!(ignored("push", &tag), IgnoreReason::NotDefaultBranch);
}

#[test]
fn a_deleted_branch_is_told_by_name() {
    let body = delivery("", json!({"ref": "baton/17-x", "ref_type": "branch"}));
    let event = one("delete", &body);
    let branch = BranchName::new("baton/17-x").unwrap();
    assert_eq!((event.what, event.subject), (What::BranchDeleted, Subject::Branch(branch)));
    let odd = delivery("", json!({"ref": "-x", "ref_type": "branch"}));
    assert_eq!(ignored("delete", &odd), IgnoreReason::UnusableBranchName);
    let tag = delivery("", json!({"ref": "v1", "ref_type": "tag"}));
    assert_eq!(ignored("delete", &tag), IgnoreReason::NotABranch);
}

fn installation(action: &str, own: Value) -> Value {
    let account = json!({"id": 3, "login": "acme", "type": "Organization"});
    let mut body = delivery(action, json!({"installation": {"id": 5, "account": account}}));
    body.as_object_mut().unwrap().remove("repository");
    body.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    body
}

#[test]
fn an_installation_brings_and_takes_its_repositories() {
    let two = json!([
        {"id": 11, "full_name": "acme/range", "private": true},
        {"id": 12, "full_name": "acme/other", "private": false},
    ]);
    for (action, what, state) in [
        ("created", What::RepositoryAdded, InstallationState::Active),
        ("unsuspend", What::RepositoryAdded, InstallationState::Active),
        ("suspend", What::RepositoryRemoved, InstallationState::Suspended),
        ("deleted", What::RepositoryRemoved, InstallationState::Deleted),
    ] {
        let body = installation(action, json!({"repositories": two}));
        let parsed = read("installation", &body).unwrap();
        assert_eq!(parsed.installation.unwrap().state, Some(state));
        assert_eq!(parsed.listed.len(), 2);
        let events = events("installation", &body);
        assert!(events.iter().all(|event| event.what == what), "{action}");
        assert_eq!(events.iter().map(|e| e.repository.0).collect::<Vec<_>>(), [11, 12]);
    }
    let bare = installation("deleted", json!({}));
    assert_eq!(ignored("installation", &bare), IgnoreReason::NoRepositories);

    let swap = json!({"repositories_added": [two[0]], "repositories_removed": [two[1]]});
    let events = events("installation_repositories", &installation("added", swap));
    assert_eq!(events[0].what, What::RepositoryRemoved);
    assert_eq!((&events[1].what, events[1].repository.0), (&What::RepositoryAdded, 11));
    assert_ne!(events[0].dedup_key, events[1].dedup_key);
}

#[test]
fn a_repository_is_renamed_moved_or_deleted() {
    let what = |action: &str| one("repository", &delivery(action, json!({}))).what;
    assert_eq!(what("deleted"), What::RepositoryRemoved);
    assert_eq!(what("transferred"), What::RepositoryAdded);
    let renamed = delivery("renamed", json!({}));
    assert_eq!(ignored("repository", &renamed), IgnoreReason::RepositoryRenamed);
    let default = delivery("edited", json!({"changes": {"default_branch": {"from": "master"}}}));
    assert_eq!(one("repository", &default).what, What::PolicyChanged);
}

#[test]
fn what_is_not_from_an_installation_is_not_read() {
    let mut body = issue("closed", json!({}));
    body.as_object_mut().unwrap().remove("installation");
    assert_eq!(ignored("issues", &body), IgnoreReason::NoInstallation);
    assert_eq!(ignored("ping", &json!({"zen": "x"})), IgnoreReason::Ping);
    let unwatched = ignored("star", &json!({}));
    assert_eq!(unwatched.to_string(), "event \"star\" is not watched");
}

#[test]
fn garbled_bodies_are_errors_and_not_panics() {
    for body in ["", "null", "[]", "{", "\u{0}", "{\"installation\": 5}", "{\"sender\": []}"] {
        let parsed = parse(&identity(), &headers("issues"), body.as_bytes());
        assert!(matches!(parsed, Err(ParseError::Body(_))), "{body:?}: {parsed:?}");
    }
    let deep = "[".repeat(100_000);
    let deep = format!("{{\"changes\": {{\"title\": {deep}");
    assert!(parse(&identity(), &headers("issues"), deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(
        body in prop::collection::vec(any::<u8>(), 0..400),
        event in prop::sample::select(SUBSCRIBED),
    ) {
        let _ = parse(&identity(), &headers(event), &body);
    }
}

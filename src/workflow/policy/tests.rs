//! What maintainers write, what holds then, and what they are told where it is wrong.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::{Effort, HostRule, Micros, Preset, ProgramTool, Role};

const FULL: &str = "\
version: 1
until: deploy
approve: none
merge: person
setup: [npm ci, cargo fetch]
environment:
  image: node:22
  presets: [node, rust]
  hosts: [Artifacts.example.com, \"registry.example.com:8443\"]
  keep: packages/web/node_modules
  agents: fetch
test: [cargo test, cargo clippy]
push: after-approval
deploy:
  environment: production
  commands: ./deploy.sh
verify:
  - curl -f https://example.com/healthz
protected: [\"migrations/**\", Cargo.lock]
roles:
  coding:
    provider: claude
    model: some-model-1
    minutes: 30
    models: [some-model-1, small-model]
    budget: 1.25
    effort: low
    tools: [Read, Edit, Bash]
    max_turns: 40
    requests: 90
    web: true
  reviewer: {model: other}
budget: 2.5
max_rounds: 2
agents: 3
bots: [49699333]
resume_after_quota: person
audit: agents
restarts: {times: 1, after: [crashed, model]}
";

fn mistake(text: &str) -> PolicyMistake {
    match parse(text) {
        Err(mistake) => mistake,
        Ok(policy) => panic!("{text:?} was taken: {policy:?}"),
    }
}

#[test]
fn an_almost_empty_file_means_the_defaults() {
    assert_eq!(parse("version: 1"), Ok(Policy::default()));
    assert_eq!(parse("# how we work\n\nversion: 1\nroles:\ndeploy:\n"), Ok(Policy::default()));
}

#[test]
fn a_review_by_another_provider_needs_two_that_differ() {
    let review = "version: 1\nreview: {other_provider: true}\n";
    let roles = "roles: {coding: {provider: claude}, reviewer: {provider: codex}}";
    let policy = parse(&format!("{review}{roles}")).unwrap();
    assert_eq!(policy.roles[&Role::Reviewer].provider.as_deref(), Some("codex"));
    let mistake = parse(review).unwrap_err();
    assert_eq!((mistake.line, mistake.column), (2, 1));
    assert!(mistake.message.contains("roles.reviewer.provider"), "{mistake}");
    assert!(parse(&review.replace("true", "false")).is_ok());
}

#[test]
fn a_review_by_another_provider_is_by_another_than_every_author() {
    let mistake_with = |role: &str| {
        parse(&format!(
            "version: 1\nreview: {{other_provider: true}}\n\
             roles: {{coding: {{provider: claude}}, reviewer: {{provider: codex}}, {role}}}"
        ))
        .err()
    };
    for author in ["refactor", "test-generation", "generic"] {
        assert!(mistake_with(&format!("{author}: {{provider: codex}}")).is_some(), "{author}");
        assert_eq!(mistake_with(&format!("{author}: {{provider: command}}")), None);
        assert_eq!(mistake_with(&format!("{author}: {{minutes: 9}}")), None, "the coder's");
    }
    assert_eq!(mistake_with("analysis: {provider: codex}"), None, "it writes nothing");
}

#[test]
fn a_fork_is_named_where_branches_go_to_one() {
    let policy = parse("version: 1\npush: fork\nfork: acme/files-work").unwrap();
    assert_eq!(policy.fork().map(ToString::to_string).as_deref(), Some("acme/files-work"));
    let kept = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&kept).unwrap(), policy);
    assert_eq!(parse(FULL).unwrap().fork(), None);
}

#[test]
fn every_key_is_read() {
    let policy = parse(FULL).unwrap();
    let role = |model: &str| crate::model::RolePolicy {
        model: Some(model.to_owned()),
        ..Default::default()
    };
    let coding = crate::model::RolePolicy {
        provider: Some("claude".to_owned()),
        minutes: Some(30),
        models: vec!["some-model-1".to_owned(), "small-model".to_owned()],
        budget: Some(Micros(1_250_000)),
        effort: Some(Effort::Low),
        tools: Some(vec![ProgramTool::Read, ProgramTool::Edit, ProgramTool::Bash]),
        max_turns: Some(40),
        requests: Some(90),
        web: true,
        ..role("some-model-1")
    };
    assert_eq!(
        policy,
        Policy {
            until: Until::Deploy,
            approve_plan: false,
            merge: MergePolicy::Person,
            test: vec!["cargo test".to_owned(), "cargo clippy".to_owned()],
            push: Some(crate::model::PushPolicy::AfterApproval),
            build: BuildPolicy {
                setup: vec!["npm ci".to_owned(), "cargo fetch".to_owned()],
                named: true,
                image: Some("node:22".to_owned()),
                presets: Some(vec![Preset::Node, Preset::Rust]),
                hosts: ["artifacts.example.com", "registry.example.com:8443"]
                    .map(|host| HostRule::new(host).unwrap())
                    .to_vec(),
                keep: vec!["packages/web/node_modules".to_owned()],
                agents_fetch: true,
            },
            deploy: Some(DeployPolicy {
                environment: crate::model::Environment::new("production").unwrap(),
                commands: vec!["./deploy.sh".to_owned()],
            }),
            verify: vec!["curl -f https://example.com/healthz".to_owned()],
            protected: [".github/**", "migrations/**", "Cargo.lock"].map(str::to_owned).to_vec(),
            roles: [(Role::Coding, coding), (Role::Reviewer, role("other"))].into(),
            budget: Micros(2_500_000),
            max_rounds: 2,
            agents: Some(3),
            bots: vec![ActorId(49_699_333)],
            after_quota: AfterQuota::Person,
            agent_audits: true,
            restarts: crate::model::Restarts {
                times: 1,
                after: vec![crate::model::Mishap::Crashed, crate::model::Mishap::Model],
            },
        }
    );
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_would_be_right() {
    let table = [
        ("version: 1\nuntill: pr", 2, 1, "unknown key `untill`; did you mean `until`?"),
        (
            "version: 1\nroles:\n  coding:\n    modle: x",
            4,
            5,
            "unknown key `modle` in `roles.coding`; did you mean `model`?",
        ),
        (
            "version: 1\nroles:\n  tester: {}",
            3,
            3,
            "unknown key `tester` in `roles`; known here: starter, coding, reviewer, deployer, \
             verifier, auditor, \
             generic, refactor, test-generation, analysis",
        ),
        (
            "version: 1\nenvironment:\n  presets: ruby",
            3,
            12,
            "environment.presets: `presets` holds `rust`, `node`, `python` or `go`, not \"ruby\"",
        ),
        (
            "version: 1\nenvironment:\n  hosts: [\"https://pypi.org\"]",
            3,
            11,
            "environment.hosts[0]: `hosts`: \"https://pypi.org\" is no host, as in `pypi.org`, \
             `*.example.com` or `registry.example.com:8443`",
        ),
        (
            "version: 1\nenvironment:\n  keep: ../outside",
            3,
            9,
            "environment.keep: `keep` is a folder inside the tree, such as \"vendor\", not \
             \"../outside\"",
        ),
        ("version: 2", 1, 10, "version: this Baton reads `version: 1` only"),
        ("until: pr", 1, 1, "`version: 1` is missing"),
        (
            "version: 1\nuntil: merge",
            2,
            8,
            "until: `until: merge` is not available yet; `pr` leaves the merge to a person",
        ),
        (
            "version: 1\nmerge: auto",
            2,
            8,
            "merge: `merge` is `person`: Baton does not merge by itself yet",
        ),
        (
            "version: 1\npush: fork",
            2,
            1,
            "`push: fork` needs `fork: OWNER/NAME`, the fork that Baton pushes to",
        ),
        (
            "version: 1\nfork: acme/work\npush: at-once",
            2,
            1,
            "`fork` needs `push: fork`: otherwise nothing is pushed there",
        ),
        (
            "version: 1\npush: fork\nfork: work",
            3,
            7,
            "fork: `fork` is `OWNER/NAME` of a fork of this repository, not \"work\"",
        ),
        (
            "version: 1\npush: later",
            2,
            7,
            "push: `push` is `at-once`, `after-approval` or `fork`, not \"later\"",
        ),
        (
            "version: 1\napprove: true",
            2,
            10,
            "approve: `approve` is `plan` or `none`, not \"true\"",
        ),
        (
            "version: 1\nmax_rounds: 11",
            2,
            13,
            "max_rounds: `max_rounds` is a number from 1 to 10, not \"11\"",
        ),
        (
            "version: 1\nbudget: $5",
            2,
            9,
            "budget: `budget` is dollars above 0, as in `5.00`, not \"$5\"",
        ),
        (
            "version: 1\nuntil: deploy",
            2,
            1,
            "`until: deploy` needs `deploy:` with an environment and commands",
        ),
        (
            "version: 1\nroles:\n  coding: {effort: extreme}",
            3,
            20,
            "roles.coding.effort: `effort` is `low`, `medium` or `high`, not \"extreme\"",
        ),
        (
            "version: 1\nroles:\n  coding: {tools: [bash]}",
            3,
            20,
            "roles.coding.tools[0]: `tools` holds names of `Read`, `Grep`, `Glob`, `Edit`, `Write`, \
             `Bash`, not \"bash\"",
        ),
        (
            "version: 1\nroles:\n  reviewer: {tools: [Read, Bash]}",
            2,
            1,
            "`roles.reviewer.tools`: Bash changes things and reviewer only reads; `tools` can take \
             away and never give",
        ),
        (
            "version: 1\nroles:\n  coding: {provider: codex, tools: [Read, Edit]}",
            2,
            1,
            "`roles.coding.tools`: codex does all it does in one shell, so no tool can be taken from \
             it; leave `tools` out, or let claude play the role",
        ),
        (
            "version: 1\nroles:\n  coding: {provider: codex, max_turns: 9}",
            2,
            1,
            "`roles.coding.max_turns`: codex counts no turns; `requests` limits it as well",
        ),
        ("version: 1\ntest: a\ntest: b", 3, 1, "`test` stands here twice"),
    ];
    for (text, line, column, message) in table {
        assert_eq!(mistake(text), PolicyMistake { line, column, message: message.to_owned() });
    }
}

#[test]
fn what_is_no_policy_is_refused() {
    for text in [
        "",
        "null",
        "- version: 1",
        "version: 1\n---\nversion: 1",
        "version: \"1.0\"",
        "version: 1\nbudget: 0",
        "version: 1\nbudget: -1",
        "version: 1\nbudget: .nan",
        "version: 1\nbudget: .inf",
        "version: 1\nbudget: 1e9",
        "version: 1\nmax_rounds: 0",
        "version: 1\nmax_rounds: 1.5",
        "version: 1\nbots: [dependabot]",
        "version: 1\nbots: [-1]",
        "version: 1\ntest: {}",
        "version: 1\ntest: ['']",
        "version: 1\ntest: [[a]]",
        "version: 1\nprotected: [../x]",
        "version: 1\nprotected: [/x]",
        "version: 1\nprotected: [*.sql]",
        "version: 1\nroles: {coding: {provider: codexx}}",
        "version: 1\nreview: {other_provider: perhaps}",
        "version: 1\nreview: {other_provider: true}",
        "version: 1\nreview: {other_provider: true}\nroles: {reviewer: {provider: codex}}",
        "version: 1\nreview: {other_provider: true}\n\
         roles: {coding: {provider: codex}, reviewer: {provider: codex}}",
        "version: 1\nroles: {coding: {model: --dangerous}}",
        "version: 1\nroles: {coding: {model: 'a b'}}",
        "version: 1\nroles: {coding: {minutes: 0}}",
        "version: 1\nroles: {coding: {}, coding: {}}",
        "version: 1\ndeploy: {environment: ../x, commands: a}",
        "version: 1\ndeploy: {environment: x}",
        "version: 1\n<<: {until: pr}",
        "version: 1\ntest: !!binary aGk=\n\u{0}",
    ] {
        let found = mistake(text);
        assert!(found.line >= 1 && found.column >= 1, "{text:?}: {found}");
        assert!(!found.message.is_empty(), "{text:?}");
    }
}

#[test]
fn a_glob_without_quotes_is_explained() {
    assert!(mistake("version: 1\nprotected: [*.sql]").message.contains("needs quotes"));
}

#[test]
fn aliases_cannot_make_a_small_file_large() {
    let mut bomb = "version: 1\na: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (last, next) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        bomb.push_str(&format!("{next}: &{next} [{}]\n", vec![format!("*{last}"); 10].join(", ")));
    }
    mistake(&bomb);
    mistake(&bomb.replace("\na: ", "\ntest: "));
    let long = "x".repeat(30_000);
    mistake(&format!("version: 1\ntest: [&a {long}, {}]", vec!["*a"; 8_000].join(",")));
    let many = format!("version: 1\ntest: [&a {}, {}]", "x".repeat(4_000), ["*a"; 60].join(","));
    assert!(mistake(&many).message.contains("more than 50"));
    mistake(&format!("version: 1\ntest: {}", "[".repeat(60_000)));
    mistake(&format!("version: 1\nroles: {}", "{a: ".repeat(15_000)));
    mistake(&format!("version: 1\ntest: {}", "[".repeat(1_000)));
    mistake(&format!("version: 1\ntest:\n {}", "- ".repeat(30_000)));
    mistake(&format!("version: 1\ntest:\n {}", "? ".repeat(30_000)));
    assert!(mistake(&"#".repeat(70_000)).message.contains("64 KiB"));
}

#[test]
fn the_servers_limit_is_the_ceiling() {
    let limits = Limits { task: Micros(1_000_000), ..Limits::default() };
    let policy = |budget| Policy { budget: Micros(budget), ..Policy::default() };
    assert_eq!(within(policy(2_500_000), &limits), policy(1_000_000));
    assert_eq!(within(policy(500_000), &limits), policy(500_000));
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/baton.schema.json")).unwrap()
}

/// The keys that are known at a place: the parser names them where an unknown one stands there.
fn known_at(text: &str) -> BTreeSet<String> {
    let message = mistake(text).message;
    let (_, known) = message.split_once("known here: ").unwrap();
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_published_schema_knows_the_same_keys() {
    let schema = schema();
    for (pointer, text) in [
        ("/properties", "version: 1\nzzzzzz: 1"),
        ("/properties/deploy/properties", "version: 1\ndeploy: {zzzzzz: 1}"),
        ("/properties/environment/properties", "version: 1\nenvironment: {zzzzzz: 1}"),
        ("/properties/roles/properties", "version: 1\nroles: {zzzzzz: 1}"),
        ("/$defs/role/properties", "version: 1\nroles: {coding: {zzzzzz: 1}}"),
    ] {
        let published = schema.pointer(pointer).unwrap().as_object().unwrap();
        let published: BTreeSet<String> = published.keys().cloned().collect();
        assert_eq!(published, known_at(text), "{pointer}");
    }
    let roles: BTreeSet<String> = Role::ALL.map(|role| role.name().to_owned()).into();
    assert_eq!(roles, known_at("version: 1\nroles: {zzzzzz: 1}"));
}

#[test]
fn the_published_schema_and_the_parser_agree() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    for (text, right) in [
        (FULL, true),
        ("version: 1", true),
        ("until: pr", false),
        ("version: 1\nuntil: merge", false),
        ("version: 1\nmerge: auto", false),
        ("version: 1\nmax_rounds: 11", false),
        ("version: 1\nbudget: 0", false),
        ("version: 1\nbots: [0]", false),
        ("version: 1\nenvironment: {presets: ruby}", false),
        ("version: 1\nenvironment: {agents: online}", false),
        ("version: 1\nenvironment: {hosts: ['*.a.test', 'b:1']}", true),
        ("version: 1\nenvironment: {hosts: 'https://a.test'}", false),
        ("version: 1\nenvironment: {hosts: '*.test'}", false),
        ("version: 1\nenvironment: {keep: [vendor, a/b]}", true),
        ("version: 1\nenvironment: {keep: [a/../../b]}", false),
        ("version: 1\nenvironment: {keep: .git}", false),
        ("version: 1\nprotected: [/x]", false),
        ("version: 1\nroles: {coding: {minutes: 241}}", false),
        ("version: 1\nroles: {coding: {effort: max}}", false),
        ("version: 1\nroles: {coding: {tools: Read}}", true),
        ("version: 1\nroles: {coding: {tools: [Read, WebFetch]}}", false),
        ("version: 1\nroles: {coding: {max_turns: 0}}", false),
        ("version: 1\nroles: {coding: {requests: 10001}}", false),
        ("version: 1\ndeploy: {environment: '..', commands: a}", false),
        ("version: 1\npush: fork", false),
        ("version: 1\nfork: acme/work", false),
        ("version: 1\npush: at-once\nfork: acme/work", false),
        ("version: 1\npush: fork\nfork: acme/work", true),
        ("version: 1\npush: fork\nfork: acme/../work", false),
        ("version: 1\npush: fork\nfork: ../work", false),
        ("version: 1\npush: later", false),
        ("version: 1\nextra: 1", false),
    ] {
        let value: Value = serde_yaml_ng::from_str(text).unwrap();
        assert_eq!(schema.is_valid(&value), right, "schema on {text:?}");
        assert_eq!(parse(text).is_ok(), right, "parser on {text:?}");
    }
}

#[test]
fn the_published_defaults_are_the_defaults() {
    let schema = schema();
    let default = |key: &str| schema.pointer(&format!("/properties/{key}/default")).unwrap();
    let written = format!(
        "version: 1\nuntil: {}\napprove: {}\nmerge: {}\nbudget: {}\nmax_rounds: {}",
        default("until").as_str().unwrap(),
        default("approve").as_str().unwrap(),
        default("merge").as_str().unwrap(),
        default("budget"),
        default("max_rounds"),
    );
    assert_eq!(parse(&written), Ok(Policy::default()));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = parse(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(at in 0..FULL.len(), put in "[ \\n:\\[{&*!'\"-]{0,3}") {
        let mut text = FULL.to_owned();
        text.replace_range(at..=at, &put);
        let _ = parse(&text);
    }
}

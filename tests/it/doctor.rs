//! `baton doctor`: each check fails once, its remedy is followed, and then it holds.

mod bench;
mod forks;

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use axum::{Router, http::StatusCode, routing::post};
use baton::{
    app::checks::{self, Given, Verdict},
    cli::demo::world::{MAINTAINER, OWNER, REPOSITORY},
    clock::Clock,
};
use bench::Bench;
use chrono::TimeDelta;
use emulators::github::generate_app_key;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::support::containers::{IMAGE, Podman};

/// What an App made from the manifest may do.
const MANIFEST: [(&str, &str); 6] = [
    ("checks", "write"),
    ("contents", "write"),
    ("deployments", "write"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
];

/// Nobody listens on port 1.
const NOWHERE: &str = "127.0.0.1:1";

#[tokio::test]
async fn a_healthy_machine_is_told_to_be_so_before_the_first_start_and_beside_a_running_server() {
    let bench = Bench::new().await;
    let seen = bench.look().await;
    assert_eq!((seen.code, seen.failing()), (0, Vec::<String>::new()), "{seen:?}");
    assert!(seen.row("database").contains("none yet"), "{seen:?}");
    let server = bench.serve().await;
    let seen = bench.look().await;
    assert_eq!((seen.code, seen.failing()), (0, Vec::<String>::new()), "{seen:?}");
    assert!(seen.row("database").contains("private"), "{seen:?}");
    for check in ["tables", "queue", "reports", "jobs", "capacity", "kept on disk", "webhooks"] {
        seen.holds(check);
    }
    server.stop().await;
    bench.end().await;
}

#[tokio::test]
async fn mistakes_of_the_configuration_are_told_all_at_once() {
    let mut bench = Bench::new().await;
    bench.set("GITHUB_APP_ID", "").set("BATON_LISTEN", "nowhere");
    let seen = bench.look().await;
    let remedy = seen.fails("configuration");
    assert!(
        remedy.contains("GITHUB_APP_ID: missing") && remedy.contains("BATON_LISTEN"),
        "{remedy}"
    );
    assert_eq!(seen.code, 1);
    seen.holds("git");
    bench.set("GITHUB_APP_ID", "4711").set("BATON_LISTEN", "127.0.0.1:0");
    bench.look().await.holds("configuration");
    bench.end().await;
}

#[tokio::test]
async fn a_data_folder_behind_a_closed_door_is_opened_by_the_command_that_is_told() {
    let mut bench = Bench::new().await;
    let closed = bench.folder().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    bench.set("BATON_DATA", &closed.join("data").display().to_string());
    let remedy = bench.look().await.fails("data folder");
    let command = format!("chmod o+x {}", closed.canonicalize().unwrap().display());
    assert!(remedy.contains(&command), "{remedy}");
    bench.shell(&command);
    bench.look().await.holds("data folder");

    let file = bench.folder().join("file");
    fs::write(&file, "").unwrap();
    bench.set("BATON_DATA", &file.join("data").display().to_string());
    assert!(bench.look().await.fails("data folder").contains("BATON_DATA"));
    bench.end().await;
}

#[tokio::test]
async fn a_full_disk_and_a_clock_that_is_wrong_are_told() {
    let clock = Clock::system();
    let bench = Bench::with_clock(clock.clone()).await;
    clock.advance(TimeDelta::minutes(5));
    let mut given = Given {
        environment: bench.variables(),
        file: Ok(Some(bench.file())),
        clock,
        least_free: u64::MAX,
    };
    let failing = verdicts(&given).await;
    let remedy = |name: &str| match failing.iter().find(|check| check.0 == name) {
        Some((_, Verdict::Fails { remedy })) => remedy.clone(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(remedy("disk space").contains("BATON_DATA"));
    assert!(remedy("clock").contains("timedatectl set-ntp true"));
    given.least_free = checks::LEAST_FREE;
    let holding = verdicts(&given).await;
    assert!(holding.contains(&("disk space", Verdict::Holds)));
    bench.end().await;
    let bench = Bench::new().await;
    bench.look().await.holds("clock");
    bench.end().await;
}

async fn verdicts(given: &Given) -> Vec<(&'static str, Verdict)> {
    let mut seen = Vec::new();
    checks::run(given, &mut |check| seen.push((check.name, check.verdict))).await;
    seen
}

#[tokio::test]
async fn an_old_git_and_a_missing_bubblewrap_are_told_with_what_to_install() {
    let mut bench = Bench::new().await;
    let path = bench.variables()["PATH"].clone();
    let programs = bench.folder().join("programs");
    bench.program("git", "echo git version 2.20.1");
    bench.set("PATH", &programs.display().to_string());
    let seen = bench.look().await;
    assert!(seen.fails("git").contains("2.31 or newer"), "{seen:?}");
    assert!(seen.fails("sandbox").contains("apt-get install bubblewrap"), "{seen:?}");
    bench.set("PATH", &path);
    let seen = bench.look().await;
    seen.holds("git");
    seen.holds("sandbox");
    bench.end().await;
}

#[tokio::test]
async fn a_database_that_is_away_or_behind_is_told() {
    let mut bench = Bench::new().await;
    bench.set("DATABASE_URL", &format!("postgres://baton@{NOWHERE}/baton"));
    assert!(bench.look().await.fails("database").contains("DATABASE_URL"));

    let database = bench.use_database().await;
    sqlx::query("DROP SCHEMA public CASCADE").execute(&database.pool).await.unwrap();
    sqlx::query("CREATE SCHEMA public").execute(&database.pool).await.unwrap();
    let seen = bench.look().await;
    seen.holds("database");
    assert!(seen.fails("tables").starts_with("run baton migrate"), "{seen:?}");
    bench.baton(&["migrate"]).await;
    bench.look().await.holds("tables");
    bench.end().await;
}

#[tokio::test]
async fn work_that_is_stuck_is_told_with_the_command_that_continues() {
    let mut bench = Bench::new().await;
    let database = bench.use_database().await;
    let pool = &database.pool;
    let now = Clock::system().now();
    let report = bench::lagging_report(pool, now - TimeDelta::minutes(6)).await;
    let job = bench::failed_job(pool, now).await;
    bench.baton(&["pause", "the disk is full"]).await;

    let seen = bench.look().await;
    assert!(seen.row("queue").contains("the disk is full"), "{seen:?}");
    assert_eq!(seen.fails("queue"), "run baton resume when the reason is gone");
    assert!(seen.row("reports").contains("progress of task"), "{seen:?}");
    seen.fails("reports");
    assert!(seen.row("jobs").contains("it broke"), "{seen:?}");
    assert!(seen.fails("jobs").ends_with(&format!("run baton requeue {job}")), "{seen:?}");

    bench.baton(&["resume"]).await;
    bench.baton(&["requeue", &job.to_string()]).await;
    bench::say(pool, report, now).await;
    let seen = bench.look().await;
    for check in ["queue", "reports", "jobs"] {
        seen.holds(check);
    }
    bench.end().await;
}

#[tokio::test]
async fn another_apps_key_is_told_and_so_is_a_github_that_is_away() {
    let mut bench = Bench::new().await;
    let right = bench.world.config.github.private_key.expose_secret().to_owned();
    bench.set("GITHUB_PRIVATE_KEY", &generate_app_key().unwrap().private_pem);
    let seen = bench.look().await;
    assert!(seen.fails("GitHub App").contains("compare the App ID with GITHUB_APP_ID"), "{seen:?}");
    bench.set("GITHUB_PRIVATE_KEY", "no key");
    assert!(bench.look().await.fails("GitHub App").contains("GITHUB_PRIVATE_KEY_FILE"));
    bench.set("GITHUB_PRIVATE_KEY", &right);
    let url = bench.variables()["GITHUB_API_URL"].clone();
    bench.set("GITHUB_API_URL", &format!("http://{NOWHERE}"));
    assert!(bench.look().await.fails("GitHub App").contains("GITHUB_API_URL"));
    bench.set("GITHUB_API_URL", &url);
    bench.look().await.holds("GitHub App");
    bench.end().await;
}

#[tokio::test]
async fn an_app_that_may_too_little_or_too_much_is_told_what_to_set() {
    let bench = Bench::new().await;
    let github = &bench.world.github;
    let events = baton::event::SUBSCRIBED;
    let less: Vec<_> = MANIFEST[1..].iter().copied().chain([("workflows", "write")]).collect();
    github.register(&less, &events[1..]);
    let remedy = bench.look().await.fails("App permissions");
    for words in [
        "settings/apps/",
        "set the permission checks to write",
        "take the permission workflows away",
        "subscribe to the event delete",
    ] {
        assert!(remedy.contains(words), "{words} is not in {remedy}");
    }
    github.register(&MANIFEST, events);
    bench.look().await.holds("App permissions");
    bench.end().await;
}

#[tokio::test]
async fn an_installation_that_is_missing_suspended_or_behind_is_told() {
    let bench = Bench::new().await;
    let github = &bench.world.github;
    let name = REPOSITORY.split_once('/').unwrap().1;
    let id = github.install(OWNER, &[name]).unwrap();
    github.set_permissions(id, &MANIFEST[1..]);
    assert!(bench.look().await.fails("installations").contains("accept the App's new permissions"));
    github.set_permissions(id, &MANIFEST);
    bench.look().await.holds("installations");
    github.suspend(id, true);
    assert!(bench.look().await.fails("installations").contains("unsuspend"));
    github.suspend(id, false);
    bench.look().await.holds("installations");
    github.uninstall(id);
    assert!(bench.look().await.fails("installations").contains("/installations/new"));
    github.install(OWNER, &[name]).unwrap();
    bench.look().await.holds("installations");
    bench.end().await;
}

#[tokio::test]
async fn webhooks_that_do_not_arrive_are_told() {
    let bench = Bench::new().await;
    let github = &bench.world.github;
    let sent = |count: usize| {
        let all_sent = move |github: &emulators::github::GitHub| {
            github.deliveries().iter().filter(|one| one.status_code.is_some()).count() >= count
        };
        github.wait_for(Duration::from_secs(60), all_sent)
    };
    github.set_webhook_url(&format!("http://{NOWHERE}/webhook"));
    github.as_user(MAINTAINER).open_issue(REPOSITORY, "Slow", "It is slow.").unwrap();
    assert!(sent(1).await);
    let remedy = bench.look().await.fails("webhooks");
    assert!(remedy.contains("see that baton serve runs"), "{remedy}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    github.set_webhook_url(&format!("http://{}/webhook", listener.local_addr().unwrap()));
    let router = Router::new().route("/webhook", post(|| async { StatusCode::ACCEPTED }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    github.as_user(MAINTAINER).open_issue(REPOSITORY, "Slower", "It is slower.").unwrap();
    assert!(sent(2).await);
    let seen = bench.look().await;
    seen.holds("webhooks");
    assert!(seen.row("webhooks").contains("1 of the last 2"), "{seen:?}");
    server.abort();
    bench.end().await;
}

#[tokio::test]
async fn a_claude_of_another_version_or_none_is_told() {
    let mut bench = Bench::new().await;
    bench.set("BATON_PROVIDER", "claude");
    let remedy = bench.look().await.fails("agent program");
    assert!(remedy.contains("npm ci --omit=dev --ignore-scripts"), "{remedy}");
    let claude = bench.program("claude", "echo '1.0.0 (Claude Code)'");
    bench.set("BATON_CLAUDE", &claude);
    let seen = bench.look().await;
    seen.fails("agent program");
    assert!(seen.row("agent program").contains("1.0.0 (Claude Code)"), "{seen:?}");
    let wanted = baton::provider::ProviderKind::Claude.pinned_version().unwrap();
    bench.program("claude", &format!("echo '{wanted} (Claude Code)'"));
    bench.look().await.holds("agent program");

    bench.set("BATON_PROVIDER", "command");
    bench.set_file("[agents]\ncommand = [\"no-such-agent\"]\n");
    assert!(bench.look().await.fails("agent program").contains("command in [agents]"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_containers_lack_is_told_and_where_they_are_they_are_looked_into() {
    let bench = Bench::new().await;
    let file = bench.file();
    let with = |socket: &std::path::Path, command: &str| {
        let file = file.replace("\"node\"", &format!("\"{command}\""));
        format!(
            "{file}\n[sandbox]\nkind = \"container\"\nimage = \"{IMAGE}\"\nsocket = {socket:?}\n"
        )
    };
    bench.set_file(&with(std::path::Path::new("/nowhere/docker.sock"), "node"));
    let remedy = bench.look().await.fails("sandbox");
    assert!(remedy.contains("systemctl start docker"), "{remedy}");

    let Some(podman) = Podman::start() else { return bench.end().await };
    bench.set_file(&with(&podman.socket(), "node"));
    let seen = bench.look().await;
    for check in ["sandbox", "workspaces", "tools", "agent program"] {
        seen.holds(check);
    }
    assert!(seen.row("sandbox").contains("container holds"), "{seen:?}");
    assert!(seen.row("workspaces").contains("checked out in full"), "{seen:?}");
    bench.set_file(&with(&podman.socket(), "no-such-agent"));
    let seen = bench.look().await;
    seen.fails("agent program");
    assert!(seen.row("agent program").contains(&format!("not in {IMAGE}")), "{seen:?}");
    assert_eq!(podman.containers(), [""; 0], "left behind");
    bench.end().await;
}

#[tokio::test]
async fn a_model_api_out_of_reach_is_told() {
    let mut bench = Bench::new().await;
    let url = bench.variables()["ANTHROPIC_BASE_URL"].clone();
    bench.set("ANTHROPIC_BASE_URL", &format!("http://{NOWHERE}"));
    assert!(bench.look().await.fails("model API").contains("HTTPS_PROXY"));
    bench.set("ANTHROPIC_BASE_URL", &url);
    bench.look().await.holds("model API");
    assert!(bench.world.models.requests().is_empty(), "the model was asked, which costs");
    bench.end().await;
}

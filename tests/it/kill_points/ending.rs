//! What has to be there at the end of the main job, and what must not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use baton::{cli::demo::world::REPOSITORY, report};
use emulators::github::GitHub;
use sqlx::PgPool;

/// How long processes and folders may take to go.
const PATIENCE: Duration = Duration::from_secs(20);
/// Agents that the main job takes: plan, code, review, code, review, deploy, verify.
const AGENTS: usize = 7;

/// One of everything on GitHub, and all of it finished.
pub fn on_github(github: &GitHub, issue: u64) -> Vec<String> {
    let mut problems = github.unknown_routes();
    let issues = github.issues(REPOSITORY);
    let pulls: Vec<u64> =
        issues.iter().filter(|it| it.pull.is_some()).map(|it| it.number).collect();
    if pulls.len() != 1 || issues.len() != 2 {
        problems
            .push(format!("{} issues and pull requests, of which pulls {pulls:?}", issues.len()));
    }
    let mut markers = BTreeMap::<(String, String), usize>::new();
    for number in pulls.iter().chain([&issue]) {
        let bodies = github.comments(REPOSITORY, *number).into_iter().map(|comment| comment.body);
        let reviews = github.reviews(REPOSITORY, *number).into_iter().map(|review| review.body);
        for body in bodies.chain(reviews) {
            if let Some(marker) = report::find("baton", &body) {
                *markers.entry((marker.kind, marker.subject)).or_default() += 1;
            }
        }
    }
    let doubled = markers.iter().filter(|(_, count)| **count != 1);
    problems.extend(doubled.map(|(marker, count)| format!("{marker:?} was written {count} times")));
    for (kind, least) in [("progress", 1), ("asking", 1), ("closing", 1), ("review", 2)] {
        let count = markers.keys().filter(|(found, _)| found == kind).count();
        let is_right = if kind == "closing" { count >= least } else { count == least };
        if !is_right {
            problems.push(format!("{count} comments of the kind {kind}: {markers:?}"));
        }
    }
    problems.extend(checks(github));
    problems.extend(deployments(github));
    problems
}

/// One check per stage and head, completed.
fn checks(github: &GitHub) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for check in github.all_checks(REPOSITORY) {
        if check.status != "completed" {
            problems.push(format!("{} on {} is {}", check.name, check.head_sha, check.status));
        }
        if !seen.insert((check.name.clone(), check.head_sha.clone())) {
            problems.push(format!("{} on {} is there twice", check.name, check.head_sha));
        }
    }
    for stage in ["plan", "code", "review", "deploy", "verify"] {
        if stage != "plan" && !seen.iter().any(|(name, _)| name.ends_with(stage)) {
            problems.push(format!("no check of {stage}: {seen:?}"));
        }
    }
    problems
}

/// One deployment per attempt, with an end.
fn deployments(github: &GitHub) -> Vec<String> {
    let all = github.deployments(REPOSITORY);
    let attempts: BTreeSet<String> = all.iter().map(|it| it.payload.to_string()).collect();
    let mut problems = Vec::new();
    if attempts.len() != all.len() || all.is_empty() {
        problems.push(format!("{} deployments in {} attempts", all.len(), attempts.len()));
    }
    for deployment in &all {
        let last = deployment.statuses.last().map(|status| status.state.clone());
        if !matches!(last.as_deref(), Some("success" | "failure" | "inactive")) {
            problems.push(format!("deployment {} ended with {last:?}", deployment.id));
        }
    }
    problems
}

/// Nothing open is left in any table, and no more agents were started than deaths account for.
pub async fn in_database(pool: &PgPool, lost_at_most: usize, retries: i32) -> Vec<String> {
    let mut problems = Vec::new();
    let open = [
        ("agents that have not ended", "FROM agents WHERE ended_at IS NULL"),
        ("jobs", "FROM jobs WHERE lane <> 'sweep' OR lease_token IS NOT NULL"),
        ("held keys", "FROM job_keys"),
        ("jobs that failed", "FROM job_history WHERE result IN ('failed', 'lost')"),
        ("unfinished or failed acts", "FROM ledger WHERE state <> 'done'"),
        ("unsaid reports", "FROM reports WHERE applied_version < wanted_version"),
        ("pending runs", "FROM command_runs WHERE ended_at IS NULL"),
        ("unread deliveries", "FROM deliveries WHERE state IN ('new', 'failed')"),
        ("token hashes", "FROM agents WHERE token_hash IS NOT NULL"),
    ];
    for (what, from) in open {
        let query = format!("SELECT count(*) {from}");
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(pool).await.unwrap();
        if count != 0 {
            problems.push(format!("{count} {what}"));
        }
    }
    let agents: Vec<String> =
        sqlx::query_scalar("SELECT state_data::text FROM agents").fetch_all(pool).await.unwrap();
    let lost = agents.iter().filter(|state| state.contains("lost")).count();
    let rest = agents.len() - lost;
    if lost > lost_at_most || rest > AGENTS + usize::try_from(retries).unwrap() {
        problems.push(format!("{lost} agents were lost and {rest} others ran: {agents:?}"));
    }
    if !problems.is_empty() {
        problems.push(states(pool).await);
    }
    problems
}

/// What is going on, for the reader of a failure.
pub async fn states(pool: &PgPool) -> String {
    let all = "SELECT concat('task ', state, ' ', state_data) FROM tasks
        UNION ALL SELECT concat('agent ', id, ' of stage ', stage_id, ' ', state_data) FROM agents
        UNION ALL SELECT concat('stage ', key, ' ', state_data) FROM stages
        UNION ALL SELECT concat('job ', payload, ' attempt ', attempts, ' ', lease_until, error)
            FROM jobs
        UNION ALL SELECT concat('history ', kind, ' ', result, ' ', error) FROM job_history
            WHERE result <> 'done'
        UNION ALL SELECT concat('report ', kind, ' ', subject, ' ', error) FROM reports
            WHERE applied_version < wanted_version";
    let lines: Vec<String> = sqlx::query_scalar(all).fetch_all(pool).await.unwrap();
    lines.join("\n  ")
}

/// No process and no workspace is left.
pub async fn on_machine(folder: &Path) -> Vec<String> {
    let gone = async {
        loop {
            let left = left_on_machine(folder);
            if left.is_empty() {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| left_on_machine(folder))
}

fn left_on_machine(folder: &Path) -> Vec<String> {
    let data = folder.join("world/baton");
    let mut left = Vec::new();
    for name in ["workspaces", "trash"] {
        let entries = fs::read_dir(data.join(name)).into_iter().flatten().flatten();
        left.extend(entries.map(|entry| format!("{name}/{:?} is left", entry.file_name())));
    }
    left.extend(processes(&data).into_iter().map(|process| format!("process {process} is left")));
    left
}

/// Processes whose command line or environment names a folder.
pub fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let names = |path: std::path::PathBuf| {
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\0', " ");
        text.contains(&folder).then_some(text)
    };
    let all = fs::read_dir("/proc").unwrap().flatten();
    let all = all.filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    all.filter_map(|entry| {
        let found = names(entry.path().join("cmdline"))
            .or_else(|| names(entry.path().join("environ")).map(|_| "by its environment".into()))?;
        Some(format!("{:?}: {found}", entry.file_name()))
    })
    .collect()
}

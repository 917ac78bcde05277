//! What a story may leave behind: nothing.

use std::{fs, path::Path, time::Duration};

use sqlx::PgPool;

/// What must not be there at the end, as text for whoever reads the failure.
const LEFT: &str = "
    SELECT 'a job: ' || kind || coalesce(' ' || key, '') || coalesce(': ' || error, '')
      FROM jobs WHERE kind <> 'sweep'
    UNION ALL SELECT 'a key held: ' || key FROM job_keys
      WHERE NOT EXISTS (SELECT FROM jobs WHERE jobs.id = job_keys.job_id)
    UNION ALL SELECT 'a job that did not end well: ' || kind || coalesce(': ' || error, '')
      FROM job_history WHERE result IN ('failed', 'lost')
    UNION ALL SELECT 'a report that lags: ' || kind || ' ' || subject || coalesce(': ' || error, '')
      FROM reports WHERE applied_version < wanted_version
    UNION ALL SELECT 'a ledger row: ' || name || ' ' || state || coalesce(': ' || error, '')
      FROM ledger WHERE state <> 'done'
    UNION ALL SELECT 'an agent: ' || id || ' ' || state FROM agents WHERE ended_at IS NULL
    UNION ALL SELECT 'a run: ' || id || ' ' || kind FROM command_runs WHERE ended_at IS NULL
    UNION ALL SELECT 'a delivery: ' || event || ' ' || state FROM deliveries WHERE state IN ('new', 'failed')
    UNION ALL SELECT 'a message to an agent: ' || id FROM agent_inbox WHERE delivered_at IS NULL
    UNION ALL SELECT 'a reservation: ' || id FROM usage WHERE settled_at IS NULL";

/// What still moves.
const MOVES: &str = "
    SELECT EXISTS (SELECT FROM jobs WHERE kind <> 'sweep')
        OR EXISTS (SELECT FROM jobs WHERE lease_token IS NOT NULL)
        OR EXISTS (SELECT FROM agents WHERE ended_at IS NULL)
        OR EXISTS (SELECT FROM reports WHERE applied_version < wanted_version)";

/// What happened, in lines.
const OVERVIEW: &str = "
    SELECT 'task ' || id || ' ' || state || ' ' || state_data::text FROM tasks
    UNION ALL SELECT 'stage ' || key || ' ' || state || ' ' || state_data::text FROM stages
    UNION ALL SELECT 'agent ' || id || ' ' || state || ' ' || state_data::text FROM agents
    UNION ALL SELECT 'decided ' || rule FROM decisions
    UNION ALL SELECT 'job ' || kind || ' ' || coalesce(error, '') FROM jobs
    UNION ALL SELECT 'failed ' || kind || ' ' || coalesce(error, '') FROM job_history WHERE result <> 'done'
    UNION ALL SELECT 'report ' || kind || ' ' || coalesce(error, '') FROM reports WHERE applied_version < wanted_version";

/// How long a process that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(20);

/// Whether there is nothing to do for now.
pub async fn quiet(pool: &PgPool) -> bool {
    sqlx::query_scalar::<_, bool>(MOVES).fetch_one(pool).await.is_ok_and(|moves| !moves)
}

pub async fn in_database(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(LEFT).fetch_all(pool).await.unwrap()
}

pub async fn overview(pool: &PgPool) -> String {
    match sqlx::query_scalar::<_, String>(OVERVIEW).fetch_all(pool).await {
        Ok(lines) => lines.join("\n"),
        Err(error) => error.to_string(),
    }
}

/// Folders of workspaces.
pub fn of_workspaces(data: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(data.join("workspaces")) else { return Vec::new() };
    entries.flatten().map(|entry| format!("a workspace: {}", entry.path().display())).collect()
}

/// Processes that work in the story's folder or name it; some take a moment to be gone.
pub async fn of_processes(folder: &Path) -> Vec<String> {
    let looking = async {
        while !processes_of(folder).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(GONE, looking).await {
        Ok(()) => Vec::new(),
        Err(_) => processes_of(folder),
    }
}

/// The processes of a story as they are now; none of this test's own.
pub fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let numbers =
        numbers.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own);
    let process = |number: String| {
        let words = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let works_in = fs::read_link(format!("/proc/{number}/cwd")).unwrap_or_default();
        let is_of_it = words.contains(&folder) || works_in.starts_with(&folder);
        is_of_it.then(|| format!("a process: {number} {words}"))
    };
    numbers.filter_map(process).collect()
}

//! Looks for the server's secrets wherever something of Baton's or an agent's is kept.

use std::process::Command;

use base64::Engine;
use baton::cli::demo::world::{REPOSITORY, World};
use emulators::models::{Anthropic, RecordedRequest};
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, PgPool};

/// Each secret by its name.
fn secrets(world: &World) -> Vec<(&'static str, String)> {
    let config = &world.config;
    let key = config.github.private_key.expose_secret();
    let line = key.lines().nth(3).unwrap().to_owned();
    let model = config.agents.upstream.api_keys[0].expose_secret();
    vec![
        ("the webhook secret", config.github.webhook_secrets[0].expose_secret().to_owned()),
        ("the private key", line),
        ("the model key", model.to_owned()),
        ("the deploy token", config.grants[0].secrets["DEPLOY_TOKEN"].expose_secret().to_owned()),
    ]
}

/// The forms in which a secret could stand there.
fn forms(secret: &str) -> Vec<String> {
    let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    vec![secret.to_owned(), hexadecimal, base64]
}

/// Everything that agents had sent to a model, without the header that holds the key.
pub fn told_to_models(requests: &[RecordedRequest]) -> String {
    let requests = requests.iter().map(|request| {
        let mut headers = request.headers.clone();
        headers.remove("x-api-key");
        headers.remove("authorization");
        format!("{} {headers:?} {}", request.path, request.body)
    });
    requests.collect::<Vec<_>>().join("\n")
}

/// Everything that agents' tools have shown them.
pub fn seen_by_agents(models: &Anthropic) -> String {
    let mut seen = String::new();
    for request in models.requests() {
        let messages = request.body["messages"].as_array().cloned().unwrap_or_default();
        let blocks = messages.iter().filter_map(|message| message["content"].as_array()).flatten();
        for block in blocks.filter(|block| block["type"] == "tool_result") {
            seen.push_str(&block["content"].to_string());
            seen.push('\n');
        }
    }
    seen
}

/// Every secret that is somewhere it should not be. `logs` are those of the programs around agents, by
/// their names.
pub async fn leaks(world: &World, pool: &PgPool, logs: &[(&str, String)]) -> Vec<String> {
    let requests = world.github.requests();
    let told = requests.iter().map(|it| format!("{} {:?} {:?}", it.path, it.query, it.body));
    let mut places = vec![
        ("requests to GitHub".to_owned(), told.collect::<Vec<_>>().join("\n")),
        ("requests to the model".to_owned(), told_to_models(&world.models.requests())),
        ("the repository on GitHub".to_owned(), objects(world)),
    ];
    places.extend(logs.iter().map(|(name, log)| ((*name).to_owned(), log.clone())));
    let tables = "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT row::text FROM \"{table}\" AS row"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(pool).await.unwrap();
        places.push((format!("the table {table}"), rows.join("\n")));
    }
    let mut leaks = Vec::new();
    for (name, secret) in secrets(world) {
        for (place, text) in &places {
            if forms(&secret).iter().any(|form| text.contains(form.as_str())) {
                leaks.push(format!("{name} is in {place}"));
            }
        }
    }
    leaks
}

/// All objects of the repository on GitHub, as text.
fn objects(world: &World) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(world.github.repository_path(REPOSITORY).unwrap())
        .args(["cat-file", "--batch", "--batch-all-objects"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

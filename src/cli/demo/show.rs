//! What the terminal shows: what happens as it happens, then the thread as the maintainer reads it.

use std::{collections::HashMap, time::Instant};

use super::world::{MAINTAINER, OWNER, SLUG, World};
use crate::{
    app::Server,
    cli::output::{self, plain},
    config::Agents,
    db::{agents, overview},
    model::{AgentState, Micros, TaskId},
};

/// The demo's only issue.
const ISSUE: u64 = 1;

/// Says what the world is made of.
pub(super) fn header(world: &World, server: &Server, notes: &[String]) {
    let parts = server.pipeline().parts();
    match world.live {
        true => println!(
            "Baton demo: everything runs on this machine; the model alone is asked outside.\n"
        ),
        false => println!("Baton demo: everything runs on this machine, nothing leaves it.\n"),
    }
    println!("  GitHub     emulated, with the repository {}", world.repository);
    println!("             {}", world.github.page_url());
    println!("  Postgres   a private one");
    if world.live {
        let Agents { upstream, openai, .. } = &world.config.agents;
        let open = [upstream, openai].into_iter().filter(|api| api.is_open());
        let addresses = open.map(|api| api.base_url.as_str()).collect::<Vec<_>>().join(" and ");
        println!("  model      LIVE: {addresses}, with your key, behind Baton's gateway");
        println!(
            "             This task may cost up to {}; the limit holds before each request.",
            world.config.limits.task
        );
    } else {
        println!("  model      scripted, behind Baton's gateway");
    }
    println!("  agents     {} in {}", parts.settings.provider, parts.runtime.kind());
    for note in notes {
        println!("\n  !! {note}");
    }
    println!();
}

/// Shows what is new since it last looked.
pub(super) struct Ticker<'a> {
    world: &'a World,
    pub(super) server: &'a Server,
    begun: Instant,
    /// Requests to GitHub that were shown.
    requests: usize,
    /// What was last shown of each agent.
    agents: HashMap<i64, String>,
    task_state: String,
}

impl<'a> Ticker<'a> {
    pub fn new(world: &'a World, server: &'a Server, begun: Instant) -> Self {
        Self {
            world,
            server,
            begun,
            requests: 0,
            agents: HashMap::new(),
            task_state: String::new(),
        }
    }

    fn line(&self, who: &str, what: &str) {
        println!("{:>6.1} s  {who:<9} {}", self.begun.elapsed().as_secs_f64(), plain(what));
    }

    /// What the maintainer does.
    pub fn person(&self, what: &str) {
        self.line(MAINTAINER, what);
    }

    /// Prints what is new.
    pub async fn show(&mut self) {
        self.show_writes();
        // The database is being closed: there is nothing more to show.
        let _ = self.show_work().await;
    }

    fn show_writes(&mut self) {
        let requests = self.world.github.requests();
        for request in &requests[self.requests..] {
            let writes = matches!(request.method.as_str(), "POST" | "PATCH" | "PUT" | "DELETE");
            if writes && !request.path.contains("access_tokens") {
                let path = request
                    .path
                    .strip_prefix(&format!("/repos/{}", self.world.repository))
                    .unwrap_or(&request.path);
                self.line("→ GitHub", &format!("{} {path} → {}", request.method, request.status));
            }
        }
        self.requests = requests.len();
    }

    async fn show_work(&mut self) -> anyhow::Result<()> {
        let pool = &self.server.pipeline().parts().pool;
        let Some(task) = overview::list_tasks(pool, true, 1).await?.into_iter().next() else {
            return Ok(());
        };
        let state = output::state(&task);
        if state != self.task_state {
            self.line("task", &state);
            self.task_state = state;
        }
        for row in agents::list(pool, TaskId(task.id)).await? {
            let agent = row.agent;
            let told = match &agent.state {
                AgentState::Ended(end) => {
                    format!("{} {}: ended, {end:?}", agent.stage.name(), agent.attempt)
                }
                state => {
                    let words =
                        agent.last_line.as_ref().map(|line| line.0.clone()).unwrap_or_default();
                    let words: String = words.chars().take(100).collect();
                    format!("{} {}: {} {words}", agent.stage.name(), agent.attempt, state.name())
                }
            };
            if self.agents.get(&agent.id.0) != Some(&told) {
                self.line("agent", &told);
                self.agents.insert(agent.id.0, told);
            }
        }
        Ok(())
    }
}

/// The finished thread, the checks, the cost and what was merged.
pub(super) async fn ending(world: &World, server: &Server, done: bool) -> anyhow::Result<()> {
    let github = &world.github;
    let repository = &world.repository;
    thread(world, ISSUE, "The issue");
    for number in 2..10 {
        if github.pull(repository, number).is_some() {
            thread(world, number, "The pull request");
            reviews(world, number);
        }
    }
    heading("Checks");
    for check in github.all_checks(repository) {
        let conclusion = check.conclusion.unwrap_or(check.status);
        let title = check.title.unwrap_or_default();
        println!("  {:<16} {:<15} {}  {title}", check.name, conclusion, &check.head_sha[..7]);
    }
    heading("Deployments");
    for deployment in github.deployments(repository) {
        let states: Vec<&str> =
            deployment.statuses.iter().map(|status| status.state.as_str()).collect();
        println!("  {} {}  {}", deployment.environment, &deployment.sha[..7], states.join(" → "));
    }
    heading(if world.live { "Cost" } else { "Cost (scripted tokens at list price)" });
    let parts = server.pipeline().parts();
    let costs =
        overview::list_costs(&parts.pool, parts.clock.now() - chrono::TimeDelta::days(1)).await?;
    for line in &costs {
        println!(
            "  {:<8} {:>8}  {} requests",
            line.stage,
            Micros(line.cost_micros).to_string(),
            line.requests
        );
    }
    let all: Micros = costs.iter().map(|line| Micros(line.cost_micros)).sum();
    println!("  {:<8} {:>8}", "all", all.to_string());
    heading("Merged");
    println!("{}", merged_diff(world).await);
    if done {
        println!(
            "The task is done{}.",
            if world.grants_nothing() { "" } else { ": deployed and verified" }
        );
    } else {
        println!("THE TASK IS NOT DONE. What stands above says why.");
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n── {text} {}", "─".repeat(90_usize.saturating_sub(text.chars().count())));
}

/// A thread as it reads on GitHub, hidden lines left out.
fn thread(world: &World, number: u64, what: &str) {
    let (github, repository) = (&world.github, &world.repository);
    let Some(issue) = github.issue(repository, number) else { return };
    heading(&format!(
        "{what} #{number}: {} [{}] {}",
        issue.title,
        issue.state(),
        issue.labels.join(", ")
    ));
    println!("{}", quoted(&github.login(issue.author), &issue.body));
    for comment in github.comments(repository, number) {
        let folded =
            comment.minimized.as_ref().map(|why| format!(" (folded: {})", why.to_lowercase()));
        let who = format!("{}{}", github.login(comment.author), folded.unwrap_or_default());
        println!("{}", quoted(&who, &comment.body));
    }
}

fn reviews(world: &World, number: u64) {
    let (github, repository) = (&world.github, &world.repository);
    for review in github.reviews(repository, number) {
        let who = format!(
            "{} reviewed {} [{}]",
            github.login(review.author),
            &review.commit_id[..7],
            review.state
        );
        println!("{}", quoted(&who, &review.body));
    }
    let Some(pull) = github.pull(repository, number) else { return };
    for comment in pull.review_comments {
        let resolved = if comment.resolved_by.is_some() { ", resolved" } else { "" };
        let line = comment.line.unwrap_or_default();
        println!("{}", quoted(&format!("on {}:{line}{resolved}", comment.path), &comment.body));
    }
}

fn quoted(who: &str, body: &str) -> String {
    let lines = body.lines().filter(|line| !line.trim_start().starts_with("<!--"));
    let body: Vec<String> = lines.map(|line| format!("  │ {line}")).collect();
    format!("  ┌ {who}\n{}\n", body.join("\n"))
}

/// What the default branch got, as git shows it.
async fn merged_diff(world: &World) -> String {
    let Some(path) = world.github.repository_path(&world.repository) else { return String::new() };
    let shown = tokio::process::Command::new("git")
        .args([
            "-C",
            &path.display().to_string(),
            "diff",
            "--no-color",
            "--no-ext-diff",
            "main^1",
            "main",
        ])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .await;
    shown.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default()
}

/// Where to look while it is kept running.
pub(super) fn addresses(world: &World, server: &Server) {
    println!("\nKept running; Ctrl-C ends it.");
    println!("  GitHub page  {}", world.github.page_url());
    println!("  webhooks     http://{}/webhook", server.public);
    println!("  operator     http://{}/readyz and /metrics", server.admin);
    println!("  App          @{SLUG} on {OWNER}");
}

//! `baton logs TASK`.

mod news;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use clap::Args;
use sqlx::PgPool;

pub use news::{News, Told};

use super::{database::At, output};
use crate::{
    db::{
        agent_lines::{self, Line},
        overview,
    },
    model::{AgentId, TaskId},
};

/// Prints what a task's agents printed.
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The task's id, as `baton tasks` lists it
    task: i64,
    /// Prints one agent's lines alone, by its id, as `baton agents` lists it
    #[arg(long)]
    agent: Option<i64>,
    /// Begins after the line of this number; each agent counts its own
    #[arg(long, default_value_t = 0, requires = "agent", value_name = "NUMBER")]
    from: i64,
    /// Goes on with what is printed from now on, until the last agent of the task has ended
    #[arg(long, short)]
    follow: bool,
}

/// Lines a query.
const PAGE: i64 = 1000;
/// A follower that was told nothing looks all the same.
const NET: Duration = Duration::from_secs(5);
/// Lines reach the database within 25 ms; those of an agent that has ended, within this.
const SETTLED: Duration = Duration::from_millis(200);

impl Logs {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let mut reader = Reader {
            logs: self,
            json: at.json,
            pool: &opened.pool,
            agents: BTreeMap::new(),
            strangers: BTreeSet::new(),
        };
        if self.follow {
            reader.follow().await?;
        } else {
            reader.print_new().await?;
            reader.is_of_somebody()?;
        }
        opened.close().await;
        Ok(0)
    }
}

/// Prints each line once.
struct Reader<'a> {
    logs: &'a Logs,
    json: bool,
    pool: &'a PgPool,
    /// The agents whose lines are wanted.
    agents: BTreeMap<AgentId, Read>,
    /// Others that were told of.
    strangers: BTreeSet<AgentId>,
}

/// What is known of an agent.
struct Read {
    /// Its stage and attempt.
    label: String,
    /// The number of its line that was printed last.
    seq: i64,
}

impl Reader<'_> {
    /// Prints what comes until no agent of the task is at work.
    async fn follow(&mut self) -> anyhow::Result<()> {
        // Before the first look, so that nothing falls in between.
        let mut news = News::listen(self.pool, NET).await?;
        self.print_new().await?;
        while overview::is_at_work(self.pool, TaskId(self.logs.task)).await? {
            self.print_until_word(&mut news).await?;
        }
        tokio::time::sleep(SETTLED).await;
        self.print_new().await
    }

    /// Prints what agents print until something else is told.
    async fn print_until_word(&mut self, news: &mut News) -> anyhow::Result<()> {
        loop {
            match news.next().await {
                Told::Lines(agents) => self.print_of(agents).await?,
                Told::Word => return Ok(()),
                Told::Anything => return self.print_new().await,
            }
        }
    }

    /// Prints the new lines of those told of that are wanted.
    async fn print_of(&mut self, told: BTreeSet<AgentId>) -> anyhow::Result<()> {
        let known =
            |agent: &AgentId| self.agents.contains_key(agent) || self.strangers.contains(agent);
        if !told.iter().all(known) {
            self.find_agents().await?;
        }
        for agent in told {
            if self.agents.contains_key(&agent) {
                self.print_agent(agent).await?;
            } else {
                self.strangers.insert(agent);
            }
        }
        Ok(())
    }

    /// Prints all new lines, agent after agent.
    async fn print_new(&mut self) -> anyhow::Result<()> {
        self.find_agents().await?;
        let agents: Vec<_> = self.agents.keys().copied().collect();
        for agent in agents {
            self.print_agent(agent).await?;
        }
        Ok(())
    }

    async fn find_agents(&mut self) -> anyhow::Result<()> {
        let wanted = self.logs.agent.map(AgentId);
        for (agent, label) in overview::list_agents(self.pool, TaskId(self.logs.task)).await? {
            if wanted.is_none_or(|wanted| wanted == agent) {
                self.agents.entry(agent).or_insert(Read { label, seq: self.logs.from });
            }
        }
        Ok(())
    }

    fn is_of_somebody(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.agents.is_empty(),
            "task {} has no such agents; baton tasks --all lists all tasks, baton agents --all all agents",
            self.logs.task
        );
        Ok(())
    }

    async fn print_agent(&mut self, agent: AgentId) -> anyhow::Result<()> {
        let Some(read) = self.agents.get_mut(&agent) else { return Ok(()) };
        loop {
            let lines = agent_lines::list_after(self.pool, agent, read.seq, PAGE).await?;
            let Some(last) = lines.last() else { return Ok(()) };
            read.seq = last.seq;
            lines.iter().for_each(|line| print(self.logs, self.json, &read.label, line));
        }
    }
}

fn print(logs: &Logs, json: bool, label: &str, line: &Line) {
    if json {
        let row = serde_json::json!({
            "agent": line.agent, "stage": label, "seq": line.seq, "at": line.at,
            "stream": line.stream, "text": line.text,
        });
        println!("{row}");
        return;
    }
    let time = line.at.format("%H:%M:%S");
    let number = logs.agent.map(|_| format!("{} ", line.seq)).unwrap_or_default();
    println!("{time} {number}{label} {} | {}", line.stream, output::plain(&line.text));
}

//! `baton costs`.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{database::At, output};
use crate::{
    db::overview::{self, CostLine},
    model::Micros,
};

/// Shows what was spent.
#[derive(Debug, Args)]
pub(super) struct Costs {
    /// How many days back
    #[arg(long, default_value_t = 7)]
    days: u16,
    /// Sums by this instead of a line for each day, task, stage and model
    #[arg(long)]
    by: Option<By>,
}

/// What is summed by.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// The UTC day
    Day,
    /// The issue or pull request
    Task,
    /// plan, code, review, …
    Stage,
    /// Who plays the stage: starter, coding, reviewer, …
    Role,
    /// The model
    Model,
    /// Who asked for the task
    Person,
    /// The repository
    Repository,
}

/// One sum.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Sum {
    /// What it is of.
    name: String,
    requests: i64,
    tokens_in: i64,
    tokens_out: i64,
    cost_micros: i64,
}

impl Costs {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let since = opened.clock.now() - TimeDelta::days(i64::from(self.days));
        let lines = overview::list_costs(&opened.pool, since).await?;
        match self.by {
            None => output::rows(at.json, &lines, detail)?,
            Some(by) => output::rows(at.json, &sums(&lines, by), sum)?,
        }
        if !at.json {
            let all: Micros = lines.iter().map(|line| Micros(line.cost_micros)).sum();
            println!("{all} in {} day(s)", self.days);
        }
        opened.close().await;
        Ok(0)
    }
}

fn detail(line: &CostLine) -> String {
    let cost = Micros(line.cost_micros).to_string();
    format!(
        "{}  {cost:>8}  {}#{}  {} on {} ({} requests)",
        line.day, line.repository, line.number, line.stage, line.model, line.requests
    )
}

fn sum(sum: &Sum) -> String {
    let Sum { name, requests, tokens_in, tokens_out, cost_micros } = sum;
    let cost = Micros(*cost_micros).to_string();
    format!("{cost:>8}  {name} ({requests} requests, {tokens_in} tokens in, {tokens_out} out)")
}

/// The dearest first.
fn sums(lines: &[CostLine], by: By) -> Vec<Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for line in lines {
        let name = name(line, by);
        let none = Sum { name, requests: 0, tokens_in: 0, tokens_out: 0, cost_micros: 0 };
        let sum = sums.entry(none.name.clone()).or_insert(none);
        sum.requests += line.requests;
        sum.tokens_in += line.tokens_in;
        sum.tokens_out += line.tokens_out;
        sum.cost_micros += line.cost_micros;
    }
    let mut sums: Vec<Sum> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.cost_micros));
    sums
}

fn name(line: &CostLine, by: By) -> String {
    match by {
        By::Day => line.day.to_string(),
        By::Task => format!("{}#{}", line.repository, line.number),
        By::Stage => line.stage.clone(),
        By::Role => line.role.name().to_owned(),
        By::Model => line.model.clone(),
        By::Person => line.person.clone().unwrap_or_else(|| "nobody in particular".to_owned()),
        By::Repository => line.repository.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StageKey;

    fn line(number: i64, stage: &str, person: Option<&str>, cost_micros: i64) -> CostLine {
        CostLine {
            day: "2026-11-20".parse().unwrap(),
            repository: "acme/files".to_owned(),
            number,
            stage: stage.to_owned(),
            role: StageKey::by_name(stage).unwrap().role(),
            model: "claude-sonnet-4-5".to_owned(),
            person: person.map(str::to_owned),
            requests: 2,
            tokens_in: 100,
            tokens_out: 10,
            cost_micros,
        }
    }

    #[test]
    fn costs_are_summed_by_what_was_asked_for_the_dearest_first() {
        let lines = [
            line(1, "plan", Some("mara"), 140_000),
            line(1, "code", Some("mara"), 900_000),
            line(2, "code", None, 300_000),
        ];
        let told = |by| -> Vec<String> { sums(&lines, by).iter().map(sum).collect() };
        assert_eq!(
            told(By::Role),
            [
                "   $1.20  coding (4 requests, 200 tokens in, 20 out)",
                "   $0.14  starter (2 requests, 100 tokens in, 10 out)",
            ]
        );
        let names =
            |by| -> Vec<String> { sums(&lines, by).into_iter().map(|it| it.name).collect() };
        assert_eq!(names(By::Person), ["mara", "nobody in particular"]);
        assert_eq!(names(By::Task), ["acme/files#1", "acme/files#2"]);
        assert_eq!(names(By::Repository), ["acme/files"]);
        assert_eq!(names(By::Stage), ["code", "plan"]);
        assert_eq!(names(By::Day), ["2026-11-20"]);
        assert_eq!(names(By::Model), ["claude-sonnet-4-5"]);
    }
}

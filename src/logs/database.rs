//! Lines in Postgres.

use sqlx::PgPool;

use crate::db::agent_lines::{self, Line};

use super::batches::{LineStore, LogLine, LogsError, Stored};

/// Keeps lines in `agent_lines`.
#[derive(Clone)]
pub struct DatabaseLines(pub PgPool);

impl LineStore for DatabaseLines {
    fn insert_batch<'a>(&'a self, lines: &'a [LogLine]) -> Stored<'a> {
        Box::pin(async move {
            let rows: Vec<Line> = lines.iter().map(row).collect();
            let stored = agent_lines::insert_batch(&self.0, &rows).await;
            stored.map_err(|error| LogsError(format!("{:#}", anyhow::Error::from(error))))
        })
    }
}

fn row(line: &LogLine) -> Line {
    let LogLine { agent, seq, at, stream, text } = line;
    let stream = stream.name().to_owned();
    Line { agent: *agent, seq: *seq, at: *at, stream, text: text.clone() }
}

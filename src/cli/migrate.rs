//! `baton migrate`.

use super::{database::At, output};
use crate::app;

pub(super) async fn run(at: &At) -> anyhow::Result<u8> {
    let place = app::Place::read(&std::env::vars().collect(), at.file()?.as_deref())?;
    let (pool, embedded) = app::open_database(&place).await?;
    output::done(at.json, "The database is up to date.");
    pool.close().await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    Ok(0)
}

//! `baton serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::database::At;
use crate::{
    app::{Options, Server},
    telemetry::{self, Format},
};

pub(super) async fn run(at: &At) -> anyhow::Result<u8> {
    let format = if at.json { Format::Json } else { Format::Text };
    telemetry::start(format, std::env::var("BATON_LOG").ok().as_deref());
    let config = at.config()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::start(config, Options::default()).await?;
    println!("baton is up: webhooks on {}, operator on {}", server.public, server.admin);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: agents are interrupted and go on after the restart");
    server.stop().await;
    Ok(0)
}

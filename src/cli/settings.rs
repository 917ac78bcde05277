//! `baton settings`: what can be changed while a server runs.

use clap::Args;

use super::{database::At, output};
use crate::queue::{self, Scope};

/// Shows and changes what the queue keeps to.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// At most so many jobs at once, agents included; 0 takes the limit away. What runs already goes
    /// on to its end
    #[arg(long)]
    max_concurrent: Option<u32>,
    /// Whether the first job that fails for good pauses everything, so that somebody looks. What runs
    /// already goes on to its end
    #[arg(long)]
    stop_on_failure: Option<bool>,
}

impl Settings {
    pub async fn run(&self, at: &At) -> anyhow::Result<u8> {
        let opened = at.open().await?;
        let now = opened.clock.now();
        if let Some(most) = self.max_concurrent {
            let most = (most > 0).then_some(most);
            // A server in another process looks by itself within a second.
            let _ = queue::set_max_running(&opened.pool, Scope::All, most, now).await?;
        }
        if let Some(stop) = self.stop_on_failure {
            queue::set_stop_on_failure(&opened.pool, Scope::All, stop, now).await?;
        }
        for settings in queue::list_settings(&opened.pool).await? {
            let scope = if settings.scope.is_empty() { "everything" } else { &settings.scope };
            if at.json {
                println!(
                    "{}",
                    serde_json::json!({
                        "scope": scope, "paused": settings.paused, "reason": settings.reason,
                        "max_concurrent": settings.max_running, "stop_on_failure": settings.stop_on_failure,
                    })
                );
                continue;
            }
            let paused = match (&settings.paused, &settings.reason) {
                (true, Some(reason)) => format!("paused ({})", output::plain(reason)),
                (true, None) => "paused".to_owned(),
                (false, _) => "not paused".to_owned(),
            };
            let most = settings
                .max_running
                .map_or("no limit".to_owned(), |most| format!("at most {most} at once"));
            let stop = if settings.stop_on_failure {
                "stops on a failure"
            } else {
                "goes on after a failure"
            };
            println!("{scope}: {paused}, {most}, {stop}");
        }
        opened.close().await;
        Ok(0)
    }
}

//! Logs of the server itself: readable lines on standard error, JSON on request.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Below a warning, `rmcp` logs whole messages: what agents call with is in no log, whatever is asked for.
const QUIET: &str = "rmcp=warn";

/// Starts logging. `BATON_LOG` filters in the form `level` or `target=level,…`; default `info`.
///
/// A second call in one process changes nothing.
pub fn start(format: Format, filter: Option<&str>) {
    let filter = EnvFilter::new(filter.unwrap_or("info,sqlx=warn,hyper=warn,octocrab=warn"));
    let filter = filter.add_directive(QUIET.parse().expect("a target and a level"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        Format::Text => {
            registry.with(fmt::layer().with_writer(std::io::stderr).with_target(false)).try_init()
        }
        Format::Json => registry.with(fmt::layer().json().with_writer(std::io::stderr)).try_init(),
    };
    // A subscriber that is there already keeps working.
    drop(started);
}

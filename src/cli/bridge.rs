//! `baton bridge`: the hidden subcommand that runs inside a sandbox; see `sandbox::bridge`.

use std::process::ExitCode;

use crate::sandbox::bridge::Bridge;

/// Runs the command behind `bridge`, if that is what was asked for. Before anything else: it starts
/// inside every sandbox and has to be up in milliseconds.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|argument| argument == "bridge")?;
    Some(match Bridge::parse(arguments).and_then(Bridge::run) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("baton bridge: failed to {error}");
            ExitCode::from(error.code())
        }
    })
}

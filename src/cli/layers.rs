//! `baton layers`: the hidden subcommand that starts before a sandbox; see `sandbox::layers`.

use std::process::ExitCode;

use crate::sandbox::layers::Layers;

/// Becomes the program behind `layers`, if that is what was asked for. Before anything else: the kernel
/// gives a namespace only to a process of one thread.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    arguments.next_if(|argument| argument == "layers")?;
    let error = match Layers::parse(arguments) {
        Ok(layers) => layers.run(),
        Err(error) => error,
    };
    eprintln!("baton layers: failed to {error}");
    Some(ExitCode::from(125))
}

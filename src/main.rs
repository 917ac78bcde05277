//! The `baton` program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Inside a sandbox this same program is the small one beside the agent: nothing else is set up.
    if let Some(code) = baton::cli::bridge::run_if_asked() {
        return code;
    }
    if let Some(code) = baton::cli::layers::run_if_asked() {
        return code;
    }
    let arguments = baton::cli::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("baton: cannot start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    ExitCode::from(runtime.block_on(baton::cli::run(arguments)))
}

//! The command line: one file a subcommand, each a thin shell around `app` and `db`.

mod agents;
pub mod bridge;
mod costs;
mod database;
pub mod demo;
mod doctor;
pub mod layers;
pub mod logs;
mod migrate;
mod output;
mod pause;
mod requeue;
mod run;
mod serve;
mod settings;
mod stop;
mod tasks;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Takes a GitHub issue to verified production with coding agents.
#[derive(Debug, Parser)]
#[command(name = "baton", version, max_term_width = 100)]
pub struct Arguments {
    /// The configuration file; the environment lies over it
    #[arg(long, global = true, env = "BATON_CONFIG", default_value = "baton.toml")]
    config: PathBuf,
    /// Prints JSON instead of text, one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Runs the server: webhooks in, agents at work, answers out
    Serve,
    /// Plays the main job on this machine: emulated GitHub, scripted model, real agents
    Demo(demo::Demo),
    /// Looks at everything that Baton needs, and says what to do about what is missing
    Doctor,
    /// Brings the database's tables up to date
    Migrate,
    /// Lists tasks that are not over
    Tasks(tasks::Tasks),
    /// Lists agents and what each takes: time, processor, memory, disk, tokens, money
    Agents(agents::Agents),
    /// Prints what a task's agents printed
    Logs(logs::Logs),
    /// Lets nothing new start; what runs goes on
    Pause(pause::Pause),
    /// Ends a pause
    Resume(pause::Resume),
    /// Shows and changes what the queue keeps to: limits, and stopping on a failure
    Settings(settings::Settings),
    /// Tries a job again that failed for good
    Requeue(requeue::Requeue),
    /// Stops a task, or everything
    Stop(stop::Stop),
    /// Shows what was spent
    Costs(costs::Costs),
    /// Carries out requests in a git repository on this machine, without GitHub
    Run(run::Run),
}

/// Runs what the arguments ask for and gives the process's exit code.
pub async fn run(arguments: Arguments) -> u8 {
    let Arguments { config, json, command } = arguments;
    let at = database::At { config, json };
    let done = match command {
        Subcommands::Serve => serve::run(&at).await,
        Subcommands::Demo(demo) => demo.run(&at).await,
        Subcommands::Doctor => doctor::run(&at).await,
        Subcommands::Migrate => migrate::run(&at).await,
        Subcommands::Tasks(tasks) => tasks.run(&at).await,
        Subcommands::Agents(agents) => agents.run(&at).await,
        Subcommands::Logs(logs) => logs.run(&at).await,
        Subcommands::Pause(pause) => pause.run(&at).await,
        Subcommands::Resume(resume) => resume.run(&at).await,
        Subcommands::Settings(settings) => settings.run(&at).await,
        Subcommands::Requeue(requeue) => requeue.run(&at).await,
        Subcommands::Stop(stop) => stop.run(&at).await,
        Subcommands::Costs(costs) => costs.run(&at).await,
        Subcommands::Run(run) => run.run(&at).await,
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // A command of a repository may have written what it holds.
            eprintln!("baton: {}", output::plain_lines(&format!("{error:#}")));
            1
        }
    }
}

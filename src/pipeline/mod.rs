//! The spine: where the six verbs meet.
//!
//! [`Pipeline::run`] has one arm for each case of the closed `Job` enum. Every arm loads facts, calls
//! one stage of the way (parse, decide, execute, say), then saves and enqueues in one transaction that
//! also finishes the job. What an agent did comes back as an event through the queue, never by a call.
//!
//! - `parse`    – a stored delivery becomes events
//! - `route`    – an event finds its tasks
//! - `decide`   – facts, situation, decision; `apply` makes its effects rows and jobs
//! - `execute`  – an agent's life, seen from the database, with `desk` between the two; `commands` the same for the repository's own,
//!   `setup` what both are given to build with, `continuing` an agent that outlived its Baton
//! - `publish`  – a change is checked, pushed and gets its pull request
//! - `say`      – desired state; `perform` – acts
//! - `last_word` – what becomes visible of a job that is given up
//! - `refusals` – what the gateway refuses an agent
//! - `waiting`  – what agents that are due wait for
//! - `mirrors`  – brought up to date for whoever needs them, and taken away
//! - `own`      – events of Baton's own doing
//! - `sweep`    – reconcilers

mod apply;
mod commands;
pub mod continuing;
mod decide;
mod desk;
mod error;
mod execute;
mod facts;
mod last_word;
mod mirrors;
pub mod operator;
mod own;
mod parse;
mod perform;
mod policy;
mod publish;
mod refusals;
mod route;
mod say;
mod settings;
mod setup;
mod situation;
mod spine;
pub mod sweep;
pub mod waiting;
mod writing;

pub use error::Failure;
pub use settings::{DeployGrant, Settings};
pub use spine::{Parts, Pipeline};

//! Decide: from everything known of a task and one event to what happens next.
//!
//! Pure. [`facts_needed`] says what to ask GitHub; [`decide()`] takes the complete situation and
//! gives a [`Decision`]: effects as data, which the pipeline makes true in one transaction. The
//! table of all states and events is printed into `docs/DECISIONS.md` by a test.

mod agents;
mod auditing;
mod commands;
mod decide;
mod decision;
mod deploying;
mod draft;
mod facts;
mod findings;
mod follow_ups;
mod hashes;
pub mod policy;
mod publishing;
mod questions;
mod restarts;
mod subtasks;
mod threads;

pub use decide::{decide, give_up};
pub use decision::{Decision, Effect, NewTask};
pub use facts::{Fact, facts_needed};
pub use hashes::{input_hash, plan_hash};
pub use publishing::is_held;
pub use restarts::restart_pause;

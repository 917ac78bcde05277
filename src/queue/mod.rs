//! Hand over: jobs in Postgres, from being enqueued to their end.
//!
//! A job is enqueued in the transaction that causes it, claimed under a lease with a fencing token,
//! and finished in the transaction that writes its result; a worker that lost its lease cannot
//! finish. Jobs of one key run one after another in the order of their ids. What a job means is not
//! known here: `pipeline` hands the [`Runner`] a function. Called by whoever causes work (`webhook`,
//! `pipeline`, `api`), and by `app`, which runs it. Every statement takes its time from the `Clock`.
//!
//! In reading order: `enqueue` → `wake` → `claim` → `lease` → `finish`; `runner` drives them all.

mod claim;
mod enqueue;
mod error;
mod failed;
mod finish;
mod held;
mod lane;
mod lease;
mod listen;
mod runner;
mod settings;
mod waiting;
mod wake;

pub use claim::{Claim, Claimed, Running, claim};
pub use enqueue::enqueue;
pub use error::QueueError;
pub use failed::{FailedJob, enqueue_failed_again, list_failed};
pub use finish::{Retried, backoff, fail, finish, finish_batch, retry};
pub use lease::{LostJob, heartbeat, rescue, rescue_from, take_lost};
pub use runner::{Outcome, Room, Runner, RunnerSettings};
pub use settings::{
    Scope, ScopeSettings, list_settings, pause, paused, resume, set_max_running,
    set_stop_on_failure,
};
pub use waiting::{WaitingJob, list_waiting};
pub use wake::{CHANNEL, Wake, Wakes, tells_of};

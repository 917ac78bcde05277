//! What Baton knows, in Postgres: one module a table, free functions, checked SQL.
//!
//! Not here: any decision (`workflow`), the queue's own statements (`queue`), transactions (the
//! caller begins and commits them; what changes together is called with one connection). Called by
//! `pipeline`, `webhook`, `logs`, `gateway`, `tools`, `api`, `queue` and `app`. Time is a parameter
//! everywhere. Verbs: `insert`, `by_…` (`Option`), `load` (an error if absent), `list_…`, `mark_…`.

pub mod agent_inbox;
pub mod agent_lines;
pub mod agent_sessions;
pub mod agents;
pub mod approvals;
pub mod budgets;
pub mod command_runs;
mod connect;
pub mod context_entries;
pub mod decisions;
mod decode;
pub mod deliveries;
pub mod deployments;
mod error;
pub mod events;
pub mod fetches;
pub mod findings;
pub mod follow_ups;
pub mod installations;
pub mod ledger;
pub mod letters;
pub mod mirrors;
pub mod nodes;
pub mod overview;
pub mod partitions;
pub mod plans;
pub mod provider_keys;
pub mod questions;
pub mod reports;
pub mod repositories;
pub mod server;
pub mod situations;
pub mod stages;
pub mod task_refs;
pub mod tasks;
pub mod usage;

pub use connect::{Address, Found, Settings, connect, look, migrate};
pub use error::DbError;

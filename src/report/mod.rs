//! What GitHub objects should say: from a `Situation` to text, as data.
//!
//! Pure: no clock, no I/O, and the same situation always says the same, because the say stage compares
//! what is with what should be. The pipeline calls [`render()`] for objects that are desired state, and
//! the functions for acts (reviews, replies, issues of an audit). Nothing here decides what happens,
//! and nothing here talks to GitHub.
//!
//! Every text follows the same order: the state and who acts, what is kept, what went wrong, one
//! obvious thing to do. Text that somebody else wrote goes through [`quote`].

mod again;
mod asking;
mod asking_push;
mod audit;
mod barred;
mod check;
mod closing;
mod commands;
mod deployment;
mod ended;
mod evidence;
mod figures;
mod findings;
mod fit;
mod follow_ups;
mod fork;
mod kept;
mod labels;
mod limits;
mod marker;
mod parked;
mod parking;
mod people;
mod progress;
mod pull;
mod question;
pub mod quote;
mod refused;
mod render;
mod replies;
mod review;
mod seen;
mod setup;
mod steps;
#[cfg(test)]
mod tests;
mod verdict;
mod wishes;

pub use audit::{NewIssue, audit_issue, audit_summary};
pub use fit::fit;
pub use follow_ups::follow_up_issue;
pub use marker::{Marker, find, marker};
pub use render::render;
pub use replies::reply;
pub use review::{Written, comment, review};

//! Everything that Baton asks of GitHub or writes there.
//!
//! The only place that knows octocrab, tokens and REST paths. It answers in nouns of `model` and in
//! plain structs of its own; it decides nothing and remembers nothing but tokens and pauses. The
//! pipeline calls it, always outside any database transaction; `app` builds it.
//!
//! What holds for every call:
//! - One attempt for a POST: whoever wants to repeat it looks first (by marker, name or branch)
//!   whether GitHub had already done it. Reading, replacing and deleting are tried three times.
//! - A limited installation answers [`GitHubError::Paused`] without asking GitHub again.
//! - Lists are read to their last page.

mod app;
mod check;
mod client;
mod comment;
mod connection;
mod content;
mod counters;
mod delivery;
mod deployment;
mod diff;
mod error;
mod fork;
mod graphql;
mod installation;
mod issue;
mod jwt;
mod label;
mod pages;
mod path;
mod pause;
mod permission;
mod pull;
mod registration;
mod repo;
mod review;
mod thread;
mod token;
mod wire;

pub use app::{App, AppIdentity, Settings};
pub use check::Check;
pub use comment::{Comment, CommentUpdate, CreatedComment};
pub use content::File;
pub use counters::{Counters, Counts};
pub use delivery::{Delivery, DeliveryPage, DeliverySummary};
pub use error::GitHubError;
pub use installation::{Installation, SeenRepository};
pub use issue::Issue;
pub use pull::CreatedPull;
pub use registration::Registration;
pub use repo::Repo;
pub use review::{CreatedReview, PlacedComment};
pub use thread::Thread;
pub use token::Access;

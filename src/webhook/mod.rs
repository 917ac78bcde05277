//! Receive: GitHub's deliveries are verified, stored and handed to the queue before they are
//! answered.
//!
//! What a delivery means is read later, by the job that is enqueued with it: nothing is parsed on
//! the way in. [`router`] is mounted by the app on the public listener; `app` starts the [`Writer`]
//! and joins it after the listener has stopped.

mod budget;
mod receiver;
mod signature;
mod store;
mod writer;

pub use receiver::{Receiver, Settings, SettingsError, router};
pub use store::{PostgresStore, Store, StoreError};
pub use writer::{Writer, WriterTasks};

//! Parse: what a stored delivery tells, as events, or a named reason why it tells nothing.
//!
//! Pure: bytes and headers in, data out. It decides nothing, and it trusts nothing but the
//! signature that was checked before the delivery was stored. The pipeline calls [`parse()`] once per
//! delivery; its sweeps build their [`dedup`] keys here too, so that a fact that GitHub told and the
//! same fact read from its API are one event.

mod command;
pub mod dedup;
mod delivery;
mod installation;
mod near;
mod parse;
mod payload;
mod prose;
mod pull;
mod push;
mod subscription;
mod thread;
mod tick;
mod verdict;

pub use command::commands_in;
pub use near::nearest;
pub use parse::parse;
pub use subscription::{ALWAYS_SENT, PERMISSIONS, SUBSCRIBED};
pub use verdict::{
    DeliveryHeaders, Identity, IgnoreReason, InstallationState, ListedRepository, ParseError,
    Parsed, SeenInstallation, SeenRepository, Verdict,
};

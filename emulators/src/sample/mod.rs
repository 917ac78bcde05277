//! The sample repository: `shelf`, a small Node file server with a real bug, shipped as text.
//!
//! The demo pushes [`files()`] to the local GitHub and opens [`issue()`] there. The tests of the repository pass as
//! shipped; `scripts/verify.mjs` fails until the issue is dealt with. Nothing here runs anything.

mod files;
mod issue;

pub use files::{SampleFile, files};
pub use issue::{ISSUE_BODY, ISSUE_TITLE, issue};

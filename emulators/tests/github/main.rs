//! The GitHub stand-in, judged by what GitHub does: each refusal, each webhook, each fault.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod access;
mod checks;
#[cfg(feature = "contract")]
mod contract;
mod deployments;
mod faults;
mod forks;
mod git;
mod graphql;
mod hooks;
mod issues;
mod pulls;
mod reviews;
mod support;

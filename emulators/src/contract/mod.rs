//! GitHub's published schemas as a judge of what Baton asks and what the stand-in answers.
//!
//! Requests are judged strictly. In answers and deliveries a missing field is ignored, since
//! GitHub's own examples miss some, and a wrong type is a violation. The schemas come from npm:
//! `@octokit/openapi`, `@octokit/openapi-webhooks`, `@octokit/graphql-schema`.

mod documents;
mod graphql;
mod judge;
mod schema;

pub use documents::node_modules;
pub use judge::{Judge, Violation};

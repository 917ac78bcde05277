//! A hosting platform in small: what the demo deploys to.
//!
//! A release is uploaded as text files and a start command; it is started beside the running one, and takes over
//! once it listens. `/service/…` always reaches the release that runs, so the address to verify never changes.
//!
//! | request | answer |
//! |---|---|
//! | `POST /releases`, bearer token, `{files: {path: text}, start: [program, argument…], sha}` | 201 `{url, sha}`; 401, 413, 422 or 502 `{error}` |
//! | `GET /status` | 200 `{running, releases: [{sha, url, running}]}` |
//! | anything below `/service/` | what the running release answers; 503 without one |

mod forward;
mod process;
mod release;
mod server;

pub use release::{MOST_BYTES, MOST_FILES};
pub use server::{Deployed, Host, Settings};

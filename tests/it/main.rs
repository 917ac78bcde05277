//! All integration tests, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod architecture;
mod captures;
mod decisions;
mod doctor;
mod documents;
mod egress;
mod embedded;
mod following;
mod gateway;
mod github;
mod hostile;
mod kill_points;
mod layers;
mod leaks;
mod payloads;
mod queue;
mod review;
mod run;
mod sandbox;
mod setup;
mod stories;
mod support;
mod tables;
mod tools;
mod webhook;
mod webhook_stored;
mod workspace;

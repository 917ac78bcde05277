//! Whole stories: Baton between an emulated GitHub and scripted models, seen from outside.
//!
//! - `whole`    – the main job
//! - `quiet`    – who may not, and what is nobody's business
//! - `steering` – commands, labels, closing, deleting
//! - `audits`   – `/baton audit`
//! - `codex`    – one prompt a process: words said in between, stops, planted settings
//! - `webhooks` – lost, doubled, late, early, in any order
//! - `hanging`  – agents that do not end
//! - `restarts` – Baton or its database goes away in the midst
//! - `replicas` – two of them on one database

mod audits;
mod codex;
mod hanging;
mod quiet;
mod replicas;
mod restarts;
mod steering;
mod webhooks;
mod whole;

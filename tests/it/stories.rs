//! Whole stories: Baton between an emulated GitHub and scripted models, seen from outside.
//!
//! - `whole`    – the main job
//! - `pushes`   – what waits for a person before it is pushed
//! - `quiet`    – who may not, and what is nobody's business
//! - `steering` – commands, labels, closing, deleting
//! - `asking`   – agents that ask people
//! - `noticing` – what agents notice outside of their task
//! - `audits`   – `/baton audit`
//! - `capacity` – what agents take, and agents for which the machine has no room
//! - `watching` – agents at work, seen from the command line
//! - `codex`    – one prompt a process: words said in between, stops, planted settings
//! - `webhooks` – lost, doubled, late, early, in any order
//! - `hanging`  – agents that do not end
//! - `money`    – budgets and quota
//! - `restarts` – Baton or its database goes away in the midst
//! - `surviving` – containers that outlive their Baton
//! - `talking`  – agents that write to each other
//! - `replicas` – two of them on one database

mod asking;
mod audits;
mod capacity;
mod codex;
mod hanging;
mod money;
mod noticing;
mod pushes;
mod quiet;
mod replicas;
mod restarts;
mod steering;
mod surviving;
mod talking;
mod watching;
mod webhooks;
mod whole;

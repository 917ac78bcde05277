//! Whole stories: Baton between an emulated GitHub and scripted models, seen from outside.
//!
//! - `whole`    – the main job
//! - `pushes`   – what waits for a person before it is pushed
//! - `forks`    – branches that go to a fork
//! - `quiet`    – who may not, and what is nobody's business
//! - `steering` – commands, labels, closing, deleting
//! - `again`    – what is tried again by itself
//! - `barred`   – ways out that the gateway closes
//! - `taking`   – what takes too much of the machine
//! - `killing`  – stops that do not wait
//! - `forgetting` – mirrors that nobody needs any more
//! - `asking`   – agents that ask people
//! - `noticing` – what agents notice outside of their task
//! - `permitting` – what a program asks leave for
//! - `audits`   – `/baton audit`
//! - `capacity` – what agents take, and agents for which the machine has no room
//! - `web`      – searches of the web on the provider's side
//! - `watching` – agents at work, seen from the command line
//! - `codex`    – one prompt a process: words said in between, stops, planted settings
//! - `webhooks` – lost, doubled, late, early, in any order
//! - `hanging`  – agents that do not end
//! - `money`    – budgets and quota
//! - `restarts` – Baton or its database goes away in the midst
//! - `roles`    – what policy says of a role, seen in what its program asks
//! - `subtasks` – plans whose steps several roles play
//! - `surviving` – containers that outlive their Baton
//! - `talking`  – agents that write to each other
//! - `toolless` – agents whose tools go while they work
//! - `replicas` – two of them on one database

mod again;
mod asking;
mod audits;
mod barred;
mod capacity;
mod codex;
mod forgetting;
mod forks;
mod hanging;
mod killing;
mod money;
mod noticing;
mod permitting;
mod pushes;
mod quiet;
mod replicas;
mod restarts;
mod roles;
mod steering;
mod subtasks;
mod surviving;
mod taking;
mod talking;
mod toolless;
mod watching;
mod web;
mod webhooks;
mod whole;

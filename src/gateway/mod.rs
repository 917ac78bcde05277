//! The model APIs as agents see them: one Unix socket that adds the real credential, measures what
//! is used and refuses what an agent may not ask for.
//!
//! An agent has no network but this socket, and no key but a token of its own. So the gateway is
//! also the one way out, and lets through only what it knows: three paths, listed fields, tools that
//! run on the agent's side, and those of the provider that the server's configuration names. It holds no
//! policy about who may spend how much; [`Agents`] says so.
//! `app` starts it; nobody calls it but agents, over HTTP.
//!
//! - `settings` – where the API is, with what credential
//! - `agents` – whose token it is, what is left, and where usage is written down
//! - `database` – the same from Postgres
//! - `prices` – what tokens cost
//! - `bill` – what a request costs at most, and how long its answer may be for what is left
//! - `pool` – the real credentials, and which of them rest
//! - `server` – the socket and the life cycle
//! - `relay` – one request, from the token to the last byte
//! - `dialect` – the APIs that are served, and what differs between them
//! - `request` – which bodies are let through to the Messages API; `strict` reads them, `survey` says what
//!   bears on the price, `shortage` whether an error says that there is no more for now, and until when
//! - `responses` – the same for the Responses API, with its figures and its way of saying no
//! - `web` – tools that run on the provider's side and pass where the server names them
//! - `rewrite` – changes single values of a body, and nothing else
//! - `headers` – which headers are let through
//! - `meter` – reads the usage out of an answer while it streams by
//! - `refusal` – what the agent's program is told instead

mod agents;
mod bill;
mod database;
mod dialect;
mod headers;
mod meter;
mod pool;
mod prices;
mod refusal;
mod relay;
mod request;
mod responses;
mod rewrite;
mod server;
mod settings;
mod shortage;
mod strict;
mod survey;
mod web;

pub use agents::{
    AgentGrant, Agents, AgentsError, Answer, RequestUsage, Reservation, Reserved, TokenHash,
    token_hash,
};
pub use bill::{Allowed, Bill, Caching, Size, WebUses};
pub use database::DatabaseAgents;
pub use pool::Credential;
pub use prices::{Price, Prices, Used};
pub use server::{Gateway, GatewayError};
pub use settings::{Api, Settings};

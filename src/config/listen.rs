//! Where the server listens.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Source;

/// The two listeners.
#[derive(Debug, Clone)]
pub struct Listen {
    /// For GitHub: `/webhook` alone.
    pub public: SocketAddr,
    /// For the operator: health, readiness and metrics.
    pub admin: SocketAddr,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    public: Option<String>,
    admin: Option<String>,
}

impl Listen {
    pub(super) fn read(source: &mut Source) -> Self {
        let file: File = source.section("listen");
        let public = source.parsed("BATON_LISTEN", file.public);
        let admin = source.parsed("BATON_ADMIN_LISTEN", file.admin);
        Self {
            public: public.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 3020))),
            admin: admin.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3021))),
        }
    }
}

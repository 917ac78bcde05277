//! What the gateway has to know at its start.

use std::path::PathBuf;

use crate::model::{Timestamp, WebTools};

use super::{Credential, Prices};

/// The gateway's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The socket: the same path for the whole life of the installation.
    pub socket: PathBuf,
    /// The socket's mode. Agents run under another, unprivileged uid and have to connect, so the
    /// usual value is `0o666`; the token is what counts.
    pub mode: u32,
    /// Anthropic's Messages API, or something that answers like it; none without a credential.
    pub anthropic: Option<Api>,
    /// OpenAI's Responses API, or something that answers like it; none without a credential.
    pub openai: Option<Api>,
    /// What tokens cost. A model without a price is refused.
    pub prices: Prices,
    /// A proxy for the way to the API. The environment's own variables are not looked at.
    pub proxy: Option<String>,
}

/// Where a model API is.
#[derive(Debug, Clone)]
pub struct Api {
    /// `https://api.anthropic.com` or `https://api.openai.com`, without a path.
    pub base_url: String,
    /// What opens it: the first that does not rest is taken.
    pub credentials: Vec<Credential>,
    /// Until when some of them rest, by name, as it was noted before.
    pub resting: Vec<(String, Timestamp)>,
    /// Which tools of the provider's own pass, and on which terms.
    pub web: WebTools,
}

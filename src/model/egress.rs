//! Which hosts may be reached from inside, and what was asked of them.
//!
//! A repository names hosts, the server has a list that no repository can go beyond, and what is not
//! let through is told with the line that would allow it. `egress` enforces it.

use core::net::IpAddr;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AgentId, CommandRunId, InvalidValue, Preset};

/// The longest name of a host (RFC 1035).
const LONGEST_NAME: usize = 253;

/// Ports that a host named without one has: HTTP and HTTPS.
const USUAL_PORTS: [u16; 2] = [80, 443];

/// A host as it is named in a list: `name`, `name:port`, `*.name` for what lies below a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostRule {
    name: String,
    below: bool,
    port: Option<u16>,
}

impl HostRule {
    /// Reads a host; capitals are made small.
    ///
    /// # Errors
    /// For anything but a name of letters, digits, `-`, `_` and `.`, perhaps with a port.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidValue> {
        let text = text.as_ref();
        let invalid = || InvalidValue {
            value: text.chars().take(80).collect(),
            expected: "host, as in `pypi.org`, `*.example.com` or `registry.example.com:8443`",
        };
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => {
                let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(invalid)?;
                (name, Some(port))
            }
            None => (text, None),
        };
        let (name, below) = match name.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (name, false),
        };
        if !is_host(name) || (below && !name.contains('.')) {
            return Err(invalid());
        }
        Ok(Self { name: name.to_ascii_lowercase(), below, port })
    }

    /// Whether a request to this host and port is meant. Without a port, those of HTTP and HTTPS are.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let named = if self.below {
            host.strip_suffix(&self.name).is_some_and(|head| head.ends_with('.'))
        } else {
            host == self.name
        };
        named && self.port.map_or(USUAL_PORTS.contains(&port), |own| own == port)
    }
}

fn is_host(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= LONGEST_NAME && name.split('.').all(part)
}

impl TryFrom<String> for HostRule {
    type Error = InvalidValue;
    fn try_from(text: String) -> Result<Self, InvalidValue> {
        Self::new(text)
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "*." } else { "" };
        write!(f, "{below}{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// One entry of the server's own list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressRule {
    /// Which host.
    pub host: HostRule,
    /// Where it is, as the operator says: the only way to an address that is not public.
    pub address: Option<IpAddr>,
}

impl EgressRule {
    /// The registries of a preset.
    #[must_use]
    pub fn of_preset(preset: Preset) -> Vec<Self> {
        let hosts = preset.hosts().iter().map(HostRule::new);
        hosts
            .map(|host| Self { host: host.expect("a registry has a name"), address: None })
            .collect()
    }
}

/// Something that was asked of a host from inside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fetch {
    /// The host's name, in small letters.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Name and version, where the address shows them: over plain HTTP only.
    pub package: Option<String>,
    /// Why it was not let through, if it was not.
    pub blocked: Option<Blocked>,
}

impl Fetch {
    /// The host as a list names it.
    #[must_use]
    pub fn named(&self) -> String {
        if USUAL_PORTS.contains(&self.port) {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Something that was asked of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// By whom.
    pub by: Fetcher,
    /// What.
    pub fetch: Fetch,
}

/// Who fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetcher {
    /// An agent that policy lets fetch.
    Agent(AgentId),
    /// A set-up, or tests that policy lets fetch.
    Run(CommandRunId),
}

/// With these words begins why a stage could not begin, where its set-up is why.
pub const SET_UP: &str = "the set-up";

/// Why a host was not let through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "by", content = "address", rename_all = "snake_case")]
pub enum Blocked {
    /// The repository's policy does not name it.
    Policy,
    /// The server's list does not.
    Server,
    /// Neither does.
    Both,
    /// Its name leads to an address that is not public.
    Address(IpAddr),
    /// It is no name at all, but an address.
    Bare,
    /// Both name it, and whoever asked may not fetch.
    Offline,
}

impl Blocked {
    /// The line that would allow it.
    #[must_use]
    pub fn remedy(&self, host: &str) -> String {
        let policy = format!("add `- {host}` to `environment.hosts` in .github/baton.yml");
        let server = format!("add \"{host}\" to `egress` under `[limits]` in baton.toml");
        match self {
            Self::Policy => format!("to allow it, {policy}"),
            Self::Server => {
                format!("the server's list does not have it: its operator can {server}")
            }
            Self::Both => format!("to allow it, {policy}; the server's operator has to {server}"),
            Self::Address(address) => format!(
                "its name leads to {address}, which is no public address: the server's operator can \
                 allow exactly that by \"{host}={address}\" in `egress` under `[limits]` in baton.toml"
            ),
            Self::Offline => {
                "agents and tests fetch only where `agents: fetch` stands under `environment` \
                              in .github/baton.yml"
                    .to_owned()
            }
            Self::Bare => "only hosts with a name can be allowed, not bare addresses".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> HostRule {
        HostRule::new(text).unwrap()
    }

    #[test]
    fn a_host_covers_itself_on_the_ports_of_the_web_and_no_other() {
        let host = rule("PyPI.org");
        assert!(host.covers("pypi.org", 443) && host.covers("PYPI.org", 80));
        assert!(!host.covers("pypi.org", 22) && !host.covers("evil.pypi.org", 443));
        assert!(!host.covers("notpypi.org", 443) && !host.covers("pypi.org.evil.com", 443));
        let port = rule("registry.test:8443");
        assert!(port.covers("registry.test", 8443) && !port.covers("registry.test", 443));
        let below = rule("*.example.com");
        assert!(below.covers("a.b.example.com", 443));
        assert!(!below.covers("example.com", 443) && !below.covers("badexample.com", 443));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a.".repeat(130) + "b";
        for bad in
            ["", "*", "*.com", "a b", "http://a.b", "a/b", "a:0", "a:99999", "-a", "a..b", "ü.de"]
                .into_iter()
                .chain([long.as_str()])
        {
            assert!(HostRule::new(bad).is_err(), "{bad:?} was taken");
        }
        assert_eq!(String::from(rule("*.A.b:81")), "*.a.b:81");
    }

    #[test]
    fn what_is_blocked_comes_with_the_line_that_would_allow_it() {
        let both = Blocked::Both.remedy("evil.test:81");
        assert!(
            both.contains("`- evil.test:81` to `environment.hosts` in .github/baton.yml"),
            "{both}"
        );
        assert!(both.contains("\"evil.test:81\" to `egress` under `[limits]`"), "{both}");
        let inner = Blocked::Address(IpAddr::from([10, 0, 0, 5])).remedy("corp.test");
        assert!(inner.contains("\"corp.test=10.0.0.5\""), "{inner}");
    }
}

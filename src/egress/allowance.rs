//! Which hosts one run may reach.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{Blocked, EgressRule, HostRule};

/// What a repository names, and the server's list above it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Allowance {
    /// Hosts of the presets and of `environment.hosts`.
    pub policy: Vec<HostRule>,
    /// `[limits] egress`: the ceiling.
    pub server: Vec<EgressRule>,
    /// Whether nothing is let through all the same, so that what is asked for can be told.
    pub offline: bool,
}

impl Allowance {
    /// Whether a host may be reached. Gives the address that the operator has set for it, if any; then
    /// no name is looked up.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn judge(&self, host: &str, port: u16) -> Result<Option<IpAddr>, Blocked> {
        if is_bare(host) {
            return Err(Blocked::Bare);
        }
        let named = self.policy.iter().any(|rule| rule.covers(host, port));
        let covering: Vec<&EgressRule> =
            self.server.iter().filter(|rule| rule.host.covers(host, port)).collect();
        match (named, covering.is_empty()) {
            (true, false) if self.offline => Err(Blocked::Offline),
            (true, false) => Ok(covering.iter().find_map(|rule| rule.address)),
            (false, false) => Err(Blocked::Policy),
            (true, true) => Err(Blocked::Server),
            (false, true) => Err(Blocked::Both),
        }
    }
}

/// Whether it is an address, also in the old ways of writing one (`127.1`, `0x7f000001`, `2130706433`):
/// the last part of a name is never a number (RFC 3696).
fn is_bare(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    host.contains([':', '[']) || number || hexadecimal.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preset;

    fn allowance(policy: &[&str], server: &[(&str, Option<&str>)]) -> Allowance {
        let host = |text: &str| HostRule::new(text).unwrap();
        Allowance {
            policy: policy.iter().map(|text| host(text)).collect(),
            server: server
                .iter()
                .map(|(text, address)| EgressRule {
                    host: host(text),
                    address: address.map(|address| address.parse().unwrap()),
                })
                .collect(),
            offline: false,
        }
    }

    #[test]
    fn a_host_needs_the_repository_and_the_server() {
        let both = allowance(&["a.test", "b.test"], &[("b.test", None), ("c.test", None)]);
        assert_eq!(both.judge("b.test", 443), Ok(None));
        assert_eq!(both.judge("a.test", 443), Err(Blocked::Server));
        assert_eq!(both.judge("c.test", 443), Err(Blocked::Policy));
        assert_eq!(both.judge("d.test", 443), Err(Blocked::Both));
        assert_eq!(both.judge("b.test", 22), Err(Blocked::Both));
        let offline = Allowance { offline: true, ..both };
        assert_eq!(offline.judge("b.test", 443), Err(Blocked::Offline));
        assert_eq!(Allowance::default().judge("b.test", 443), Err(Blocked::Both));
    }

    #[test]
    fn an_address_is_no_host_however_it_is_written() {
        let all = allowance(&["*.test.org"], &[("*.test.org", None)]);
        for bare in
            ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.1", "::1", "[::1]", "1.2.3.4."]
        {
            assert_eq!(all.judge(bare, 443), Err(Blocked::Bare), "{bare}");
        }
    }

    #[test]
    fn only_the_operator_sets_an_address() {
        let set = allowance(&["corp.test:8080"], &[("corp.test:8080", Some("10.0.0.5"))]);
        assert_eq!(set.judge("corp.test", 8080), Ok(Some(IpAddr::from([10, 0, 0, 5]))));
    }

    #[test]
    fn the_presets_hosts_are_on_the_servers_usual_list() {
        for preset in Preset::ALL {
            let policy: Vec<_> =
                preset.hosts().iter().map(|host| HostRule::new(host).unwrap()).collect();
            let allowance = Allowance {
                policy,
                server: crate::model::Limits::default().egress,
                offline: false,
            };
            for host in preset.hosts() {
                assert_eq!(allowance.judge(host, 443), Ok(None), "{host}");
            }
        }
    }
}

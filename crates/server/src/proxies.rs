use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// The proxies whose word about a caller's address is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Addresses and networks from the configuration.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Where a request comes from: the peer, or, if that is a trusted proxy, the nearest address in
    /// `X-Forwarded-For` that is none. What stands further left was written by whoever sent the request.
    pub fn address_of(&self, request: &HttpRequest) -> IpAddr {
        self.origin(peer_of(request.head()), request.headers())
    }

    /// The same, if it is certain: `None` for a request that somebody passed on who is not trusted, or who does not say
    /// for whom. For what only some may see: a proxy that nobody named must not open it to all who come through.
    pub fn certain_address_of(&self, request: &RequestHead) -> Option<IpAddr> {
        self.certain_origin(peer_of(request), request.headers())
    }

    fn certain_origin(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let origin = self.origin(peer, headers);
        let is_certain = !was_passed_on(headers) || (self.trusts(peer) && !self.trusts(origin));
        is_certain.then_some(origin)
    }

    fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        // A line that cannot be read hides whatever stands to its left.
        let forwarded: Vec<&str> =
            headers.get_all("x-forwarded-for").map(|value| value.to_str().unwrap_or_default()).collect();
        let mut nearest = peer;
        for hop in forwarded.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(nearest) {
                return nearest;
            }
            let Some(address) = hop_address(hop.trim()) else { return nearest };
            nearest = address.to_canonical();
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn peer_of(request: &RequestHead) -> IpAddr {
    request.peer_addr.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical())
}

/// Whether some proxy has left its mark.
fn was_passed_on(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}

/// An address, with a port as some gateways write it.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok()
}

/// What sign-ins from an address are counted by: one household or one machine has a whole /64 of IPv6.
pub fn counted_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            format!("{network}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn origin(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(line).unwrap());
        }
        let networks = proxies.iter().map(|network| network.parse().unwrap()).collect();
        TrustedProxies::new(networks).origin(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let lan = &["10.0.0.0/8"][..];
        let table: [(&[&str], &str, &[&str], &str); 11] = [
            (lan, "10.0.0.1", &["1.2.3.4:555"], "1.2.3.4"),
            (lan, "10.0.0.1", &["[2001:db8::1]:555"], "2001:db8::1"),
            (lan, "10.0.0.1", &["6.6.6.6", "\u{ff}, 1.2.3.4"], "10.0.0.1"),
            (&[], "10.0.0.1", &["1.2.3.4"], "10.0.0.1"),
            (lan, "9.9.9.9", &["1.2.3.4"], "9.9.9.9"),
            (lan, "10.0.0.1", &["1.2.3.4"], "1.2.3.4"),
            (lan, "10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            (lan, "10.0.0.1", &["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            (lan, "10.0.0.1", &["10.0.0.3"], "10.0.0.3"),
            (lan, "10.0.0.1", &["1.2.3.4, junk"], "10.0.0.1"),
            (lan, "10.0.0.1", &[], "10.0.0.1"),
        ];
        for (proxies, peer, forwarded, expected) in table {
            assert_eq!(origin(proxies, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn ipv6_is_counted_by_network() {
        assert_eq!(counted_address("192.0.2.7".parse().unwrap()), "192.0.2.7");
        assert_eq!(counted_address("2001:db8:1:2:3:4:5:6".parse().unwrap()), "2001:db8:1:2::/64");
    }
}

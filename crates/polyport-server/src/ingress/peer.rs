//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use polyport_provider::Network;

/// More hops than this are not looked at.
const MOST_HOPS: usize = 32;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Where a request comes from, as far as that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The client's address; that of its last proxy which is not ours, if it has any. IPv4 in IPv6 is IPv4.
    pub(crate) address: IpAddr,
    /// It came through one of our proxies.
    pub(crate) proxied: bool,
    /// One of our proxies says that it came by HTTPS.
    pub(crate) https: bool,
}

impl Peer {
    /// Reads what proxies say, where the connection is one of theirs. The right-most address that is no proxy of ours counts: what stands left
    /// of it was written by whoever is there.
    pub(crate) fn of(connected: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let connected = connected.to_canonical();
        let is_proxy = |address: IpAddr| proxies.iter().any(|network| network.holds(address));
        if !is_proxy(connected) {
            return Self { address: connected, proxied: false, https: false };
        }
        // Proxies know `x-forwarded-for` nearly always, and hand on a `forwarded` of the client that they do not know.
        let is_used = headers.contains_key(&FORWARDED_FOR);
        let hops = if is_used { hops(headers, &FORWARDED_FOR, plain) } else { hops(headers, &FORWARDED, tagged) };
        let mut address = connected;
        for hop in hops.into_iter().take(MOST_HOPS) {
            // Whoever hides the one before is the last that is known.
            let Some(hop) = hop else { break };
            address = hop;
            if !is_proxy(hop) {
                break;
            }
        }
        let https = match last(headers, &FORWARDED_PROTO) {
            Some(proto) => proto.eq_ignore_ascii_case("https"),
            None => last(headers, &FORWARDED)
                .and_then(|last| member(last, "proto"))
                .is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
        };
        Self { address, proxied: true, https }
    }

    /// Somebody on this machine who needs no network.
    pub(crate) fn here() -> Self {
        Self { address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), proxied: false, https: false }
    }

    /// That of a request.
    pub(crate) fn found(head: &Parts) -> Self {
        // Every request that reaches a route has one.
        let nowhere = Self { address: IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), proxied: false, https: false };
        head.extensions.get().copied().unwrap_or(nowhere)
    }
}

/// The addresses in a header, the last one first; nothing for one that is hidden.
fn hops(headers: &HeaderMap, name: &HeaderName, read: fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    let lines = lines.into_iter().rev().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.rsplit(',')).take(MOST_HOPS).map(|hop| read(hop.trim())).collect()
}

fn plain(hop: &str) -> Option<IpAddr> {
    let address = hop.parse::<IpAddr>().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    address.or_else(bracketed).map(|address| address.to_canonical())
}

/// RFC 7239 §4.
fn tagged(hop: &str) -> Option<IpAddr> {
    plain(member(hop, "for")?)
}

/// A member of one element of `forwarded`.
fn member<'h>(element: &'h str, name: &str) -> Option<&'h str> {
    let mut members = element.split(';').filter_map(|member| member.trim().split_once('='));
    let (_, value) = members.find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"'))
}

/// The last element of a list.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(connected: &str, headers: &[(&str, &str)]) -> Peer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        Peer::of(connected.parse().unwrap(), &map, &["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn address(connected: &str, headers: &[(&str, &str)]) -> String {
        of(connected, headers).address.to_string()
    }

    #[test]
    fn only_our_proxies_are_believed() {
        let said = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "https"), ("forwarded", "for=2.2.2.2")];
        let plain = of("192.0.2.1", &said);
        assert_eq!((plain.address.to_string().as_str(), plain.proxied, plain.https), ("192.0.2.1", false, false));
        let proxied = of("::ffff:10.0.0.1", &said);
        assert_eq!((proxied.address.to_string().as_str(), proxied.proxied, proxied.https), ("1.1.1.1", true, true));
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_right_most_foreign_address_counts() {
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.7")]), "1.1.1.1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")]), "1.1.1.1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "10.0.0.9, 10.0.0.7")]), "10.0.0.9");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, unknown, 10.0.0.7")]), "10.0.0.7");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:99")]), "2001:db8::1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", "1.1.1.1:4711")]), "1.1.1.1");
        let many = vec!["10.0.0.2"; 1000].join(",");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &format!("6.6.6.6,{many}"))]), "10.0.0.2");
    }

    #[test]
    fn the_standard_header_is_read_where_the_usual_one_is_missing() {
        let said = [("forwarded", "for=6.6.6.6;proto=http, For=\"[2001:db8::1]:99\"; proto=HTTPS ;by=10.0.0.1")];
        let peer = of("fd00::1", &said);
        assert_eq!((peer.address.to_string().as_str(), peer.https), ("2001:db8::1", true));
        assert_eq!(address("10.0.0.1", &[("forwarded", "for=6.6.6.6, for=_hidden")]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.1.1.1")]), "1.1.1.1");
    }
}

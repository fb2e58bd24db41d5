//! Which addresses may be connected to. Those of the configuration file are the operator's own business; those that came over the network are
//! not, or whoever has an admin key could ask the machine's own services and those of its cloud.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower::Service;

use crate::http::BoxError;

/// A network: its first address and how many bits of it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no network; write 10.0.0.0/8, fd00::/8 or a single address")]
pub struct NoNetwork;

impl Network {
    const fn v4(first: [u8; 4], bits: u8) -> Self {
        let [a, b, c, d] = first;
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(head: [u16; 2], bits: u8) -> Self {
        let [a, b] = head;
        Self { first: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), bits }
    }

    /// What this machine calls itself.
    pub const LOOPBACK: [Self; 2] =
        [Self::v4([127, 0, 0, 0], 8), Self { first: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 }];

    /// Whether an address belongs to it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = u32::from(first) ^ u32::from(address);
                differing.checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = u128::from(first) ^ u128::from(address);
                differing.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| NoNetwork)?)),
            None => (text.trim(), None),
        };
        let first: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(NoNetwork) } else { Ok(Self { first, bits }) }
    }
}

/// Networks that are not the Internet: RFC 6890 and its successors.
const SPECIAL: [Network; 21] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([100, 64, 0, 0], 10),
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 0, 0, 0], 24),
    Network::v4([192, 0, 2, 0], 24),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([198, 18, 0, 0], 15),
    Network::v4([198, 51, 100, 0], 24),
    Network::v4([203, 0, 113, 0], 24),
    Network::v4([224, 0, 0, 0], 3),
    // Unspecified, loopback and whatever else begins with zeros.
    Network::v6([0, 0], 8),
    Network::v6([0x0064, 0xff9b], 32),
    Network::v6([0x0100, 0], 64),
    Network::v6([0x2001, 0x0db8], 32),
    // Tunnels, which hide the address that is meant.
    Network::v6([0x2001, 0x0000], 32),
    Network::v6([0x2002, 0x0000], 16),
    Network::v6([0xfc00, 0], 7),
    Network::v6([0xfe00, 0], 7),
];

/// Names by which machines in clouds ask for their own credentials.
const METADATA: [&str; 5] =
    ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All.
    #[default]
    Anywhere,
    /// The Internet, and these networks.
    Internet(Arc<[Network]>),
}

/// An address that may not be connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not on the Internet; networks of your own are allowed by `access.networks` in the configuration file")]
pub struct OutOfReach(pub String);

impl Reach {
    /// Whether this address may be connected to.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let Self::Internet(more) = self else { return true };
        // ::ffff:127.0.0.1 is 127.0.0.1.
        let address = address.to_canonical();
        more.iter().any(|network| network.holds(address)) || !SPECIAL.iter().any(|network| network.holds(address))
    }

    /// What can be said of a host before it is looked up.
    ///
    /// # Errors
    /// [`OutOfReach`] if it may not be connected to, whatever the look-up says.
    pub fn check(&self, host: &str) -> Result<(), OutOfReach> {
        let Self::Internet(_) = self else { return Ok(()) };
        let plain = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let refused = match plain.parse::<IpAddr>() {
            Ok(address) => !self.allows(address),
            Err(_) if plain == "localhost" || plain.ends_with(".localhost") => {
                !self.allows(IpAddr::V4(Ipv4Addr::LOCALHOST))
            }
            Err(_) => METADATA.contains(&plain.as_str()),
        };
        if refused { Err(OutOfReach(host.to_owned())) } else { Ok(()) }
    }
}

/// Looks names up and gives only the addresses that may be connected to, so that what is checked is what is connected to.
#[derive(Clone)]
pub(crate) struct Guarded<R> {
    pub(crate) inner: R,
    pub(crate) reach: Reach,
}

impl<R> fmt::Debug for Guarded<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl<R> Service<Name> for Guarded<R>
where
    R: Service<Name, Error = io::Error>,
    R::Response: Iterator<Item = SocketAddr>,
    R::Future: Send + 'static,
{
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach.clone();
        let host = name.as_str().to_owned();
        let looking = self.inner.call(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = looking.await?.collect();
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(OutOfReach(host).into());
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internet(more: &[&str]) -> Reach {
        Reach::Internet(more.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a5_what_is_not_the_internet_is_out_of_reach() {
        for host in [
            "127.0.0.1",
            "127.8.8.8",
            "0.0.0.0",
            "10.1.2.3",
            "100.100.100.200",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[ff02::1]",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "metadata.google.internal",
            "Metadata.Google.Internal.",
        ] {
            assert_eq!(internet(&[]).check(host), Err(OutOfReach(host.to_owned())));
            assert_eq!(Reach::Anywhere.check(host), Ok(()));
        }
        for host in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "api.openai.com"]
        {
            assert_eq!(internet(&[]).check(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn networks_of_ones_own_are_listed() {
        let own = internet(&["10.0.0.0/8", "::1", "127.0.0.1/32", "fd00::/8"]);
        for host in ["10.255.0.1", "[::1]", "127.0.0.1", "localhost", "[::ffff:10.0.0.1]", "[fd12::1]"] {
            assert_eq!(own.check(host), Ok(()), "{host}");
        }
        for host in ["127.0.0.2", "11.0.0.1", "192.168.0.1", "[fc00::1]"] {
            assert_eq!(own.check(host).is_ok(), host == "11.0.0.1", "{host}");
        }
        assert_eq!(internet(&["0.0.0.0/0"]).check("127.0.0.1"), Ok(()));
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "example.org"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[tokio::test]
    async fn a5_a_name_that_leads_inside_is_not_followed() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let answers = |addresses: &'static [&'static str]| {
            let inner = tower::service_fn(move |_: Name| async move {
                Ok::<_, io::Error>(addresses.iter().map(|text| text.parse::<SocketAddr>().unwrap()))
            });
            Guarded { inner, reach: internet(&[]) }
        };
        let error = answers(&["169.254.169.254:80", "127.0.0.1:80"]).call(name("rebound.example")).await.err().unwrap();
        assert!(error.to_string().starts_with("rebound.example is not on the Internet"), "{error}");
        // Of several addresses the good ones are used.
        let found: Vec<_> =
            answers(&["127.0.0.1:80", "8.8.8.8:80"]).call(name("both.example")).await.unwrap().collect();
        assert_eq!(found, ["8.8.8.8:80".parse().unwrap()]);
    }
}

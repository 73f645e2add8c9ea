//! Which addresses are called. Receivers are mostly internal, so private networks are fine; what is never meant are
//! link-local addresses and those at which clouds hand out credentials, however they are written.
//!
//! Names are resolved here, and only what was looked at is connected to: an answer that changes between a look and the
//! call (DNS rebinding) finds nobody.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Host;

/// Metadata services that do not live at a link-local address: Alibaba, Oracle, Azure's own, and over IPv6 AWS, Google,
/// Scaleway.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042)),
];

/// Decides which addresses may be called.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    allow: Arc<[IpNet]>,
}

/// An address that is not called.
#[derive(Debug)]
pub(super) struct Blocked(IpAddr);

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is link-local or holds a cloud's metadata; if it is meant, name it in `allow` of `callbackNotification`",
            self.0
        )
    }
}

impl Error for Blocked {}

impl Addresses {
    pub(super) fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.into() }
    }

    /// Whether this address may be called.
    pub(super) fn vet(&self, address: IpAddr) -> Result<(), Blocked> {
        if self.allow.iter().any(|net| net.contains(&address) || net.contains(&meant(address))) {
            return Ok(());
        }
        let inner = meant(address);
        let never = match inner {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_multicast(),
        };
        if never || METADATA.contains(&inner) { Err(Blocked(address)) } else { Ok(()) }
    }

    /// Those of a name's addresses that may be called; an error if all that were found may not.
    fn vetted(&self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Blocked> {
        let (good, blocked): (Vec<_>, Vec<_>) =
            found.map(|found| self.vet(found.ip()).map(|()| found)).partition(Result::is_ok);
        match blocked.into_iter().find_map(Result::err) {
            Some(e) if good.is_empty() => Err(e),
            _ => Ok(good.into_iter().flatten().collect()),
        }
    }

    /// Whether the host of a URL may be called as far as it is an address; the client asks no resolver for those. The
    /// parser of URLs has turned every spelling of an IPv4 address (octal, hexadecimal, short) into one.
    pub(super) fn vet_host(&self, url: &url::Url) -> Result<(), Blocked> {
        match url.host() {
            Some(Host::Ipv4(v4)) => self.vet(v4.into()),
            Some(Host::Ipv6(v6)) => self.vet(v6.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// The IPv4 address that an IPv6 address stands for (mapped, translated, NAT64, 6to4, Teredo), else itself.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high != 0 => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => v4(high, low),
        [0x2001, 0, .., high, low] => v4(!high, !low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(addresses.vetted(found)?.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;

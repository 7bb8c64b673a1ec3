//! No URL and no address that is private by the rules of the standard library passes the guard.
//!
//! The first 19 bytes make the address that the URL's name has, and its port; the rest is the URL.
#![no_main]

use haul_fetch::Guard;
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

fuzz_target!(|input: &[u8]| {
    let Some((head, text)) = input.split_first_chunk::<19>() else { return };
    let Some(url) = std::str::from_utf8(text).ok().and_then(|text| Url::parse(text).ok()) else {
        return;
    };
    let guard = Guard::Public { allowed: Vec::new(), denied: Vec::new().into() };
    let port = u16::from_be_bytes([head[1], head[2]]);
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        _ => named(head),
    };
    if guard.allows(&url, &[SocketAddr::new(ip, port)]).is_ok() {
        assert!(!is_private(ip), "{url} at {ip}");
        assert!(matches!(port, 80 | 443), "{port}");
        assert!(url.username().is_empty() && url.password().is_none(), "{url}");
    }
});

/// The address that a name has.
fn named(head: &[u8; 19]) -> IpAddr {
    let octets: [u8; 16] = std::array::from_fn(|at| head[3 + at]);
    if head[0] & 1 == 0 {
        let [a, b, c, d, ..] = octets;
        return Ipv4Addr::new(a, b, c, d).into();
    }
    Ipv6Addr::from(octets).into()
}

/// What is surely not public, by the words of the standard library.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_broadcast()
                || ip.is_documentation()
                || ip.is_multicast()
                || ip.is_unspecified()
                || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_multicast()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || carried(ip).is_some_and(|ip| is_private(ip.into()))
        }
    }
}

/// The IPv4 address inside: mapped, compatible, translated or of 6to4.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            Some(of(g, h))
        }
        [0x2002, ..] => Some(of(b, c)),
        _ => None,
    }
}

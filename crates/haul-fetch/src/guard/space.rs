use crate::Cidr;
use std::net::{IpAddr, Ipv4Addr};

/// From where an address can be reached: the address spaces of WICG's Local Network Access, from
/// the narrowest to the widest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressSpace {
    /// This machine only.
    #[default]
    Loopback,
    /// Networks that are not the internet, such as `192.168.0.0/16` and `fe80::/10`.
    Local,
    /// Networks of examples (RFC 5737, 3849, 9637), of which none is real.
    Documentation,
    /// The internet.
    Public,
}

impl AddressSpace {
    /// That of an address, by the registries of special-purpose addresses (RFC 6890) and in every
    /// form: mapped, translated and tunnelled.
    pub fn of(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        let listed = match ip {
            IpAddr::V4(_) => listed(SPECIAL_V4, ip).unwrap_or(Self::Public),
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Self::Loopback,
            IpAddr::V6(_) if TRANSLATED_V6.contains(ip) => Self::Public,
            IpAddr::V6(_) if !UNICAST_V6.contains(ip) => Self::Local,
            IpAddr::V6(_) => listed(SPECIAL_V6, ip).unwrap_or(Self::Public),
        };
        carried(ip).map_or(listed, |inner| listed.min(Self::of(inner)))
    }
}

fn listed(blocks: &[(Cidr, AddressSpace)], ip: IpAddr) -> Option<AddressSpace> {
    blocks.iter().find(|(network, _)| network.contains(ip)).map(|&(_, space)| space)
}

/// The IPv4 address that an IPv6 address leads to: behind the well-known prefix of translators
/// (RFC 6052 §2.1), or at the end of an ISATAP tunnel under any prefix (RFC 5214 §6.1).
pub(super) fn carried(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    let [.., scope, isatap, _, _] = v6.segments();
    let tunnelled = matches!((scope, isatap), (0 | 0x200, 0x5efe));
    let [.., a, b, c, d] = v6.octets();
    (tunnelled || TRANSLATED_V6.contains(ip)).then(|| Ipv4Addr::new(a, b, c, d).into())
}

use AddressSpace::{Documentation, Local, Loopback};

/// The IANA IPv4 special-purpose registry (RFC 6890) without what it calls globally reachable,
/// and multicast. Blocks are listed whole where only single addresses of them are reachable.
const SPECIAL_V4: &[(Cidr, AddressSpace)] = &[
    (Cidr::v4([0, 0, 0, 0], 8), Loopback),  // this network, RFC 791
    (Cidr::v4([10, 0, 0, 0], 8), Local),    // private use, RFC 1918
    (Cidr::v4([100, 64, 0, 0], 10), Local), // shared by carriers, RFC 6598
    (Cidr::v4([127, 0, 0, 0], 8), Loopback), // RFC 1122
    (Cidr::v4([169, 254, 0, 0], 16), Local), // link local, RFC 3927
    (Cidr::v4([172, 16, 0, 0], 12), Local), // private use, RFC 1918
    (Cidr::v4([192, 0, 0, 0], 24), Local),  // protocol assignments, RFC 6890
    (Cidr::v4([192, 0, 2, 0], 24), Documentation), // RFC 5737
    (Cidr::v4([192, 88, 99, 0], 24), Local), // 6to4 relays, RFC 7526
    (Cidr::v4([192, 168, 0, 0], 16), Local), // private use, RFC 1918
    (Cidr::v4([198, 18, 0, 0], 15), Local), // benchmarks, RFC 2544
    (Cidr::v4([198, 51, 100, 0], 24), Documentation), // RFC 5737
    (Cidr::v4([203, 0, 113, 0], 24), Documentation), // RFC 5737
    (Cidr::v4([224, 0, 0, 0], 4), Local),   // multicast, RFC 5771
    (Cidr::v4([240, 0, 0, 0], 4), Local),   // reserved and broadcast, RFC 1112, 8190
];

/// Global unicast (RFC 4291 §2.4); nothing outside it is public.
const UNICAST_V6: Cidr = Cidr::v6([0x2000, 0, 0], 3);

/// The well-known prefix of translators (RFC 6052); what it carries is judged.
const TRANSLATED_V6: Cidr = Cidr::v6([0x64, 0xff9b, 0], 96);

/// What the IANA IPv6 special-purpose registry reserves inside global unicast.
const SPECIAL_V6: &[(Cidr, AddressSpace)] = &[
    (Cidr::v6([0x2001, 0, 0], 23), Local), // protocol assignments with Teredo, RFC 2928, 4380
    (Cidr::v6([0x2001, 0xdb8, 0], 32), Documentation), // RFC 3849
    (Cidr::v6([0x2002, 0, 0], 16), Local), // 6to4, RFC 3056
    (Cidr::v6([0x3fff, 0, 0], 20), Documentation), // RFC 9637
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn of(text: &str) -> AddressSpace {
        AddressSpace::of(text.parse().unwrap())
    }

    #[test]
    fn every_space_is_known_in_every_form() {
        for (space, addresses) in [
            (Loopback, &["127.0.0.1", "127.255.255.255", "::1", "0.0.0.0", "::"][..]),
            (Loopback, &["::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2606:2800::5efe:127.0.0.1"]),
            (Local, &["10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1"]),
            (Local, &["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "fe80::1", "fd00::1", "ff02::1"]),
            (Local, &["224.0.0.1", "255.255.255.255", "2002:0a00:1::1", "2001::1", "::8.8.8.8"]),
            (
                Documentation,
                &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
            ),
            (AddressSpace::Public, &["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606::1"]),
        ] {
            for address in addresses {
                assert_eq!(of(address), space, "{address}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_form_of_an_ipv4_address_is_wider_than_it(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let space = AddressSpace::of(v4.into());
            let [.., a, b] = v4.to_ipv6_mapped().segments();
            for form in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2606, 0x2800, 0, 0, 0, 0x5efe, a, b),
                Ipv6Addr::new(0x2606, 0x2800, 0, 0, 0x200, 0x5efe, a, b),
            ] {
                prop_assert_eq!(AddressSpace::of(form.into()), space);
            }
        }
    }
}

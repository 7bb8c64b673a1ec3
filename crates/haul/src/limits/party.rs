//! Who is counted, and how many of the same are too many.

use haul_link::PeerId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Somebody who does what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Party {
    /// The key, once it was proved.
    pub(crate) key: Option<PeerId>,
    pub(crate) address: IpAddr,
    /// Whether the owner knows it, or it is of the group: then neither its neighbours count
    /// against it, nor it against them.
    pub(crate) is_trusted: bool,
}

impl Party {
    /// Somebody of whom nothing but the address is known.
    pub(crate) const fn at(address: IpAddr) -> Self {
        Self { key: None, address, is_trusted: false }
    }
}

/// How many there may be of one key, of one address, of one network and in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) key: usize,
    pub(crate) address: usize,
    pub(crate) network: usize,
    pub(crate) all: usize,
}

/// Which part of a share is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Key,
    Address,
    Network,
    All,
}

impl Bound {
    /// Whether what `other` has counts against one more of `who`.
    pub(crate) fn counts(self, who: &Party, other: &Party) -> bool {
        let is_near = match self {
            Self::Key => return who.key.is_some() && who.key == other.key,
            Self::Address => who.address == other.address,
            Self::Network => network_of(who.address) == network_of(other.address),
            Self::All => true,
        };
        is_near && !who.is_trusted && !other.is_trusted
    }
}

impl Share {
    /// Room for one more of `who` beside `others`, or which bound is in the way: fresh keys count
    /// by their address, and many addresses by their network.
    pub(crate) fn room<'a>(
        self,
        who: &Party,
        others: &(impl Iterator<Item = &'a Party> + Clone),
    ) -> Result<(), Bound> {
        let bounds = [
            (Bound::Key, self.key),
            (Bound::Address, self.address),
            (Bound::Network, self.network),
            (Bound::All, self.all),
        ];
        let is_reached = |&(bound, most): &(Bound, usize)| {
            others.clone().filter(|other| bound.counts(who, other)).count() >= most
        };
        bounds.into_iter().find(is_reached).map_or(Ok(()), |(bound, _)| Err(bound))
    }
}

/// The network that addresses are given out in to one site: 24 bits, or 64 of IPv6 (RFC 6177).
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SHARE: Share = Share { key: 1, address: 2, network: 3, all: 4 };

    /// Somebody with a key of these bytes.
    pub(crate) fn party(key: u32, address: [u8; 4]) -> Party {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&key.to_be_bytes());
        Party { key: Some(PeerId(bytes)), ..Party::at(address.into()) }
    }

    fn trusted(key: u32, address: [u8; 4]) -> Party {
        Party { is_trusted: true, ..party(key, address) }
    }

    #[test]
    fn a_share_ends_by_key_by_address_by_network_and_in_all() {
        let room = |who: Party, others: &[Party]| SHARE.room(&who, &others.iter()).is_ok();
        let here = [10, 0, 0, 1];
        assert!(!room(party(1, [10, 0, 9, 9]), &[party(1, here)]), "the same key elsewhere");
        assert!(room(party(2, here), &[party(1, here)]));
        assert!(!room(party(3, here), &[party(1, here), party(2, here)]), "fresh keys");
        let near = [party(1, here), party(2, here), party(3, [10, 0, 0, 2])];
        assert!(!room(party(4, [10, 0, 0, 3]), &near), "fresh addresses");
        assert!(room(party(4, [10, 0, 1, 3]), &near), "another network");
        let all = [near[0], near[1], near[2], party(5, [10, 0, 1, 1])];
        assert!(!room(party(6, [10, 0, 2, 1]), &all));
        let unknown = Party::at(here.into());
        assert!(room(unknown, &[unknown]) && !room(unknown, &[unknown, unknown]), "without keys");
    }

    #[test]
    fn who_is_trusted_counts_by_key_alone_and_against_nobody_else() {
        let here = [10, 0, 0, 1];
        let strangers = [party(1, here), party(2, here), party(3, here), party(4, here)];
        let room = |who: Party, others: &[Party]| SHARE.room(&who, &others.iter());
        assert_eq!(room(trusted(9, here), &strangers), Ok(()));
        assert_eq!(room(trusted(9, here), &[trusted(9, [10, 0, 0, 7])]), Err(Bound::Key));
        assert_eq!(room(party(1, here), &[trusted(5, here), trusted(6, here)]), Ok(()));
    }

    #[test]
    fn an_address_of_ipv6_counts_with_its_64_bits_and_a_mapped_one_as_ipv4() {
        let net = |address: &str| network_of(address.parse().unwrap());
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:1:2:3"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_eq!(net("::ffff:10.0.0.1"), net("10.0.0.99"));
    }
}

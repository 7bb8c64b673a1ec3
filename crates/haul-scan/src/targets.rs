use crate::{Error, Interface};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Addresses to look at, each another host's on the interface's own networks; the ones nearest to
/// our own come first.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    pub(crate) interface: Interface,
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// How many more addresses the networks have.
    pub(crate) left_out: usize,
}

impl Targets {
    /// Those of all addresses that are nearest to our own, `most` of them.
    pub(crate) fn nearest(interface: &Interface, most: usize) -> Self {
        let networks = interface.networks().iter();
        let all: BTreeSet<_> = networks.flat_map(|network| network.hosts()).collect();
        Self::of(interface, all.into_iter().collect()).truncated(most)
    }

    /// These and no others.
    pub(crate) fn only(
        interface: &Interface,
        addresses: impl IntoIterator<Item = Ipv4Addr>,
    ) -> Result<Self, Error> {
        let addresses: BTreeSet<_> = addresses.into_iter().collect();
        let off_link = |address: &&Ipv4Addr| interface.source_for(**address).is_none();
        if let Some(&address) = addresses.iter().find(off_link) {
            return Err(Error::OffLink { address, interface: interface.name().to_owned() });
        }
        Ok(Self::of(interface, addresses.into_iter().collect()))
    }

    /// These and no others of them.
    pub(crate) fn retain(&mut self, keep: &BTreeSet<Ipv4Addr>) {
        self.addresses.retain(|address| keep.contains(address));
    }

    /// The first `most` of them.
    pub(crate) fn truncated(mut self, most: usize) -> Self {
        self.left_out += self.addresses.len().saturating_sub(most);
        self.addresses.truncate(most);
        self
    }

    fn of(interface: &Interface, mut addresses: Vec<Ipv4Addr>) -> Self {
        let distance = |address: &Ipv4Addr| {
            let own = interface.source_for(*address).unwrap_or(*address);
            own.to_bits().abs_diff(address.to_bits())
        };
        addresses.sort_by_key(distance);
        Self { interface: interface.clone(), addresses, left_out: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::tests::interface;

    #[test]
    fn of_a_large_network_the_nearest_addresses_are_taken_and_the_rest_counted() {
        let targets = Targets::nearest(&interface([10, 77, 9, 9], 16), 1022);
        let network = interface([10, 77, 9, 9], 16).networks()[0];
        assert_eq!((targets.addresses.len(), targets.left_out), (1022, 65_533 - 1022));
        assert!(targets.addresses.iter().all(|address| network.contains(*address)));
        assert!(targets.addresses.contains(&Ipv4Addr::new(10, 77, 10, 200)));
        assert!(!targets.addresses.contains(&Ipv4Addr::new(10, 77, 99, 1)));
    }

    #[test]
    fn addresses_off_the_link_are_refused() {
        let interface = interface([10, 77, 0, 1], 24);
        let only = |last: [u8; 4]| Targets::only(&interface, [Ipv4Addr::from(last)]);
        assert_eq!(only([10, 77, 0, 9]).unwrap().addresses.len(), 1);
        for off in [[10, 77, 1, 9], [8, 8, 8, 8], [10, 77, 0, 255], [10, 77, 0, 1], [127, 0, 0, 1]]
        {
            assert!(matches!(only(off), Err(Error::OffLink { .. })), "{off:?}");
        }
    }
}

use std::fmt;
use std::net::Ipv4Addr;

/// An address of this machine with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: Ipv4Addr,
    prefix: u8,
}

impl Network {
    /// The network of `address`; `None` if `prefix` is above 32.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix <= 32 { Some(Self { address, prefix }) } else { None }
    }

    /// This machine's address in it.
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many leading bits all its addresses share: 0 to 32.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `address` is inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.address.to_bits() & self.mask() == address.to_bits() & self.mask()
    }

    /// The address of everybody in it (RFC 919).
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether a machine other than this one can have `address` in it: neither the network's own
    /// nor the broadcast address is anybody's.
    pub(crate) fn has_host(self, address: Ipv4Addr) -> bool {
        let is_first = address.to_bits() & !self.mask() == 0;
        let is_nobodys = is_first || address == self.broadcast() || address == self.address;
        self.contains(address) && !is_nobodys
    }

    /// Every address that another machine can have.
    pub(crate) fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let first = self.address.to_bits() & self.mask();
        let all = first..=self.broadcast().to_bits();
        all.map(Ipv4Addr::from_bits).filter(move |address| self.has_host(*address))
    }

    /// Whether it is small enough to be swept and large enough to be a network at all.
    pub(crate) const fn is_fit(self) -> bool {
        matches!(self.prefix, 16..=30)
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: [u8; 4], prefix: u8) -> Network {
        Network::new(address.into(), prefix).unwrap()
    }

    #[test]
    fn hosts_are_all_addresses_but_the_networks_the_broadcast_and_our_own() {
        let small = network([10, 0, 0, 5], 29);
        let hosts: Vec<_> = small.hosts().map(|host| host.octets()[3]).collect();
        assert_eq!(hosts, [1, 2, 3, 4, 6]);
        assert_eq!(network([10, 77, 0, 1], 24).hosts().count(), 253);
        assert_eq!(network([10, 77, 3, 1], 22).broadcast(), Ipv4Addr::new(10, 77, 3, 255));
    }

    #[test]
    fn no_host_of_a_network_is_outside_it() {
        for prefix in 16..=30 {
            let network = network([172, 16, 99, 77], prefix);
            assert!(network.hosts().all(|host| network.contains(host)), "{network}");
            assert!(!network.contains(Ipv4Addr::new(172, 17, 0, 1)), "{network}");
        }
    }

    #[test]
    fn every_prefix_is_a_network_or_none() {
        assert!(network([1, 2, 3, 4], 0).contains(Ipv4Addr::BROADCAST));
        assert!(!network([1, 2, 3, 4], 32).contains(Ipv4Addr::new(1, 2, 3, 5)));
        assert_eq!(network([1, 2, 3, 4], 31).hosts().count(), 0);
        assert_eq!(Network::new(Ipv4Addr::LOCALHOST, 33), None);
    }
}

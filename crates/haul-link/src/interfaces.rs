use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Interfaces with these names belong to containers, virtual machines and tunnels; nobody who
/// could help is behind them.
const VIRTUAL: [&str; 19] = [
    "br-",
    "cali",
    "cilium",
    "cni",
    "docker",
    "flannel",
    "lxc",
    "lxdbr",
    "podman",
    "tailscale",
    "tap",
    "tun",
    "utun",
    "vboxnet",
    "veth",
    "virbr",
    "vmnet",
    "wg",
    "zt",
];

/// An IPv4 address of this machine and the network that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// This machine's address there.
    pub address: Ipv4Addr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// Whether it is a tunnel or leads to one other machine, whatever the prefix says.
    pub point_to_point: bool,
}

impl Interface {
    /// What the system tells of an address of this machine, if that is one of IPv4.
    pub(crate) fn of(told: &if_addrs::Interface) -> Option<Self> {
        match &told.addr {
            if_addrs::IfAddr::V4(v4) => Some(Self {
                name: told.name.clone(),
                address: v4.ip,
                prefix: v4.prefixlen,
                point_to_point: told.is_p2p(),
            }),
            if_addrs::IfAddr::V6(_) => None,
        }
    }

    /// Whether `address` is in the network of this interface.
    pub fn has(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        (address.to_bits() ^ self.address.to_bits()) & self.mask() == 0
    }

    /// The address that means everybody in the network (RFC 919).
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | !self.mask())
    }

    /// Whether asks are sent here unless the user names interfaces: a real network that holds
    /// more than this machine and one other.
    pub fn is_fitting(&self) -> bool {
        let virtual_name = VIRTUAL.iter().any(|prefix| self.name.starts_with(prefix));
        !self.address.is_loopback() && self.prefix <= 30 && !self.point_to_point && !virtual_name
    }

    /// How many addresses the network has, as far as a number of 32 bits tells.
    pub(crate) fn size(&self) -> u32 {
        (!self.mask()).saturating_add(1)
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

/// The IPv4 addresses of this machine.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    Ok(if_addrs::get_if_addrs()?.iter().filter_map(Interface::of).collect())
}

/// Every network that this machine is in, of both families: its address there, and the length of
/// the network's prefix in bits.
pub fn networks() -> io::Result<Vec<(IpAddr, u8)>> {
    let found = if_addrs::get_if_addrs()?.into_iter();
    let networks = found.map(|interface| match interface.addr {
        if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
        if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
    });
    Ok(networks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, address: [u8; 4], prefix: u8) -> Interface {
        Interface { name: name.into(), address: address.into(), prefix, point_to_point: false }
    }

    #[test]
    fn a_network_ends_at_its_prefix() {
        let lan = interface("eth0", [10, 77, 3, 9], 22);
        assert!(lan.has([10, 77, 0, 0].into()) && lan.has([10, 77, 3, 255].into()));
        assert!(!lan.has([10, 77, 4, 0].into()) && !lan.has(IpAddr::V6(1.into())));
        assert_eq!(lan.broadcast(), Ipv4Addr::new(10, 77, 3, 255));
        assert!(interface("any", [1, 2, 3, 4], 0).has([9, 9, 9, 9].into()));
    }

    #[test]
    fn asks_go_to_real_networks_only() {
        assert!(interface("wlan0", [192, 168, 1, 2], 24).is_fitting());
        assert!(!interface("lo", [127, 0, 0, 1], 8).is_fitting());
        assert!(!interface("docker0", [172, 17, 0, 1], 16).is_fitting());
        assert!(!interface("eth0", [10, 0, 0, 1], 32).is_fitting());
        let tunnel = Interface { point_to_point: true, ..interface("vpn0", [10, 8, 0, 2], 24) };
        assert!(!tunnel.is_fitting());
    }
}

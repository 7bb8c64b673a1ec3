//! What stands around this machine and is closed to strangers even where its addresses are public:
//! networks on its own interfaces, its gateways and its name servers.

use haul_fetch::Cidr;
use haul_link::networks;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The closed networks of this moment; `None` if the machine does not tell its interfaces.
///
/// Gateways and name servers are known on Linux only; elsewhere those that are not in a network of
/// the machine's own stay open.
pub(crate) fn surroundings() -> Option<Vec<Cidr>> {
    let own = networks().ok()?.into_iter();
    let mut closed: Vec<Cidr> =
        own.filter_map(|(address, prefix)| Cidr::new(address, prefix)).collect();
    let told = [
        gateways(),
        name_servers(&text("/etc/resolv.conf")),
        name_servers(&text("/run/systemd/resolve/resolv.conf")),
    ];
    closed.extend(told.into_iter().flatten().filter_map(alone));
    Some(closed)
}

/// The routers that this machine sends through.
pub(crate) fn gateways() -> Vec<IpAddr> {
    let mut found = gateways_v4(&text("/proc/self/net/route"));
    found.extend(gateways_v6(&text("/proc/self/net/ipv6_route")));
    found
}

/// What a file says; a machine without the file has nothing of the kind.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The network of one address.
fn alone(address: IpAddr) -> Option<Cidr> {
    Cidr::new(address, if address.is_ipv4() { 32 } else { 128 })
}

/// The third column: an address in hexadecimal digits, in the order in which the machine keeps
/// numbers.
fn gateways_v4(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let word = line.split_whitespace().nth(2)?;
        let octets = u32::from_str_radix(word, 16).ok()?.to_ne_bytes();
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    table.lines().skip(1).filter_map(gateway).filter(|ip| !ip.is_unspecified()).collect()
}

/// The fifth column: an address in 32 hexadecimal digits.
fn gateways_v6(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let word = line.split_whitespace().nth(4)?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(u128::from_str_radix(word, 16).ok()?)))
    };
    table.lines().filter_map(gateway).filter(|ip| !ip.is_unspecified()).collect()
}

/// What `nameserver` lines name, without the interface that may follow (resolv.conf(5)).
fn name_servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|&word| word == "nameserver").and(words.next())?;
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_read_as_the_kernel_writes_them() {
        let gateway = u32::from_ne_bytes([12, 34, 56, 78]);
        let table = format!(
            "Iface\tDestination\tGateway \tFlags\n\
             lan0\t00000000\t{gateway:08X}\t0003\t0\t0\t900\t00000000\n\
             lan0\t004D0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
             torn\n"
        );
        assert_eq!(gateways_v4(&table), [IpAddr::from([12, 34, 56, 78])]);
        let (none, via) = ("0".repeat(32), "fe80000000000000000000000000002a");
        let table = format!(
            "{none} 00 {none} 00 {via} 00000400 00000001 00000000 00000003 lan0\n\
             {none} 40 {none} 00 {none} 00000100 00000001 00000000 00000001 lan0\n"
        );
        assert_eq!(gateways_v6(&table), ["fe80::2a".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn name_servers_are_read_with_and_without_their_interface() {
        let text = "# nameserver 1.1.1.1\nsearch lan\nnameserver 9.9.9.9\nnameserver\n\
                    nameserver fe80::1%lan0\nnameserver not-an-address\n";
        let expected: [IpAddr; 2] = ["9.9.9.9".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(name_servers(text), expected);
    }

    #[test]
    fn the_own_networks_are_closed() {
        let closed = surroundings().unwrap();
        assert!(closed.iter().any(|network| network.contains([127, 0, 0, 1].into())));
    }
}

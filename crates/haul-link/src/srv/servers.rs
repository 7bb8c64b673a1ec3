//! Which name servers the system asks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of name servers (RFC 1035 §4.2).
const PORT: u16 = 53;

/// How many servers a system's list has at most (resolv.conf(5)).
const MOST: usize = 3;

/// The servers of `/etc/resolv.conf`.
#[cfg(unix)]
pub(super) fn of_system() -> io::Result<Vec<SocketAddr>> {
    std::fs::read_to_string("/etc/resolv.conf").map(|text| name_servers(&text))
}

#[cfg(not(unix))]
pub(super) fn of_system() -> io::Result<Vec<SocketAddr>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The servers that a `resolv.conf` names; that of this machine if it names none.
pub(crate) fn name_servers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        address.parse::<IpAddr>().ok()
    });
    let mut servers: Vec<_> = named.map(|ip| SocketAddr::new(ip, PORT)).take(MOST).collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_the_systems_own_resolver_reads_them() {
        let text = "# by hand\nsearch lan\n nameserver 10.0.0.1\nnameserver\t::1 # own\n\
                    nameserver example\n;nameserver 10.0.0.9\nnameservers 10.0.0.8\n";
        let wanted: [SocketAddr; 2] = ["10.0.0.1:53", "[::1]:53"].map(|at| at.parse().unwrap());
        assert_eq!(name_servers(text), wanted);
        assert_eq!(name_servers("options edns0"), ["127.0.0.1:53".parse().unwrap()]);
        assert_eq!(name_servers(&"nameserver 10.0.0.1\n".repeat(9)).len(), MOST);
    }
}

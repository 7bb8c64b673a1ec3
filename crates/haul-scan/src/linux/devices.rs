use super::pnet::{Seen, seen};
use crate::interface::{Carrier, Device, Reach};
use crate::{Error, Medium, Network, icmp};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The kernel's table of IPv4 routes.
const ROUTES: &str = "/proc/net/route";

/// The interfaces of this machine as the kernel shows them.
pub(crate) fn devices() -> Result<Vec<Device>, Error> {
    let routes = fs::read_to_string(ROUTES)
        .map_err(|source| Error::System { doing: "read the table of routes", source })?;
    Ok(merge_labels(seen()).into_iter().map(|seen| device(seen, &routes)).collect())
}

fn device(seen: Seen, routes: &str) -> Device {
    let network = |(address, prefix): &(IpAddr, u8)| match address {
        IpAddr::V4(address) => Network::new(*address, *prefix),
        IpAddr::V6(_) => None,
    };
    Device {
        mac: seen.mac.filter(|_| is_ethernet(&seen.name)),
        medium: medium(&seen.name),
        carrier: carrier(seen.flags),
        reach: reach(seen.flags),
        networks: seen.addresses.iter().filter_map(network).collect(),
        link_local: seen.addresses.iter().find_map(|(address, _)| icmp::link_local(*address)),
        default_route: default_route(routes, &seen.name),
        name: seen.name,
        index: seen.index,
    }
}

/// Gives the addresses that have a label such as `eth0:1` to the interface that they are on.
fn merge_labels(seen: Vec<Seen>) -> Vec<Seen> {
    let (labelled, mut interfaces): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|seen| seen.name.contains(':'));
    for label in labelled {
        let name = label.name.split(':').next();
        if let Some(on) = interfaces.iter_mut().find(|seen| Some(seen.name.as_str()) == name) {
            on.addresses.extend(label.addresses);
        }
    }
    interfaces
}

fn carrier(flags: u32) -> Carrier {
    match (has(flags, libc::IFF_UP), has(flags, libc::IFF_RUNNING)) {
        (false, _) => Carrier::Down,
        (true, false) => Carrier::Absent,
        (true, true) => Carrier::Present,
    }
}

fn reach(flags: u32) -> Reach {
    if has(flags, libc::IFF_LOOPBACK) {
        Reach::Loopback
    } else if has(flags, libc::IFF_POINTOPOINT) {
        Reach::PointToPoint
    } else if has(flags, libc::IFF_NOARP) || !has(flags, libc::IFF_BROADCAST) {
        Reach::Nobody
    } else {
        Reach::Broadcast
    }
}

const fn has(flags: u32, flag: i32) -> bool {
    flags & flag.cast_unsigned() != 0
}

/// Whether its hardware addresses are those of Ethernet (`ARPHRD_ETHER`); Wi-Fi's are, a tunnel's
/// or `InfiniBand`'s are not. Where `/sys` is another network namespace's, six octets have to do.
fn is_ethernet(name: &str) -> bool {
    fs::read_to_string(about(name).join("type")).map_or(true, |kind| kind.trim() == "1")
}

fn medium(name: &str) -> Medium {
    let is_wireless =
        about(name).join("phy80211").exists() || about(name).join("wireless").exists();
    if is_wireless { Medium::Wireless } else { Medium::Wired }
}

fn about(name: &str) -> PathBuf {
    Path::new("/sys/class/net").join(name)
}

/// The least metric of the default routes over an interface, from the kernel's table.
fn default_route(routes: &str, name: &str) -> Option<u32> {
    let metric = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let &[interface, to, _, _, _, _, metric, mask, ..] = &fields[..] else { return None };
        let is_default = interface == name && to == "00000000" && mask == "00000000";
        metric.parse().ok().filter(|_| is_default)
    };
    routes.lines().filter_map(metric).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_routes_of_an_interface_give_its_metric() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n\
            eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_route(routes, "wlan0"), Some(50));
        assert_eq!(default_route(routes, "eth0"), None);
    }

    #[test]
    fn a_labelled_address_belongs_to_its_interface() {
        let seen = |name: &str, last| Seen {
            name: name.to_owned(),
            index: 2,
            mac: None,
            addresses: vec![(IpAddr::from([10, 0, 0, last]), 24)],
            flags: 0,
        };
        let merged = merge_labels(vec![seen("eth0", 1), seen("eth0:1", 2), seen("gone:1", 3)]);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].addresses.len(), 2);
    }

    #[test]
    fn flags_say_whether_and_whom_an_interface_reaches() {
        // As `ip link` shows them: UP, BROADCAST, LOOPBACK, POINTOPOINT, RUNNING, NOARP.
        assert_eq!((carrier(0x1043), reach(0x1043)), (Carrier::Present, Reach::Broadcast));
        assert_eq!((carrier(0x1003), carrier(0x1002)), (Carrier::Absent, Carrier::Down));
        assert_eq!(
            (reach(0x49), reach(0xd1), reach(0xc3)),
            (Reach::Loopback, Reach::PointToPoint, Reach::Nobody)
        );
    }
}

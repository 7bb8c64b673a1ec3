use crate::{Error, Mac, Network};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Beginnings of the names of interfaces that lead to machines inside this one, or to those at the
/// other end of a tunnel.
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

/// An interface with a network that can be scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    name: Arc<str>,
    index: u32,
    mac: Option<Mac>,
    medium: Medium,
    networks: Vec<Network>,
    link_local: Option<Ipv6Addr>,
}

/// What an interface sends over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Ethernet or what behaves like it.
    Wired,
    /// Wi-Fi, where broadcasts get lost and machines sleep.
    Wireless,
}

/// The interfaces of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interfaces {
    /// Those that can be scanned, the best first: that of the default route.
    pub fit: Vec<Interface>,
    /// The others.
    pub skipped: Vec<Skipped>,
}

/// An interface that is not scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why not.
    pub why: Skip,
}

/// Why an interface is not scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// It is switched off.
    Down,
    /// It has no carrier: no cable, or no access point.
    NoCarrier,
    /// It leads to this machine alone.
    Loopback,
    /// It leads to one other machine, through which there may be more. It is scanned if it is named.
    PointToPoint,
    /// Nothing can be broadcast over it, or it does without ARP. It is scanned if it is named.
    NoArp,
    /// It has no hardware address.
    NoMac,
    /// It has no IPv4 address.
    NoAddress,
    /// None of its IPv4 networks has a prefix from /16 to /30.
    Prefix(Vec<Network>),
    /// Its name says that it leads to virtual machines, containers or a tunnel. It is scanned if it
    /// is named.
    Virtual,
    /// Others were named.
    NotNamed,
}

impl Interface {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number by which the kernel knows it.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Its hardware address; `None` on a link without ARP, such as a tunnel.
    pub const fn mac(&self) -> Option<Mac> {
        self.mac
    }

    /// What it sends over.
    pub const fn medium(&self) -> Medium {
        self.medium
    }

    /// Its IPv4 networks with prefixes from /16 to /30; there is at least one.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The IPv6 address that it gave itself.
    pub(crate) const fn link_local(&self) -> Option<Ipv6Addr> {
        self.link_local
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Our own address in the network in which `target` is another host's.
    pub(crate) fn source_for(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        let network = self.networks.iter().find(|network| network.has_host(target))?;
        Some(network.address())
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is switched off"),
            Self::NoCarrier => f.write_str("it is not connected"),
            Self::Loopback => f.write_str("it leads to this machine alone"),
            Self::PointToPoint => {
                f.write_str("it is a tunnel or leads to one other machine; name it to use it")
            }
            Self::NoArp => {
                f.write_str("it can't broadcast, or does without ARP; name it to use it")
            }
            Self::NoMac => f.write_str("it has no hardware address"),
            Self::NoAddress => f.write_str("it has no IPv4 address"),
            Self::Prefix(networks) => {
                let networks: Vec<_> = networks.iter().map(Network::to_string).collect();
                write!(f, "{} is not between /16 and /30", networks.join(", "))
            }
            Self::Virtual => {
                f.write_str("its name is that of a virtual network; name it to use it")
            }
            Self::NotNamed => f.write_str("others were named"),
        }
    }
}

/// An interface as the operating system shows it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) mac: Option<Mac>,
    pub(crate) medium: Medium,
    pub(crate) carrier: Carrier,
    pub(crate) reach: Reach,
    pub(crate) networks: Vec<Network>,
    pub(crate) link_local: Option<Ipv6Addr>,
    /// The least metric of its default routes.
    pub(crate) default_route: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Down,
    Absent,
    Present,
}

/// Whom frames reach that are sent to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Loopback,
    PointToPoint,
    Nobody,
    Broadcast,
}

/// Parts the fit from the others and ranks them; if any are named, only those can be fit.
pub(crate) fn choose(mut devices: Vec<Device>, named: &[&str]) -> Result<Interfaces, Error> {
    for name in named {
        if !devices.iter().any(|device| device.name == *name) {
            let known = devices.into_iter().map(|device| device.name).collect();
            return Err(Error::NoSuchInterface { name: (*name).to_owned(), known });
        }
    }
    devices.sort_by_key(|device| (device.default_route.unwrap_or(u32::MAX), device.index));
    let mut chosen = Interfaces { fit: Vec::new(), skipped: Vec::new() };
    for device in devices {
        let name = device.name.clone();
        match judge(device, named) {
            Ok(interface) => chosen.fit.push(interface),
            Err(why) => chosen.skipped.push(Skipped { name, why }),
        }
    }
    Ok(chosen)
}

fn judge(device: Device, named: &[&str]) -> Result<Interface, Skip> {
    if named.is_empty() {
        judge_name(&device.name)?;
    } else if !named.contains(&device.name.as_str()) {
        return Err(Skip::NotNamed);
    }
    let mac = match judge_state(&device) {
        Ok(()) => Some(device.mac.filter(|mac| mac.is_of_one_machine()).ok_or(Skip::NoMac)?),
        Err(Skip::PointToPoint | Skip::NoArp) if !named.is_empty() => None,
        Err(why) => return Err(why),
    };
    let (fit, unfit): (Vec<_>, Vec<_>) = device.networks.into_iter().partition(|net| net.is_fit());
    match (fit.is_empty(), unfit.is_empty()) {
        (true, true) => Err(Skip::NoAddress),
        (true, false) => Err(Skip::Prefix(unfit)),
        (false, _) => Ok(Interface {
            name: device.name.into(),
            index: device.index,
            mac,
            medium: device.medium,
            networks: fit,
            link_local: device.link_local,
        }),
    }
}

fn judge_state(device: &Device) -> Result<(), Skip> {
    match (device.reach, device.carrier) {
        (Reach::Loopback, _) => Err(Skip::Loopback),
        (_, Carrier::Down) => Err(Skip::Down),
        (_, Carrier::Absent) => Err(Skip::NoCarrier),
        (Reach::PointToPoint, _) => Err(Skip::PointToPoint),
        (Reach::Nobody, _) => Err(Skip::NoArp),
        (Reach::Broadcast, Carrier::Present) => Ok(()),
    }
}

fn judge_name(name: &str) -> Result<(), Skip> {
    let is_virtual = VIRTUAL.iter().any(|beginning| name.starts_with(beginning));
    if is_virtual { Err(Skip::Virtual) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A cable on which this machine is 10.77.0.1/24, or whatever is said.
    pub(crate) fn interface(address: [u8; 4], prefix: u8) -> Interface {
        judge(device("eth0", 2, address, prefix), &[]).unwrap()
    }

    fn device(name: &str, index: u32, address: [u8; 4], prefix: u8) -> Device {
        Device {
            name: name.to_owned(),
            index,
            mac: Some(Mac::new([2, 0, 0, 0, 0, 1])),
            medium: Medium::Wired,
            carrier: Carrier::Present,
            reach: Reach::Broadcast,
            networks: Network::new(address.into(), prefix).into_iter().collect(),
            link_local: None,
            default_route: None,
        }
    }

    fn machine() -> Vec<Device> {
        let eth0 = device("eth0", 2, [192, 168, 1, 5], 24);
        vec![
            Device { reach: Reach::Loopback, ..device("lo", 1, [127, 0, 0, 1], 8) },
            eth0.clone(),
            Device { default_route: Some(600), ..device("wlan0", 3, [192, 168, 2, 5], 16) },
            device("docker0", 4, [172, 17, 0, 1], 16),
            Device { reach: Reach::PointToPoint, ..device("ppp0", 5, [10, 8, 0, 2], 24) },
            device("eth0.10", 6, [10, 10, 0, 5], 22),
            device("eth1", 7, [10, 9, 0, 0], 31),
            Device { carrier: Carrier::Absent, ..device("eth2", 8, [10, 7, 0, 1], 24) },
            Device { carrier: Carrier::Down, ..device("eth3", 9, [10, 6, 0, 1], 24) },
            Device { networks: Vec::new(), ..device("eth4", 10, [0; 4], 0) },
            Device { mac: None, ..device("ib0", 11, [10, 5, 0, 1], 24) },
            Device { default_route: Some(100), ..device("eth5", 12, [10, 4, 0, 1], 24) },
            Device { reach: Reach::Nobody, ..device("noarp0", 13, [10, 3, 0, 1], 24) },
        ]
    }

    fn names(interfaces: &Interfaces) -> Vec<&str> {
        interfaces.fit.iter().map(Interface::name).collect()
    }

    #[test]
    fn the_default_route_comes_first_and_every_other_has_its_reason() {
        let chosen = choose(machine(), &[]).unwrap();
        assert_eq!(names(&chosen), ["eth5", "wlan0", "eth0", "eth0.10"]);
        let slash_31 = Network::new([10, 9, 0, 0].into(), 31).unwrap();
        let reasons: Vec<_> =
            chosen.skipped.into_iter().map(|skip| (skip.name, skip.why)).collect();
        let expected = [
            ("lo", Skip::Loopback),
            ("docker0", Skip::Virtual),
            ("ppp0", Skip::PointToPoint),
            ("eth1", Skip::Prefix(vec![slash_31])),
            ("eth2", Skip::NoCarrier),
            ("eth3", Skip::Down),
            ("eth4", Skip::NoAddress),
            ("ib0", Skip::NoMac),
            ("noarp0", Skip::NoArp),
        ];
        assert_eq!(reasons, expected.map(|(name, why)| (name.to_owned(), why)));
    }

    #[test]
    fn a_name_opens_a_virtual_interface_or_a_tunnel_and_closes_all_others() {
        let chosen = choose(machine(), &["docker0", "ppp0", "noarp0", "eth1"]).unwrap();
        assert_eq!(names(&chosen), ["docker0", "ppp0", "noarp0"]);
        assert_eq!(chosen.fit[1].mac(), None, "nobody is asked by ARP there");
        let why = |name: &str| chosen.skipped.iter().find(|skip| skip.name == name).unwrap();
        assert_eq!(why("eth0").why, Skip::NotNamed);
        assert!(matches!(why("eth1").why, Skip::Prefix(_)));
    }

    #[test]
    fn a_name_that_nothing_has_is_an_error_that_says_what_there_is() {
        let error = choose(machine(), &["eth0", "eht1"]).unwrap_err().to_string();
        assert!(error.starts_with("there is no interface `eht1`; there are lo, eth0, "), "{error}");
    }

    #[test]
    fn the_source_is_our_address_in_the_targets_network_only() {
        let interface = interface([10, 77, 0, 1], 24);
        let source = |target| interface.source_for(target);
        assert_eq!(source(Ipv4Addr::new(10, 77, 0, 9)), Some(Ipv4Addr::new(10, 77, 0, 1)));
        for last in [0, 1, 255] {
            assert_eq!(source(Ipv4Addr::new(10, 77, 0, last)), None);
        }
        assert_eq!(source(Ipv4Addr::new(10, 77, 1, 9)), None);
    }
}

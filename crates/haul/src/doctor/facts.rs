//! What is found out about this machine. What it means is for others to judge.

use super::Side;
use super::firewall::Firewall;
use super::system::{Holder, Neighbour, Rights, System};
use crate::helper::Linux;
use crate::helper::control::{self, Status};
use crate::helper::surroundings::gateways;
use crate::home::files;
use crate::{Error, Home};
use haul_link::{Interface, PORT, PORTS, hears_itself, interfaces};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the own voice may take to come back.
const PATIENCE: Duration = Duration::from_millis(150);

/// An address that nobody has (RFC 5737): the way to it is the way to the internet.
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// All that is known.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) side: Side,
    pub(crate) links: Vec<Link>,
    /// What this program may do, if the system tells.
    pub(crate) rights: Option<Rights>,
    /// The command that gives it all the rights that it can use.
    pub(crate) entitle: Option<String>,
    /// The interface by which the internet is reached.
    pub(crate) internet: Option<String>,
    pub(crate) neighbours: Vec<Neighbour>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) firewall: Firewall,
    pub(crate) ports: Ports,
    /// By this machine's clock.
    pub(crate) unix_seconds: u64,
    /// Where files are saved, if that matters.
    pub(crate) disk: Option<Folder>,
    /// Where haul keeps its state, and why its key there cannot be used.
    pub(crate) state: (PathBuf, Option<String>),
    /// The helper that runs here, or why none does; a leader has no need for one.
    pub(crate) helper: Option<Result<Status, Error>>,
}

/// An interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Its addresses with their prefixes: `10.77.0.1/24`.
    pub(crate) networks: Vec<String>,
    /// Whether everybody on it is asked.
    pub(crate) asked: bool,
    /// Why no machines are looked for on it; `None` if they are.
    pub(crate) not_scanned: Option<String>,
    pub(crate) is_tunnel: bool,
    /// The most bytes that a packet has, if the system tells.
    pub(crate) mtu: Option<u32>,
    /// Whether this machine hears what it says to the group there.
    pub(crate) hears_itself: Option<bool>,
    /// The interface by which its own network is reached, if that is another one.
    pub(crate) led_away: Option<String>,
}

/// Which of haul's ports others have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ports {
    /// That for asks.
    pub(crate) udp: Option<Holder>,
    /// Those that leaders listen on.
    pub(crate) tcp: Vec<Holder>,
}

/// A folder that something is written to.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// How many bytes there is room for, if the system tells.
    pub(crate) free: Option<u64>,
    /// Why nothing can be written there.
    pub(crate) refusal: Option<String>,
}

impl Facts {
    /// Asks the machine, and a leader's folder for files unless there is none.
    pub(crate) fn gather(side: Side, home: &Home, folder: Option<&Path>) -> Self {
        let system = System::here();
        let links = links(&system);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let key = home.identity().err().map(|error| error.because().to_owned());
        Self {
            side,
            rights: system.rights(),
            entitle: entitle(),
            internet: way_to(FAR).and_then(|source| owner(source, &interfaces_here())),
            neighbours: system.neighbours(),
            gateways: gateways(),
            firewall: Firewall::of(&system),
            ports: ports(&system),
            unix_seconds: now.map_or(0, |since| since.as_secs()),
            disk: folder.map(Folder::at),
            state: (home.folder().to_owned(), key),
            helper: (side == Side::Helper).then(|| control::tell(home, control::Command::Status)),
            links,
        }
    }

    /// What holds where the user named interfaces: helpers are looked for on these, and on all that
    /// fit if there are none.
    pub(crate) fn on(mut self, names: &[String]) -> Self {
        if !names.is_empty() {
            self.links.iter_mut().for_each(|link| link.asked = names.contains(&link.name));
        }
        self
    }

    /// The interfaces on which helpers are looked for.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.asked)
    }
}

impl Folder {
    fn at(path: &Path) -> Self {
        let free = rustix::fs::statvfs(path).ok();
        Self {
            path: path.to_owned(),
            free: free.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
            refusal: write_to(path).err().map(|error| error.to_string()),
        }
    }
}

/// Makes an empty file and removes it.
fn write_to(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".haul-doctor-{}", process::id()));
    files::create(&file, b"")?;
    fs::remove_file(file)
}

/// Every interface, the best first.
fn links(system: &System) -> Vec<Link> {
    let (addresses, machine) = (interfaces_here(), Linux::here());
    let link = |(name, not_scanned): (String, Option<String>)| {
        let own: Vec<_> = addresses.iter().filter(|one| is_on(one, &name)).collect();
        let asked = own.iter().copied().find(|interface| interface.is_fitting());
        Link {
            networks: own.iter().map(|one| format!("{}/{}", one.address, one.prefix)).collect(),
            asked: asked.is_some(),
            not_scanned,
            is_tunnel: machine.is_vpn(&name),
            mtu: system.mtu(&name),
            hears_itself: asked.and_then(hears),
            led_away: asked.and_then(|interface| led_away(interface, &addresses)),
            name,
        }
    };
    scanned(&addresses).into_iter().map(link).collect()
}

fn interfaces_here() -> Vec<Interface> {
    interfaces().unwrap_or_default()
}

/// Whether an address is the interface's; some have a label such as `eth0:1`.
fn is_on(address: &Interface, name: &str) -> bool {
    address.name.split(':').next() == Some(name)
}

/// The names of all interfaces, and why they are not scanned.
#[cfg(feature = "scan")]
fn scanned(addresses: &[Interface]) -> Vec<(String, Option<String>)> {
    let Ok(found) = haul_scan::interfaces(&[]) else { return named(addresses) };
    let fit = found.fit.iter().map(|interface| (interface.name().to_owned(), None));
    let skipped = found.skipped.into_iter().map(|skip| (skip.name, Some(skip.why.to_string())));
    fit.chain(skipped).collect()
}

#[cfg(not(feature = "scan"))]
fn scanned(addresses: &[Interface]) -> Vec<(String, Option<String>)> {
    named(addresses)
}

#[cfg(feature = "scan")]
fn entitle() -> Option<String> {
    haul_scan::remedy()
}

#[cfg(not(feature = "scan"))]
const fn entitle() -> Option<String> {
    None
}

/// The names of those with addresses, none of which is scanned.
fn named(addresses: &[Interface]) -> Vec<(String, Option<String>)> {
    let names = addresses.iter().filter_map(|address| address.name.split(':').next());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.dedup();
    let why = || Some("this system can't be scanned from".to_owned());
    names.into_iter().map(|name| (name, why())).collect()
}

/// Whether the own voice is heard: on the port of asks, or another one while that is taken.
fn hears(interface: &Interface) -> Option<bool> {
    let on = |port| hears_itself(interface, port, PATIENCE);
    match on(PORT) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => on(0).ok(),
        heard => heard.ok(),
    }
}

/// The other interface that would carry what is for this one's network.
fn led_away(interface: &Interface, all: &[Interface]) -> Option<String> {
    let neighbour = |address: &Ipv4Addr| *address != interface.address;
    let network = interface.address.to_bits() & !(u32::MAX.checked_shr(interface.prefix.into())?);
    let neighbour =
        [1, 2].map(|host| Ipv4Addr::from_bits(network | host)).into_iter().find(neighbour);
    let source = way_to(neighbour?).filter(|source| *source != interface.address)?;
    owner(source, all).filter(|name| !is_on(interface, name))
}

/// The address that a packet to `target` would be sent from; connecting a UDP socket asks the
/// kernel for the way and sends nothing.
fn way_to(target: Ipv4Addr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(source) => Some(source),
        IpAddr::V6(_) => None,
    }
}

/// The interface that has an address.
fn owner(address: Ipv4Addr, all: &[Interface]) -> Option<String> {
    let interface = all.iter().find(|interface| interface.address == address)?;
    interface.name.split(':').next().map(str::to_owned)
}

fn ports(system: &System) -> Ports {
    let any = Ipv4Addr::UNSPECIFIED;
    let holder = |holders: Vec<Holder>, port| {
        holders.into_iter().next().unwrap_or(Holder { port, program: None })
    };
    let udp = UdpSocket::bind((any, PORT)).is_err();
    let taken = PORTS.filter(|port| TcpListener::bind((any, *port)).is_err());
    Ports {
        udp: udp.then(|| holder(system.udp_holders(&[PORT]), PORT)),
        tcp: taken.map(|port| holder(system.tcp_holders(&[port]), port)).collect(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A machine on which all is well.
    pub(crate) fn facts(side: Side) -> Facts {
        Facts {
            side,
            links: vec![link("lan0", true)],
            rights: Some(Rights { raw: true, echo: true }),
            entitle: Some("sudo setcap cap_net_raw+ep /usr/bin/leader".into()),
            internet: Some("lan0".into()),
            neighbours: Vec::new(),
            gateways: Vec::new(),
            firewall: Firewall {
                ruleset: Some(r#"{"nftables":[]}"#.into()),
                ..Firewall::default()
            },
            ports: Ports::default(),
            unix_seconds: 1_800_000_000,
            disk: Some(Folder { path: ".".into(), free: Some(8 << 30), refusal: None }),
            state: ("/home/asha/.local/share/haul".into(), None),
            helper: None,
        }
    }

    /// An interface, and whether helpers are looked for there.
    pub(crate) fn link(name: &str, asked: bool) -> Link {
        Link {
            name: name.into(),
            networks: vec!["10.77.0.1/24".into()],
            asked,
            mtu: Some(1500),
            hears_itself: asked.then_some(true),
            ..Link::default()
        }
    }

    #[test]
    fn a_folder_tells_its_room_and_whether_it_takes_files() {
        let folder = tempfile::tempdir().unwrap();
        let fit = Folder::at(folder.path());
        assert!(fit.refusal.is_none() && fit.free.is_some_and(|free| free > 0));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left there");
        assert!(Folder::at(&folder.path().join("none")).refusal.is_some());
    }

    #[test]
    fn a_network_of_this_machine_alone_is_led_nowhere_else() {
        let loopback = Interface {
            name: "lo".into(),
            address: Ipv4Addr::LOCALHOST,
            prefix: 8,
            point_to_point: false,
        };
        assert_eq!(led_away(&loopback, std::slice::from_ref(&loopback)), None);
    }
}

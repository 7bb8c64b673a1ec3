//! Helpers that announce themselves, and leaders that hear it: DNS-SD (RFC 6763) over multicast DNS
//! (RFC 6762), service `_haul._udp.local`, so that other programs see haul's helpers too.
//!
//! An announcement tells the machine's name, its addresses on the networks that are announced to,
//! the port where asks are heard, and `v=1`: neither who owns the machine nor its key. What is heard
//! are the words of strangers, and good for nothing but to be asked: only addresses of the own
//! networks count, no port of the system's own services, and so many machines at most.

use crate::name::safe_name;
use crate::{Interface, LinkError, interfaces, random};
use mdns_sd::{
    IfKind, IfPredicate, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo,
};
use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use tracing::debug;

/// The service's type and domain.
const SERVICE: &str = "_haul._udp.local.";

/// The version of what is announced, which is that of the ask.
const VERSION: &str = "1";

/// The most octets of the machine's name in an announcement: a label has 63, of which some are left
/// for a number where two machines have one name.
const NAME_MOST: usize = 48;

/// How many machines a browser tells of at most, and how many addresses of one.
const MOST: usize = 1024;
const MOST_OF_ONE: usize = 4;

/// The first port that is not kept for the system's own services (RFC 6335 §6).
const FIRST_PORT: u16 = 1024;

/// How long a withdrawal may take to be sent.
const WITHDRAWAL: Duration = Duration::from_millis(300);

/// A helper's word to its networks that it is there; dropping it takes the word back.
///
/// A thread of its own answers whoever looks for helpers, also on networks that come later.
pub struct Announcement {
    daemon: ServiceDaemon,
}

impl Announcement {
    /// Announces on every interface that `fits` that `machine` hears asks on `port`.
    pub fn open(machine: &str, port: u16, fits: &Fits) -> Result<Self, LinkError> {
        let open = || {
            let announcement = Self { daemon: daemon(fits)? };
            // The system's own mDNS may have its addresses under the machine's name; two that
            // announce different ones under one name would take it from each other.
            let host = format!("haul-{:08x}.local.", u32::from_be_bytes(random()));
            let text = [("v", VERSION)];
            let service =
                ServiceInfo::new(SERVICE, &instance(machine), &host, "", port, &text[..])?;
            announcement.daemon.register(service.enable_addr_auto())?;
            Ok(announcement)
        };
        open().map_err(failed("announcing this helper by DNS-SD"))
    }
}

impl Drop for Announcement {
    /// Waits until the word is taken back, as the program may be about to end.
    fn drop(&mut self) {
        let withdrawn = self.daemon.shutdown().map(|done| done.recv_timeout(WITHDRAWAL));
        if !matches!(withdrawn, Ok(Ok(_))) {
            debug!("the announcement was not taken back");
        }
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").finish_non_exhaustive()
    }
}

/// Which interfaces are used; those of networks that come later are asked about then.
pub type Fits = Arc<dyn Fn(&Interface) -> bool + Send + Sync>;

/// Hears helpers that announce themselves.
pub struct Browser {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    fits: Fits,
    told: BTreeSet<SocketAddr>,
    next: VecDeque<SocketAddr>,
}

impl Browser {
    /// Looks for helpers on every interface that `fits`, now and as long as it lives.
    pub fn open(fits: Fits) -> Result<Self, LinkError> {
        let open = || {
            let daemon = daemon(&fits)?;
            let events = daemon.browse(SERVICE)?;
            Ok((daemon, events))
        };
        let (daemon, events) = open().map_err(failed("looking for helpers by DNS-SD"))?;
        Ok(Self { daemon, events, fits, told: BTreeSet::new(), next: VecDeque::new() })
    }

    /// Where the next machine hears asks, by its own word; every place once, and 1024 at most.
    /// `None` if nothing more can be heard. Cancel safe.
    pub async fn next(&mut self) -> Option<SocketAddr> {
        loop {
            if let Some(machine) = self.next.pop_front() {
                return Some(machine);
            }
            if let ServiceEvent::ServiceResolved(service) = self.events.recv_async().await.ok()? {
                self.hear(&service);
            }
        }
    }

    fn hear(&mut self, service: &ResolvedService) {
        let networks = interfaces().unwrap_or_default();
        let networks: Vec<_> =
            networks.into_iter().filter(|network| (self.fits)(network)).collect();
        let said = Said {
            version: service.get_property_val_str("v"),
            port: service.get_port(),
            addresses: service.get_addresses_v4().into_iter().collect(),
        };
        for machine in said.machines(&networks) {
            if self.told.len() < MOST && self.told.insert(machine) {
                self.next.push_back(machine);
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It says nothing to anybody, so nobody waits for it.
        let _ = self.daemon.shutdown();
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("told", &self.told).finish_non_exhaustive()
    }
}

/// What somebody announced.
pub(crate) struct Said<'a> {
    pub(crate) version: Option<&'a str>,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<Ipv4Addr>,
}

impl Said<'_> {
    /// What of it is worth asking from these networks.
    pub(crate) fn machines(mut self, networks: &[Interface]) -> Vec<SocketAddr> {
        if self.version != Some(VERSION) || self.port < FIRST_PORT {
            return Vec::new();
        }
        self.addresses.sort_unstable();
        let near =
            |address: &Ipv4Addr| networks.iter().any(|network| is_machine(network, *address));
        let near = self.addresses.into_iter().filter(near).take(MOST_OF_ONE);
        near.map(|address| (address, self.port).into()).collect()
    }
}

/// Whether the address may be one machine's in this network.
fn is_machine(network: &Interface, address: Ipv4Addr) -> bool {
    network.has(address.into())
        && address != network.broadcast()
        && !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
}

/// A thread that speaks multicast DNS on the interfaces that fit, and on no others.
fn daemon(fits: &Fits) -> mdns_sd::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new()?;
    let fits = Arc::clone(fits);
    let fits = move |one: &if_addrs::Interface| Interface::of(one).is_some_and(|one| fits(&one));
    daemon.disable_interface(IfKind::All)?;
    daemon.enable_interface(IfKind::Predicate(IfPredicate::new(fits)))?;
    Ok(daemon)
}

/// The name under which a machine is announced.
fn instance(machine: &str) -> String {
    let name = safe_name(machine);
    let ends = |(at, c): &(usize, char)| at + c.len_utf8() <= NAME_MOST;
    name.char_indices().take_while(ends).map(|(_, c)| c).collect()
}

fn failed(doing: &'static str) -> impl Fn(mdns_sd::Error) -> LinkError {
    move |error| LinkError::Broken { doing, source: io::Error::other(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan() -> Interface {
        Interface {
            name: "eth0".into(),
            address: [10, 77, 0, 1].into(),
            prefix: 24,
            point_to_point: false,
        }
    }

    fn machines(version: Option<&str>, port: u16, addresses: &[[u8; 4]]) -> Vec<SocketAddr> {
        let addresses = addresses.iter().map(|&address| address.into()).collect();
        Said { version, port, addresses }.machines(&[lan()])
    }

    #[test]
    fn a_machine_of_the_own_network_is_told_at_the_port_that_it_says() {
        let told = machines(Some("1"), 4285, &[[10, 77, 0, 11]]);
        assert_eq!(told, ["10.77.0.11:4285".parse().unwrap()]);
    }

    #[test]
    fn no_announcement_makes_anybody_knock_elsewhere() {
        let far = [[10, 78, 0, 1], [8, 8, 8, 8], [127, 0, 0, 1], [224, 0, 0, 251], [0, 0, 0, 0]];
        assert_eq!(machines(Some("1"), 4285, &far), []);
        assert_eq!(machines(Some("1"), 4285, &[[10, 77, 0, 255]]), [], "everybody");
        for port in [0, 22, 53, 1023] {
            assert_eq!(machines(Some("1"), port, &[[10, 77, 0, 11]]), []);
        }
        for version in [None, Some(""), Some("2"), Some("1 ")] {
            assert_eq!(machines(version, 4285, &[[10, 77, 0, 11]]), []);
        }
    }

    #[test]
    fn one_announcement_names_four_addresses_at_most() {
        let many: Vec<_> = (1..200).map(|last| [10, 77, 0, last]).collect();
        assert_eq!(machines(Some("1"), 4285, &many).len(), MOST_OF_ONE);
    }

    #[test]
    fn a_name_fits_a_label_and_has_nothing_that_harms() {
        assert_eq!(instance("asha"), "asha");
        assert_eq!(instance("a\u{202e}\0b\u{1b}[31m"), "ab31m");
        assert_eq!(instance(""), "unnamed");
        assert!(instance(&"ž".repeat(99)).len() <= NAME_MOST);
    }
}

use crate::all_nodes::AllNodes;
use crate::arp::{self, Operation};
use crate::engine::{Evidence, Heard};
use crate::{Interface, Mac};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Ethernet frames to and from the network that an interface is on.
pub(crate) trait Link {
    /// Sends a frame.
    ///
    /// A full queue is [`io::ErrorKind::WouldBlock`]; after any other error the link is of no use.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// The next frame that came in, or `None` if none came within `timeout` or for a signal.
    fn recv(&mut self, timeout: Duration) -> io::Result<Option<&[u8]>>;

    /// How many frames were thrown away because they were not received in time.
    fn drops(&mut self) -> u64 {
        0
    }
}

/// A way of asking an address whether a machine is there.
pub(crate) trait Prober {
    /// Asks; errors as for [`Link::send`].
    fn probe(&mut self, target: Ipv4Addr) -> io::Result<()>;

    /// The next sign of life, or `None` if none came within `timeout` or something else did.
    fn hear(&mut self, timeout: Duration) -> io::Result<Option<Heard>>;

    /// For how long after the last probe an answer can come that the kernel asks for by itself: if
    /// nothing gets lost, and if something does.
    fn patience(&self) -> RangeInclusive<Duration> {
        Duration::ZERO..=Duration::ZERO
    }

    /// Machines that have answered by IPv6, each told once. It does not wait.
    fn on_ipv6(&mut self) -> Vec<(Ipv6Addr, Mac)> {
        Vec::new()
    }

    /// As [`Link::drops`].
    fn drops(&mut self) -> u64 {
        0
    }
}

/// Asks by ARP, and listens to who was asked by IPv6.
#[derive(Debug)]
pub(crate) struct ArpProber<L> {
    link: L,
    interface: Interface,
    mac: Mac,
    all_nodes: Option<AllNodes<L>>,
}

impl<L: Link> ArpProber<L> {
    pub(crate) const fn new(
        link: L,
        interface: Interface,
        mac: Mac,
        all_nodes: Option<AllNodes<L>>,
    ) -> Self {
        Self { link, interface, mac, all_nodes }
    }
}

impl<L: Link> Prober for ArpProber<L> {
    fn probe(&mut self, target: Ipv4Addr) -> io::Result<()> {
        let source = self.interface.source_for(target).ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.link.send(&arp::request(self.mac, source, target))
    }

    fn hear(&mut self, timeout: Duration) -> io::Result<Option<Heard>> {
        let packet = self.link.recv(timeout)?.and_then(arp::decode);
        let of_others = packet.filter(|packet| packet.sender_mac != self.mac);
        Ok(of_others.map(|packet| heard(&self.interface, packet)))
    }

    fn on_ipv6(&mut self) -> Vec<(Ipv6Addr, Mac)> {
        self.all_nodes.as_mut().map(AllNodes::answers).unwrap_or_default()
    }

    fn drops(&mut self) -> u64 {
        self.link.drops()
    }
}

/// Whoever sends ARP is alive; a reply to us also tells how long it took.
fn heard(interface: &Interface, packet: arp::Packet) -> Heard {
    let arp::Packet { operation, sender_mac: mac, sender: address, target } = packet;
    let is_to_us = interface.source_for(address) == Some(target);
    let evidence = match operation {
        Operation::Reply if is_to_us => Evidence::Answer,
        Operation::Reply | Operation::Request => Evidence::Chatter,
    };
    Heard { address, mac: Some(mac), evidence }
}

use super::neighbours::Neighbours;
use super::netlink::{Message, Neighbour, State};
use crate::Interface;
use crate::engine::{Evidence, Heard};
use crate::link::Prober;
use rustix::io::Errno;
use rustix::net::{SendFlags, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Where the datagrams go: the port of a service that throws them away (RFC 863).
const DISCARD: u16 = 9;

/// How many datagrams are sent from one socket: those that wait for an answer to ARP fill its
/// buffer, which by default has room for about 277.
const MOST_PER_SOCKET: u32 = 200;

/// How long ago a machine may have been heard for the neighbour table's word to do.
const RECENT: Duration = Duration::from_secs(300);

/// For how long the second of the ARP requests that a datagram makes the kernel send can still be
/// answered.
const REPEAT: Duration = Duration::from_millis(1200);
/// For how long the ARP request can be answered that the kernel sends to an entry of old, five
/// seconds after a datagram (`delay_first_probe_time` of `arp(7)`).
const LOOK_AFTER: Duration = Duration::from_millis(6200);

/// The kernel tells all that is in its table at once; after this time it does not.
const TELLING: Duration = Duration::from_secs(1);

/// Finds machines without any privilege: an empty datagram to each address makes the kernel ask by
/// ARP who has it, and the neighbour table tells who answered.
///
/// An entry of old is no sign of life by itself, but the kernel looks after it in time.
#[derive(Debug)]
pub(super) struct Sweep {
    interface: Interface,
    neighbours: Neighbours,
    /// Those that were in the table from the start.
    known: VecDeque<Heard>,
    /// Those that were too, but have not been heard for long.
    doubtful: BTreeSet<Ipv4Addr>,
    /// One per source address and so many datagrams; all stay open, as closing one throws away what
    /// waits in it.
    sockets: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    socket: Socket,
    address: Ipv4Addr,
    sent: u32,
}

impl Sweep {
    pub(super) fn open(interface: &Interface) -> io::Result<Self> {
        let interface = interface.clone();
        let neighbours = Neighbours::open()?;
        let (known, doubtful, sockets) = (VecDeque::new(), BTreeSet::new(), Vec::new());
        let mut sweep = Self { interface, neighbours, known, doubtful, sockets };
        sweep.read_table()?;
        Ok(sweep)
    }

    /// Reads the table before the datagrams change the ages in it.
    fn read_table(&mut self) -> io::Result<()> {
        let began = Instant::now();
        while let Some(left) = TELLING.checked_sub(began.elapsed()) {
            match self.neighbours.next(left)? {
                Some(Message::Neighbour(neighbour)) => self.recall(neighbour),
                Some(Message::Done) => break,
                None => {}
            }
        }
        Ok(())
    }

    fn recall(&mut self, neighbour: Neighbour) {
        let Some(heard) = self.heard(neighbour, Evidence::Record) else { return };
        if neighbour.age <= RECENT {
            self.known.push_back(heard);
        } else {
            self.doubtful.insert(neighbour.address);
        }
    }

    fn heard(&self, neighbour: Neighbour, evidence: Evidence) -> Option<Heard> {
        let Neighbour { interface, address, mac, .. } = neighbour;
        (interface == self.interface.index()).then_some(Heard { address, mac: Some(mac), evidence })
    }

    /// A socket to send one more datagram from.
    fn source(&mut self, address: Ipv4Addr) -> io::Result<&Socket> {
        let usable = |source: &Source| source.address == address && source.sent < MOST_PER_SOCKET;
        let place = if let Some(place) = self.sockets.iter().rposition(usable) {
            place
        } else {
            self.sockets.push(Source::open(&self.interface, address)?);
            self.sockets.len() - 1
        };
        let source = &mut self.sockets[place];
        source.sent += 1;
        Ok(&source.socket)
    }
}

impl Prober for Sweep {
    fn probe(&mut self, target: Ipv4Addr) -> io::Result<()> {
        let address = self.interface.source_for(target).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = self.source(address)?;
        let to = SocketAddrV4::new(target, DISCARD);
        match sendto(socket, &[], SendFlags::DONTROUTE | SendFlags::DONTWAIT, &to) {
            Ok(_) => Ok(()),
            Err(Errno::NOBUFS) => Err(io::ErrorKind::WouldBlock.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn hear(&mut self, timeout: Duration) -> io::Result<Option<Heard>> {
        if let Some(known) = self.known.pop_front() {
            return Ok(Some(known));
        }
        match self.neighbours.next(timeout)? {
            Some(Message::Neighbour(neighbour)) if neighbour.state == State::Reachable => {
                // How long the kernel waits before it looks after a doubtful one is no round trip.
                let is_doubtful = self.doubtful.contains(&neighbour.address);
                let evidence = if is_doubtful { Evidence::Chatter } else { Evidence::Answer };
                Ok(self.heard(neighbour, evidence))
            }
            Some(Message::Neighbour(_) | Message::Done) | None => Ok(None),
        }
    }

    fn patience(&self) -> RangeInclusive<Duration> {
        if self.doubtful.is_empty() { Duration::ZERO..=REPEAT } else { LOOK_AFTER..=LOOK_AFTER }
    }
}

impl Source {
    fn open(interface: &Interface, address: Ipv4Addr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        if let Err(error) = socket.bind_device(Some(interface.name().as_bytes())) {
            tracing::debug!(%error, "the sweep relies on routes to stay on its interface");
        }
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
        Ok(Self { socket, address, sent: 0 })
    }
}

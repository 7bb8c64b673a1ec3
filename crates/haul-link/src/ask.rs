//! The two ends of the UDP ask.

use crate::{Interface, LinkError};
use haul_wire::Ask;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;
use tracing::debug;

/// The port for asks, and the first for leaders: H-A-U-L on a telephone's keys.
pub const PORT: u16 = 4285;

/// The TCP ports that a leader listens on, and the only ones that a helper dials on an ask's word.
pub const PORTS: RangeInclusive<u16> = 4285..=4300;

/// The multicast group of asks, of the organisation-local scope (RFC 2365).
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 42, 85);

/// When an ask is repeated, counted from the first: networks drop group frames without a word.
pub const REPEATS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(60),
    Duration::from_millis(100),
];

/// Room for a thousand answers or asks that come at the same moment, in bytes.
const BUFFER: usize = 4 << 20;

/// Sends asks.
#[derive(Debug)]
pub struct Asker {
    outlets: Vec<Outlet>,
    unicast: UdpSocket,
    port: u16,
}

#[derive(Debug)]
struct Outlet {
    socket: UdpSocket,
    interface: Interface,
}

impl Asker {
    /// Opens a socket on each of `interfaces`; one that refuses is left out with a word in the log.
    /// Asks go to `port`.
    pub fn open(interfaces: &[Interface], port: u16) -> Result<Self, LinkError> {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let unicast = unicast(any).map_err(port_error(any))?;
        let mut asker = Self { outlets: Vec::new(), unicast, port };
        asker.refresh(interfaces);
        Ok(asker)
    }

    /// Asks on these interfaces from now on: opens the new ones and leaves those that are gone.
    /// Says whether any is new.
    pub fn refresh(&mut self, interfaces: &[Interface]) -> bool {
        self.outlets.retain(|outlet| interfaces.contains(&outlet.interface));
        let before = self.outlets.len();
        for interface in interfaces {
            if self.outlets.iter().any(|outlet| outlet.interface == *interface) {
                continue;
            }
            match outlet(interface) {
                Ok(socket) => self.outlets.push(Outlet { socket, interface: interface.clone() }),
                Err(error) => debug!(interface = interface.name, %error, "no asks here"),
            }
        }
        self.outlets.len() > before
    }

    /// Sends the ask once to everybody on every interface. Repeats take turns between broadcast,
    /// multicast and the network's own broadcast address, as networks differ in what they drop.
    pub fn ask_all(&self, ask: &Ask, repeat: usize) {
        for Outlet { socket, interface } in &self.outlets {
            let everybody = match repeat % 3 {
                0 => Ipv4Addr::BROADCAST,
                1 => GROUP,
                _ => interface.broadcast(),
            };
            if let Err(error) = socket.send_to(&ask.to_bytes(), (everybody, self.port)) {
                debug!(interface = interface.name, %error, "an ask was not sent");
            }
        }
    }

    /// Sends the ask to one machine.
    pub fn ask_one(&self, ask: &Ask, to: SocketAddr) {
        if let Err(error) = self.unicast.send_to(&ask.to_bytes(), to) {
            debug!(%to, %error, "an ask was not sent");
        }
    }

    /// On how many interfaces asks go out.
    pub fn reach(&self) -> usize {
        self.outlets.len()
    }
}

/// An ask that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The ask.
    pub ask: Ask,
    /// The machine that sent it: the only one that is dialled for it.
    pub from: IpAddr,
}

/// Answers are spread over so much time for each address of the network.
const SPREAD: Duration = Duration::from_micros(40);

/// The longest that an answer is put off.
const LONGEST_SPREAD: Duration = Duration::from_millis(40);

impl Heard {
    /// How long an answer may be put off at most, so that the machines of a network do not all
    /// answer at the same moment: 10 ms in a network of 256 addresses, and 40 ms in one of 1,000
    /// and more. How many will answer nobody knows, but how many can. A machine that was asked from
    /// elsewhere was asked by address, and need not wait.
    pub fn spread(&self, networks: &[Interface]) -> Duration {
        let sizes = networks.iter().filter(|network| network.has(self.from)).map(Interface::size);
        SPREAD.saturating_mul(sizes.max().unwrap_or(0)).min(LONGEST_SPREAD)
    }
}

/// Hears asks.
#[derive(Debug)]
pub struct Listener {
    socket: tokio::net::UdpSocket,
    joined: Vec<Interface>,
}

impl Listener {
    /// Listens on `address` and joins the group on each of `interfaces`. Must be called within a
    /// tokio runtime.
    pub fn open(address: SocketAddrV4, interfaces: &[Interface]) -> Result<Self, LinkError> {
        let socket = listening(address).and_then(tokio::net::UdpSocket::from_std);
        let mut listener =
            Self { socket: socket.map_err(port_error(address))?, joined: Vec::new() };
        listener.refresh(interfaces);
        Ok(listener)
    }

    /// Is in the group on these interfaces from now on: joins it on the new ones and leaves it on
    /// those that are gone. Says whether any is new.
    pub fn refresh(&mut self, interfaces: &[Interface]) -> bool {
        let is_gone = |joined: &Interface| !interfaces.contains(joined);
        for gone in self.joined.iter().filter(|joined| is_gone(joined)) {
            // What is gone need not be left; but an interface that only has another address is
            // still in the group by the old one.
            let _ = self.socket.leave_multicast_v4(GROUP, gone.address);
        }
        self.joined.retain(|joined| !is_gone(joined));
        let before = self.joined.len();
        for interface in interfaces {
            if !self.joined.contains(interface) && self.join(interface) {
                self.joined.push(interface.clone());
            }
        }
        self.joined.len() > before
    }

    fn join(&self, interface: &Interface) -> bool {
        match self.socket.join_multicast_v4(GROUP, interface.address) {
            // It is joined already by another address of the same interface.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => true,
            Err(error) => {
                debug!(interface = interface.name, %error, "the group could not be joined");
                false
            }
            Ok(()) => true,
        }
    }

    /// The next datagram that is an ask; everything else is dropped without an answer. Cancel safe.
    pub async fn next(&self) -> io::Result<Heard> {
        let mut datagram = [0; Ask::LEN + 1];
        loop {
            let (len, from) = self.socket.recv_from(&mut datagram).await?;
            if let Ok(ask) = Ask::parse(&datagram[..len]) {
                return Ok(Heard { ask, from: from.ip() });
            }
        }
    }

    /// The address that is listened on.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

fn port_error(address: SocketAddrV4) -> impl Fn(io::Error) -> LinkError {
    move |source| LinkError::Port { address: address.into(), source }
}

fn nonblocking(socket: UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn unicast(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    // Datagrams wait here while the addresses of the machines on the link are looked up.
    let _ = socket2::SockRef::from(&socket).set_send_buffer_size(BUFFER);
    nonblocking(socket)
}

/// A socket whose group datagrams leave by this interface and no other.
fn outlet(interface: &Interface) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_broadcast(true)?;
    socket.set_multicast_if_v4(&interface.address)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.bind(&SocketAddrV4::new(interface.address, 0).into())?;
    nonblocking(socket.into())
}

fn listening(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // A smaller buffer hears fewer asks at once, which is no reason to hear none.
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.bind(&address.into())?;
    nonblocking(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_wire::SizeClass;

    fn ask() -> Ask {
        let (size, group, tag) = (SizeClass::Unknown, [0; 8], [0; 16]);
        Ask { id: [1; 16], leader: [2; 32], port: 4285, size, wanted: 1, expires: 30, group, tag }
    }

    fn network(prefix: u8) -> Interface {
        Interface {
            name: "lan0".into(),
            address: [10, 0, 0, 2].into(),
            prefix,
            point_to_point: false,
        }
    }

    #[test]
    fn answers_are_spread_by_how_many_there_can_be() {
        let heard = |last| Heard { ask: ask(), from: [10, 0, 0, last].into() };
        let spread = |prefix| heard(9).spread(&[network(prefix)]).as_millis();
        assert_eq!([30, 24, 23, 16, 0].map(spread), [0, 10, 20, 40, 40]);
        let far = Heard { ask: ask(), from: [192, 168, 0, 9].into() };
        assert_eq!(far.spread(&[network(16)]), Duration::ZERO, "asked by address");
    }

    #[tokio::test]
    async fn interfaces_come_and_go_and_asks_are_heard_all_the_while() {
        let loopback = |last| Interface {
            name: "lo".into(),
            address: [127, 0, 0, last].into(),
            prefix: 8,
            point_to_point: false,
        };
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let mut listener = Listener::open(any, &[]).unwrap();
        let at = listener.address().unwrap();
        let mut asker = Asker::open(&[loopback(1)], at.port()).unwrap();
        assert!(!asker.refresh(&[loopback(1)]), "nothing has changed");
        assert!(asker.refresh(&[loopback(2), loopback(3)]));
        assert_eq!(asker.reach(), 2);
        assert!(!asker.refresh(&[loopback(3)]));
        listener.refresh(&[loopback(1), loopback(2)]);
        assert!(!listener.refresh(&[loopback(2)]));
        asker.ask_one(&ask(), at);
        let heard = listener.next().await.unwrap();
        assert_eq!((heard.ask, heard.from), (ask(), [127, 0, 0, 1].into()));
    }
}

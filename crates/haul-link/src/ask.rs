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
        let unicast = UdpSocket::bind(any).and_then(nonblocking).map_err(port_error(any))?;
        let outlets = interfaces.iter().filter_map(|interface| match outlet(interface) {
            Ok(socket) => Some(Outlet { socket, interface: interface.clone() }),
            Err(error) => {
                debug!(interface = interface.name, %error, "no asks on this interface");
                None
            }
        });
        Ok(Self { outlets: outlets.collect(), unicast, port })
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

/// Hears asks.
#[derive(Debug)]
pub struct Listener {
    socket: tokio::net::UdpSocket,
}

impl Listener {
    /// Listens on `address` and joins the group on each of `interfaces`. Must be called within a
    /// tokio runtime.
    pub fn open(address: SocketAddrV4, interfaces: &[Interface]) -> Result<Self, LinkError> {
        let socket = listening(address).map_err(port_error(address))?;
        for interface in interfaces {
            if let Err(error) = socket.join_multicast_v4(&GROUP, &interface.address) {
                debug!(interface = interface.name, %error, "the group could not be joined");
            }
        }
        let socket = tokio::net::UdpSocket::from_std(socket).map_err(port_error(address))?;
        Ok(Self { socket })
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

use super::is_readable;
use crate::engine::{Evidence, Heard};
use crate::icmp::{self, Token};
use crate::link::Prober;
use crate::{Interface, random};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketAddrV4, recvfrom, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Asks by ICMP echo.
#[derive(Debug)]
pub(super) struct Echo {
    socket: Socket,
    interface: Interface,
    received: Received,
    token: Token,
}

/// What a socket gives of a packet.
#[derive(Clone, Copy, Debug)]
enum Received {
    /// The whole packet, on a socket that takes `CAP_NET_RAW`.
    Packet,
    /// Its ICMP message, on one that takes a group within `net.ipv4.ping_group_range` (`icmp(7)`).
    Message,
}

impl Echo {
    pub(super) fn open(interface: &Interface) -> io::Result<Self> {
        let icmp = |kind| Socket::new(Domain::IPV4, kind, Some(Protocol::ICMPV4));
        let (socket, received) = match icmp(Type::RAW) {
            Ok(socket) => (socket, Received::Packet),
            Err(_) => (icmp(Type::DGRAM)?, Received::Message),
        };
        if let Err(error) = socket.bind_device(Some(interface.name().as_bytes())) {
            tracing::debug!(%error, "the echo relies on routes to stay on its interface");
        }
        let token = Token(random::seed().to_ne_bytes());
        Ok(Self { socket, interface: interface.clone(), received, token })
    }

    fn is_reply(&self, bytes: &[u8]) -> bool {
        let message = match self.received {
            Received::Packet => icmp::message(bytes),
            Received::Message => Some(bytes),
        };
        message.is_some_and(|message| icmp::is_reply(message, self.token))
    }
}

impl Prober for Echo {
    fn probe(&mut self, target: Ipv4Addr) -> io::Result<()> {
        if self.interface.source_for(target).is_none() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let to = SocketAddrV4::new(target, 0);
        let flags = SendFlags::DONTROUTE | SendFlags::DONTWAIT;
        match sendto(&self.socket, &icmp::request(self.token), flags, &to) {
            Err(Errno::NOBUFS | Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
            // The kernel tells of an earlier probe that nobody is there, and sends this one not.
            Ok(_) | Err(Errno::HOSTUNREACH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn hear(&mut self, timeout: Duration) -> io::Result<Option<Heard>> {
        if !is_readable(&self.socket, timeout)? {
            return Ok(None);
        }
        let mut packet = [0; 128];
        let (len, from) = match recvfrom(&self.socket, &mut packet, RecvFlags::DONTWAIT) {
            Ok((_, len, from)) => (len.min(packet.len()), from),
            Err(Errno::AGAIN | Errno::INTR | Errno::HOSTUNREACH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let from = from.and_then(|from| SocketAddrV4::try_from(from).ok());
        let of_ours = from.filter(|_| self.is_reply(&packet[..len]));
        let heard = |from: SocketAddrV4| Heard {
            address: *from.ip(),
            mac: None,
            evidence: Evidence::Answer,
        };
        Ok(of_ours.map(heard))
    }
}

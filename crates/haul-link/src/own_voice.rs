//! Whether this machine hears what it says to the group.

use crate::{GROUP, Interface, random};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// Whether a datagram that goes out to the group by this interface, to `port` or for 0 to any free
/// port, comes in again within `patience`.
///
/// It does not leave the machine, but passes all that stands between programs and the interface:
/// where it is not heard, a firewall takes it, or groups do not work there. Nobody else can have
/// opened the port.
pub fn hears_itself(interface: &Interface, port: u16, patience: Duration) -> io::Result<bool> {
    let ear = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    ear.join_multicast_v4(&GROUP, &interface.address)?;
    let port = ear.local_addr()?.port();
    // Shorter than an ask, so that a helper drops it.
    let word: [u8; 16] = random();
    mouth(interface)?.send_to(&word, (GROUP, port))?;
    let began = Instant::now();
    while let Some(left) = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        ear.set_read_timeout(Some(left))?;
        let mut heard = [0; 32];
        match ear.recv(&mut heard) {
            Ok(len) if heard[..len] == word => return Ok(true),
            Ok(_) => {}
            Err(error) if is_silence(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// A socket whose datagrams to the group leave by this interface and come back, and end there: a
/// datagram with no hop left does not leave the machine (ip(7)).
fn mouth(interface: &Interface) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&interface.address)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(0)?;
    socket.bind(&SocketAddrV4::new(interface.address, 0).into())?;
    Ok(socket.into())
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_said_to_be() {
        let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let loopback = Interface {
            name: "lo".into(),
            address: Ipv4Addr::LOCALHOST,
            prefix: 8,
            point_to_point: false,
        };
        let error = hears_itself(&loopback, port, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

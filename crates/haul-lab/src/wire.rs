//! Who is dialled from a machine, as seen on the wire.

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Every protocol, in the order of bytes that the kernel wants (packet(7)).
const ETH_P_ALL: i32 = 0x0003u16.to_be() as i32;

const ETHERNET_HEADER: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

/// Room for what comes while nobody looks, in bytes.
const BUFFER: usize = 16 << 20;

/// Watches every device of the machine on which it was started.
#[derive(Debug)]
pub struct Watch {
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to watch the machine of the thread that calls this; takes `CAP_NET_RAW`.
    pub fn start() -> io::Result<Self> {
        let mut socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ETH_P_ALL)))?;
        // A smaller buffer is enough for a machine that is not flooded.
        let _ = socket.set_recv_buffer_size(BUFFER);
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (dialled, stop) = <(Arc<Mutex<Vec<SocketAddr>>>, Arc<AtomicBool>)>::default();
        let (into, stopped) = (Arc::clone(&dialled), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut frame = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                let Ok(len) = socket.read(&mut frame) else { continue };
                let to = dialled_by(&frame[..len]);
                into.lock().unwrap_or_else(PoisonError::into_inner).extend(to);
            }
        });
        Ok(Self { dialled, stop, thread: Some(thread) })
    }

    /// Where every packet that wants to open a TCP connection went, in their order; repeats and
    /// both sides of a loopback device included.
    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It has nothing to say.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Where the frame wants to open a TCP connection to, if that is what it does.
fn dialled_by(frame: &[u8]) -> Option<SocketAddr> {
    let packet = frame.get(ETHERNET_HEADER..)?;
    let kind = u16::from_be_bytes(*frame.get(12..)?.first_chunk()?);
    let (to, segment): (IpAddr, &[u8]) = match kind {
        IPV4 if *packet.get(9)? == TCP => {
            let to: [u8; 4] = *packet.get(16..)?.first_chunk()?;
            let header = usize::from(packet[0] & 0x0f) * 4;
            (Ipv4Addr::from(to).into(), packet.get(header..)?)
        }
        IPV6 if *packet.get(6)? == TCP => {
            let to: [u8; 16] = *packet.get(24..)?.first_chunk()?;
            (Ipv6Addr::from(to).into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(*segment.get(2..)?.first_chunk()?);
    let (syn, ack) = (segment.get(13)? & 0x02 != 0, segment[13] & 0x10 != 0);
    (syn && !ack).then(|| (to, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u16, packet: &[&[u8]]) -> Vec<u8> {
        [[0; 12].as_slice(), &kind.to_be_bytes(), &packet.concat()].concat()
    }

    fn segment(flags: u8) -> [u8; 20] {
        let mut segment = [0; 20];
        segment[2..4].copy_from_slice(&80u16.to_be_bytes());
        segment[13] = flags;
        segment
    }

    #[test]
    fn only_the_first_packet_of_a_connection_dials() {
        let mut v4 = [0; 24];
        (v4[0], v4[9]) = (0x46, TCP);
        v4[16..20].copy_from_slice(&[10, 0, 0, 1]);
        let dials = |flags| dialled_by(&frame(IPV4, &[&v4, &segment(flags)]));
        assert_eq!(dials(0x02), Some("10.0.0.1:80".parse().unwrap()));
        assert_eq!((dials(0x12), dials(0x10)), (None, None));
        let mut v6 = [0; 40];
        (v6[6], v6[39]) = (TCP, 1);
        let dialled = dialled_by(&frame(IPV6, &[&v6, &segment(0xc2)]));
        assert_eq!(dialled, Some("[::1]:80".parse().unwrap()));
        assert_eq!(dialled_by(&[]), None);
        assert_eq!(dialled_by(&frame(IPV4, &[&v4])), None);
    }
}

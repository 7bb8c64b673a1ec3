//! The only place that names pnet.

use super::drops::Drops;
use super::is_readable;
use crate::link::Link;
use crate::{Interface, Mac};
use pnet_datalink::{
    Channel, ChannelType, Config, DataLinkReceiver, DataLinkSender, MacAddr, NetworkInterface,
};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use socket2::{SockFilter, Socket};
use std::io;
use std::net::IpAddr;
use std::os::fd::IntoRawFd;
use std::time::Duration;

/// Room for some thousand answers that come at once, where pnet's own socket has it for 256.
const BUFFER: usize = 4 << 20;

/// What a link carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    /// ARP for IPv4 over Ethernet.
    Arp,
    /// Answers to `ICMPv6` echoes.
    Echo6,
}

/// Lets in what is long enough and begins as ARP for IPv4 over Ethernet does (classic BPF): all
/// else would fill the buffer while a download runs.
const ARP: [SockFilter; 6] = [
    SockFilter::new(LOAD_HALF, 0, 0, 12),
    SockFilter::new(JUMP_IF_EQUAL, 0, 3, 0x0806),
    SockFilter::new(LOAD_WORD, 0, 0, 14),
    SockFilter::new(JUMP_IF_EQUAL, 0, 1, 0x0001_0800),
    SockFilter::new(RETURN, 0, 0, 64),
    SockFilter::new(RETURN, 0, 0, 0),
];
/// Lets in what begins as IPv6 with an `ICMPv6` echo reply and no header between them.
const ECHO_6: [SockFilter; 8] = [
    SockFilter::new(LOAD_HALF, 0, 0, 12),
    SockFilter::new(JUMP_IF_EQUAL, 0, 5, 0x86dd),
    SockFilter::new(LOAD_BYTE, 0, 0, 20),
    SockFilter::new(JUMP_IF_EQUAL, 0, 3, 58),
    SockFilter::new(LOAD_BYTE, 0, 0, 54),
    SockFilter::new(JUMP_IF_EQUAL, 0, 1, 129),
    SockFilter::new(RETURN, 0, 0, 128),
    SockFilter::new(RETURN, 0, 0, 0),
];
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Frames of one protocol through a packet socket of our own under pnet's channel.
pub(super) struct PnetLink {
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    /// The same socket, to wait on it to the microsecond: pnet rounds to milliseconds.
    socket: Socket,
    drops: Drops,
}

impl PnetLink {
    pub(super) fn open(interface: &Interface, protocol: Protocol) -> io::Result<Self> {
        let socket = open_socket(protocol.filter())?;
        let config = Config {
            // pnet binds the socket to this protocol and leaves its type as it is. So it does not
            // see what we send ourselves, and nothing else on its way through the kernel is copied.
            channel_type: ChannelType::Layer3(protocol.ethertype()),
            promiscuous: false,
            read_timeout: Some(Duration::ZERO),
            write_timeout: Some(Duration::ZERO),
            socket_fd: Some(socket.try_clone()?.into_raw_fd()),
            ..Config::default()
        };
        match pnet_datalink::channel(&named(interface), config)? {
            Channel::Ethernet(sender, receiver) => {
                Ok(Self { sender, receiver, socket, drops: Drops::default() })
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl Link for PnetLink {
    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let sent = self.sender.send_to(frame, None).unwrap_or_else(|| {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "pnet takes no frame this long"))
        });
        sent.map_err(|error| if is_full(&error) { io::ErrorKind::WouldBlock.into() } else { error })
    }

    fn recv(&mut self, timeout: Duration) -> io::Result<Option<&[u8]>> {
        if !is_readable(&self.socket, timeout)? {
            return Ok(None);
        }
        match self.receiver.next() {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if is_over(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn drops(&mut self) -> u64 {
        self.drops.read(&self.socket)
    }
}

impl Protocol {
    const fn ethertype(self) -> u16 {
        match self {
            Self::Arp => 0x0806,
            Self::Echo6 => 0x86dd,
        }
    }

    const fn filter(self) -> &'static [SockFilter] {
        match self {
            Self::Arp => &ARP,
            Self::Echo6 => &ECHO_6,
        }
    }
}

/// An interface of this machine as pnet shows it.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) mac: Option<Mac>,
    pub(super) addresses: Vec<(IpAddr, u8)>,
    /// As in `netdevice(7)`.
    pub(super) flags: u32,
}

pub(super) fn seen() -> Vec<Seen> {
    let interfaces = pnet_datalink::interfaces().into_iter();
    let seen = interfaces.map(|interface| Seen {
        mac: interface.mac.map(|mac| Mac::new(mac.octets())),
        addresses: interface.ips.iter().map(|ip| (ip.ip(), ip.prefix())).collect(),
        name: interface.name,
        index: interface.index,
        flags: interface.flags,
    });
    seen.collect()
}

/// A packet socket that nothing reaches before it is bound.
fn open_socket(filter: &[SockFilter]) -> io::Result<Socket> {
    let flags = SocketFlags::CLOEXEC;
    let socket = Socket::from(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?);
    socket.attach_filter(filter)?;
    // Past the administrator's limit goes CAP_NET_ADMIN only; up to it will do.
    let sized = set_socket_recv_buffer_size_force(&socket, BUFFER)
        .or_else(|_| set_socket_recv_buffer_size(&socket, BUFFER));
    if let Err(error) = sized {
        tracing::debug!(%error, "the packet socket keeps its small buffer");
    }
    Ok(socket)
}

/// All that pnet needs to know of an interface to bind a socket to it.
fn named(interface: &Interface) -> NetworkInterface {
    NetworkInterface {
        name: interface.name().to_owned(),
        description: String::new(),
        index: interface.index(),
        mac: interface.mac().map(|mac| MacAddr::from(mac.octets())),
        ips: Vec::new(),
        flags: 0,
    }
}

/// Whether a frame was not sent because a queue was full.
fn is_full(error: &io::Error) -> bool {
    let no_buffers = error.raw_os_error() == Some(libc::ENOBUFS);
    no_buffers || is_over(error)
}

/// Whether nothing happened within the time.
fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}

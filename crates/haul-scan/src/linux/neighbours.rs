use super::is_readable;
use super::netlink::{Message, dump_request, messages};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The group that is told of changes to the neighbour table (`RTMGRP_NEIGH`).
const CHANGES: u32 = 1 << 2;

/// Room for the changes that a sweep of 512 addresses makes.
const BUFFER: usize = 1 << 20;

/// The kernel's neighbour table: all that is in it, then every change. It takes no privilege.
#[derive(Debug)]
pub(super) struct Neighbours {
    socket: OwnedFd,
    /// Told and not passed on yet.
    told: VecDeque<Message>,
}

impl Neighbours {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        if let Err(error) = set_socket_recv_buffer_size(&socket, BUFFER) {
            tracing::debug!(%error, "the netlink socket keeps its small buffer");
        }
        bind(&socket, &SocketAddrNetlink::new(0, CHANGES))?;
        let neighbours = Self { socket, told: VecDeque::new() };
        neighbours.ask_for_all()?;
        Ok(neighbours)
    }

    /// The next thing that the kernel tells; `None` if that is nothing within `timeout`.
    pub(super) fn next(&mut self, timeout: Duration) -> io::Result<Option<Message>> {
        if self.told.is_empty() && is_readable(&self.socket, timeout)? {
            self.read()?;
        }
        Ok(self.told.pop_front())
    }

    fn ask_for_all(&self) -> io::Result<()> {
        send(&self.socket, &dump_request(), SendFlags::empty())?;
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        // The kernel fills no datagram beyond what its reader has room for, or 8 KiB.
        let mut datagram = [0; 16 << 10];
        match recv(&self.socket, &mut datagram, RecvFlags::empty()) {
            Ok((_, len)) => self.told.extend(messages(&datagram[..len.min(datagram.len())])),
            // Changes were lost for want of room; the whole table has them.
            Err(Errno::NOBUFS) => self.ask_for_all()?,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

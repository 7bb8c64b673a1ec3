#![expect(unsafe_code, reason = "no safe crate reads a packet socket's statistics")]

use std::os::fd::{AsFd, AsRawFd};

/// How many frames a packet socket had no room for.
#[derive(Debug, Default)]
pub(super) struct Drops(u64);

impl Drops {
    /// All since the socket was opened: the kernel counts from zero again at every read.
    pub(super) fn read(&mut self, socket: impl AsFd) -> u64 {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = u32::try_from(size_of::<libc::tpacket_stats>()).unwrap_or(0);
        // SAFETY: the socket stays open while it is borrowed, and the kernel writes no more than
        // `len` bytes to `statistics`, of which any are a valid value.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut len,
            )
        };
        if result == 0 {
            self.0 += u64::from(statistics.tp_drops);
        }
        self.0
    }
}

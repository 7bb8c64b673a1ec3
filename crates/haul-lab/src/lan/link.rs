use super::namespace::Namespace;
use crate::{Error, Rate};
use std::time::Duration;

/// How full the queue at a link's slow end may get, in bytes.
const QUEUE: u64 = 100_000;
/// How long a link may send at full speed after it was idle.
const BURST: Duration = Duration::from_millis(4);
/// The least burst in bytes; below about ten packets the kernel's timer would slow the link.
const LEAST_BURST: u64 = 16 << 10;

/// What a machine's way to the internet, or to the LAN's switch, carries, in bits on the wire.
///
/// A queue of 100 kB stands before its slow end, as in a home router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    down: Option<Rate>,
    up: Option<Rate>,
}

impl Link {
    /// As fast as the machine can copy.
    pub const UNSHAPED: Self = Self { down: None, up: None };

    /// The share of a link's rate that is left for the payload of TCP: 1448 bytes out of each
    /// Ethernet frame of 1514.
    pub const GOODPUT: f64 = 1448.0 / 1514.0;

    /// So many Mbit/s in both directions.
    pub const fn mbit(rate: u64) -> Self {
        Self::of(Rate::mbit(rate), Rate::mbit(rate))
    }

    /// A rate for each direction, seen from the machine; neither may be zero.
    pub const fn of(down: Rate, up: Rate) -> Self {
        Self { down: Some(down), up: Some(up) }
    }

    /// What the machine can download at, if that is shaped.
    pub const fn down(self) -> Option<Rate> {
        self.down
    }

    /// What the machine can upload at, if that is shaped.
    pub const fn up(self) -> Option<Rate> {
        self.up
    }
}

/// The end of a veth pair, whose sending can be shaped.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) device: &'a str,
}

impl End<'_> {
    /// Sends at this rate from now on; packets that wait go on waiting.
    pub(super) fn shape(self, rate: Option<Rate>) -> Result<(), Error> {
        let Some(rate) = rate else { return self.replace("handle 2: pfifo limit 1000") };
        let burst = rate.bytes_in(BURST).max(LEAST_BURST);
        let rate = rate.as_bytes_per_second();
        self.replace(&format!("handle 1: tbf rate {rate}bps burst {burst}b limit {QUEUE}b"))
    }

    /// Sends nothing from now on: no packet fits into a bucket of one byte.
    pub(super) fn stall(self) -> Result<(), Error> {
        self.replace(&format!("handle 1: tbf rate 8bit burst 1b limit {QUEUE}b"))
    }

    /// Replaces the queue, or changes it in place where the handle stays the same.
    fn replace(self, queue: &str) -> Result<(), Error> {
        self.namespace.tc(&format!("qdisc replace dev {} root {queue}", self.device))?;
        Ok(())
    }
}

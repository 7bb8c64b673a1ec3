use crate::Mac;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a scan has to tell, as soon as it knows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A machine is there; told once for each address.
    Up {
        /// Its address.
        address: IpAddr,
        /// Its hardware address, or that of a proxy that answers for it; `None` where the link has
        /// none or the way of finding shows none.
        mac: Option<Mac>,
        /// How it was found.
        via: Via,
        /// The time from the last probe to the answer; `None` if it was known or heard unasked.
        rtt: Option<Duration>,
        /// The interface that it is behind.
        interface: Arc<str>,
    },
    /// Several hardware addresses claim one address: two machines are set up alike, one machine has
    /// two plugs in this network, or somebody lies.
    Conflict {
        /// The address that they claim.
        address: IpAddr,
        /// All that have claimed it so far, the first first; four at most.
        macs: Vec<Mac>,
    },
    /// A better way was closed, so the scan goes on by another.
    Degraded {
        /// The way that was closed.
        from: Via,
        /// The way taken now; `None` if none was left and the scan ends.
        to: Option<Via>,
        /// What closed it, and what the other way can't do.
        why: String,
        /// A command that opens the better way, if there is one.
        remedy: Option<String>,
    },
    /// All has been asked, again where it seemed lost, and it has gone quiet: who has not answered
    /// is asleep or absent. Late answers are still heard.
    Settled(Stats),
    /// The end. Nothing follows.
    Done(Stats),
}

/// The ways of finding a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Via {
    /// It answered or sent ARP (RFC 826).
    Arp,
    /// It answered an ICMP echo (RFC 792), or one by IPv6 to all nodes (RFC 4443).
    Icmp,
    /// The kernel has it in its neighbour table, because of our datagram or from before.
    Neighbour,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arp => "arp",
            Self::Icmp => "icmp",
            Self::Neighbour => "neighbour",
        })
    }
}

/// The figures of a scan up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Addresses to look at.
    pub targets: usize,
    /// Addresses of the network that were not looked at, because they were too many.
    pub left_out: usize,
    /// Addresses at which a machine was found.
    pub found: usize,
    /// Probes sent: ARP requests, or datagrams that make the kernel send some.
    pub sent: u64,
    /// Signs of life heard from targets.
    pub received: u64,
    /// Those that told nothing new.
    pub duplicates: u64,
    /// Times when the kernel would not take a probe, because a queue was full.
    pub refused: u64,
    /// Frames that the kernel threw away because they were not read in time.
    pub kernel_drops: u64,
    /// How often a target that does not answer is asked.
    pub tries: u32,
    /// The estimated share of probes that get lost or whose answer does: 0 to 1.
    pub loss: f64,
    /// How many live machines are expected not to have been found because of that loss.
    pub expected_missed: f64,
    /// How often the rate was halved because a queue filled on the way.
    pub slowdowns: u32,
    /// The time since the start.
    pub elapsed: Duration,
}

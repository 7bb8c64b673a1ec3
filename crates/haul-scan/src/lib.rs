//! Live hosts on the local network by ARP, ICMP and the neighbour table.
//!
//! A [`scan`] looks at every address of an [`Interface`]'s own networks and tells of each live
//! machine as soon as it is heard; it never sends anything to an address outside them. With the
//! right to open packet sockets (`CAP_NET_RAW` on Linux) it asks by ARP, which every machine answers,
//! as fast as the network takes it and as often as the loss on it calls for. Without that right it
//! makes the kernel ask, and says what is lost by it and which command would help. Over links that
//! do without ARP it asks by ICMP echo. One question by IPv6 to all nodes finds machines that ARP
//! does not reach.
//!
//! ```no_run
//! use haul_scan::{Event, Policy, interfaces, scan};
//!
//! let interfaces = interfaces(&[])?;
//! for skipped in &interfaces.skipped {
//!     println!("not {}: {}", skipped.name, skipped.why);
//! }
//! for interface in &interfaces.fit {
//!     for event in scan(interface, Policy::default())? {
//!         if let Event::Up { address, mac, via, .. } = event {
//!             println!("{address} {mac:?} by {via}");
//!         }
//!     }
//! }
//! # Ok::<(), haul_scan::Error>(())
//! ```

mod all_nodes;
mod arp;
mod drive;
mod engine;
mod error;
mod event;
#[cfg(all(feature = "fuzzing", target_os = "linux"))]
pub mod fuzzing;
mod icmp;
mod interface;
mod link;
mod mac;
mod network;
mod policy;
mod random;
mod scan;
mod targets;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere as platform;
#[cfg(target_os = "linux")]
use linux as platform;

pub use error::Error;
pub use event::{Event, Stats, Via};
pub use interface::{Interface, Interfaces, Medium, Skip, Skipped};
pub use mac::Mac;
pub use network::Network;
pub use policy::{Linger, Pace, Policy};
pub use scan::{Canceller, Scan, scan, scan_only};

/// The command after which this program may scan by ARP; `None` where there is none.
pub fn remedy() -> Option<String> {
    platform::remedy()
}

/// The interfaces of this machine: those to scan, ranked, and why not the others.
///
/// If any are `named`, only those can be fit, and also those that are skipped for their name alone.
pub fn interfaces(named: &[&str]) -> Result<Interfaces, Error> {
    interface::choose(platform::devices()?, named)
}

//! Live machines on the networks of this one.

use crate::{Error, ErrorKind};
use haul_scan::{Event, Interface, Linger, Policy, Stats, Via, interfaces};
use serde::Serialize;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;

/// A live machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, as `02:00:5e:10:00:01`; nothing where the link has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// How it was found: `arp`, `icmp` or `neighbour`.
    pub how: &'static str,
    /// Milliseconds from the question to its answer; nothing if it was known or heard unasked.
    pub ms: Option<f64>,
    /// The interface that it is behind.
    pub interface: String,
}

/// What a scan tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// A machine is there.
    Host(Host),
    /// Something that a user may want to know: what was left out, what could not be done, and the
    /// command that would allow it.
    Note(String),
}

/// A scan under way. Dropping it ends it.
pub struct HostScan {
    findings: mpsc::UnboundedReceiver<Finding>,
}

/// For how long a scan listens that nobody waits for: as long as sleeping machines take.
const PATIENTLY: Linger = Linger::For(Duration::from_millis(600));

impl HostScan {
    /// Looks for machines on these interfaces, or on all that fit if none are named. Never asks an
    /// address outside their networks.
    pub fn start(names: &[String]) -> Result<Self, Error> {
        Self::with(names, Policy { linger: PATIENTLY, ..Policy::default() })
    }

    /// The same under a policy of the caller's.
    pub fn with(names: &[String], policy: Policy) -> Result<Self, Error> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let chosen = interfaces(&names)?;
        let (tell, findings) = mpsc::unbounded_channel();
        if chosen.fit.is_empty() {
            return Err(no_interface(&chosen.skipped));
        }
        for skipped in &chosen.skipped {
            // The receiver is at hand: nothing is lost.
            let _ = tell
                .send(Finding::Note(format!("{} is not scanned: {}", skipped.name, skipped.why)));
        }
        for interface in chosen.fit {
            let tell = tell.clone();
            let look = move || look(&interface, policy, &tell);
            thread::Builder::new().name("haul-scan".into()).spawn(look).map_err(|error| {
                Error::new(ErrorKind::Other, "the network could not be scanned", error.to_string())
            })?;
        }
        Ok(Self { findings })
    }

    /// What is found next; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Finding> {
        self.findings.recv().await
    }

    /// The same for a thread that may wait; not to be called within an async task.
    pub fn next_blocking(&mut self) -> Option<Finding> {
        self.findings.blocking_recv()
    }
}

fn no_interface(skipped: &[haul_scan::Skipped]) -> Error {
    let reasons: Vec<String> =
        skipped.iter().map(|skipped| format!("{}: {}", skipped.name, skipped.why)).collect();
    let because = if reasons.is_empty() { "there is none".to_owned() } else { reasons.join("; ") };
    Error::new(ErrorKind::Network, "no interface can be scanned", because)
        .with_remedy("connect this machine to a network, or name an interface with --interface")
}

/// Scans one interface until it is done or nobody listens.
fn look(interface: &Interface, policy: Policy, tell: &mpsc::UnboundedSender<Finding>) {
    let scan = match haul_scan::scan(interface, policy) {
        Ok(scan) => scan,
        Err(error) => {
            let _ =
                tell.send(Finding::Note(format!("{} is not scanned: {error}", interface.name())));
            return;
        }
    };
    for event in scan {
        let finding = match event {
            Event::Up { address, mac, via, rtt, .. } => Finding::Host(Host {
                address,
                mac: mac.map(|mac| mac.to_string()),
                how: how(via),
                ms: rtt.map(|rtt| (rtt.as_secs_f64() * 1e5).round() / 100.0),
                interface: interface.name().to_owned(),
            }),
            Event::Degraded { why, remedy, .. } => Finding::Note(degraded(&why, remedy.as_deref())),
            Event::Conflict { address, .. } => {
                Finding::Note(format!("several machines say that they are {address}"))
            }
            Event::Done(stats) => {
                notes(interface, &stats).into_iter().map(Finding::Note).for_each(|note| {
                    let _ = tell.send(note);
                });
                continue;
            }
            _ => continue,
        };
        if tell.send(finding).is_err() {
            return;
        }
    }
}

/// What the figures of a scan say that its user should know.
fn notes(interface: &Interface, stats: &Stats) -> Vec<String> {
    let name = interface.name();
    let left_out = format!(
        "{} more addresses of {name} were not looked at; --max-hosts sets how many are",
        stats.left_out
    );
    let missed = format!(
        "{:.0} % of the questions on {name} got lost: {:.1} machines are expected to be missing",
        stats.loss * 100.0,
        stats.expected_missed
    );
    let dropped = format!(
        "{} answers on {name} were lost in this machine, which is too busy to scan this fast",
        stats.kernel_drops
    );
    let notes = [
        (stats.left_out > 0, left_out),
        (stats.expected_missed >= 0.5, missed),
        (stats.kernel_drops > 0, dropped),
    ];
    notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note).collect()
}

fn degraded(why: &str, remedy: Option<&str>) -> String {
    match remedy {
        Some(remedy) => format!("{why}; to allow it: {remedy}"),
        None => why.to_owned(),
    }
}

const fn how(via: Via) -> &'static str {
    match via {
        Via::Arp => "arp",
        Via::Icmp => "icmp",
        _ => "neighbour",
    }
}

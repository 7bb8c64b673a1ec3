//! What came of looking for machines: who is there, and who could not be reached.

use super::roll_call::Attendance;
use crate::doctor::Met;
use haul_link::LinkError;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The machines that one search came by, whoever they are.
#[derive(Default)]
pub(crate) struct Sightings(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    machines: BTreeMap<IpAddr, Sight>,
    scanned: bool,
}

/// A machine that was heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// How it came to be known.
    pub(crate) how: &'static str,
    /// Whether a scan has seen that it is there.
    pub(crate) is_alive: bool,
    pub(crate) dial: Dial,
}

/// What came of dialling a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    /// It was not dialled.
    Never,
    /// It has not answered yet.
    Begun,
    /// It could not be talked to.
    Failed(Unreached),
    /// It let this leader in, or came in itself.
    Done,
}

/// Why a machine could not be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// It is there, and nothing listens.
    Refused,
    /// Nothing came back.
    Silent,
    /// No way leads there, or nobody has the address.
    NoRoute,
    /// It speaks another version of the protocol.
    Version,
    /// It hung up without a word.
    HungUp,
    /// It was not let in, for this reason.
    TurnedAway(&'static str),
    /// Something else went wrong.
    Other(String),
}

impl From<&LinkError> for Unreached {
    fn from(error: &LinkError) -> Self {
        match error {
            LinkError::Silent { .. } => Self::Silent,
            LinkError::Closed => Self::HungUp,
            LinkError::Version => Self::Version,
            LinkError::Broken { source, .. } => match source.kind() {
                ErrorKind::ConnectionRefused => Self::Refused,
                ErrorKind::TimedOut => Self::Silent,
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::NoRoute,
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                    Self::HungUp
                }
                _ => Self::Other(error.to_string()),
            },
            _ => Self::Other(error.to_string()),
        }
    }
}

impl Sightings {
    /// Notes that a scan has seen a machine.
    pub(crate) fn note_alive(&self, address: IpAddr, how: &'static str) {
        self.seen().sight(address, how).is_alive = true;
    }

    /// Notes that the scan has come to its end.
    pub(crate) fn note_scanned(&self) {
        self.seen().scanned = true;
    }

    /// Notes how far it has come with talking to a machine. What it once was done with stays.
    pub(crate) fn note_dial(&self, address: IpAddr, how: &'static str, dial: Dial) {
        let mut seen = self.seen();
        let sight = seen.sight(address, how);
        if sight.dial != Dial::Done {
            sight.dial = dial;
        }
    }

    /// Every machine that was heard of and could not be talked to.
    pub(crate) fn others(&self) -> Vec<Attendance> {
        let seen = self.seen();
        let others = seen.machines.iter();
        others.filter_map(|(address, sight)| Attendance::of(*address, sight)).collect()
    }

    /// What a search that found nobody has seen.
    pub(crate) fn met(&self) -> Met {
        let seen = self.seen();
        let chosen = |is: fn(&Sight) -> bool| {
            seen.machines.iter().filter(|(_, sight)| is(sight)).map(|(ip, _)| *ip).collect()
        };
        let is_silent = |sight: &Sight| {
            sight.is_alive && matches!(sight.dial, Dial::Begun | Dial::Failed(Unreached::Silent))
        };
        Met {
            alive: chosen(|sight| sight.is_alive),
            silent: chosen(is_silent),
            scanned: seen.scanned,
            only_named: false,
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn sight(&mut self, address: IpAddr, how: &'static str) -> &mut Sight {
        let new = Sight { how, is_alive: false, dial: Dial::Never };
        self.machines.entry(address).or_insert(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::time::Duration;

    fn broken(kind: ErrorKind) -> LinkError {
        LinkError::Broken { doing: "connecting", source: io::Error::from(kind) }
    }

    #[test]
    fn why_a_machine_is_not_reached_is_told_apart() {
        let silent = LinkError::Silent { awaiting: "connection", after: Duration::from_secs(5) };
        for (error, expected) in [
            (silent, Unreached::Silent),
            (broken(ErrorKind::ConnectionRefused), Unreached::Refused),
            (broken(ErrorKind::HostUnreachable), Unreached::NoRoute),
            (broken(ErrorKind::ConnectionReset), Unreached::HungUp),
            (LinkError::Closed, Unreached::HungUp),
            (LinkError::Version, Unreached::Version),
        ] {
            assert_eq!(Unreached::from(&error), expected, "{error}");
        }
        assert!(matches!(Unreached::from(&LinkError::Flood), Unreached::Other(_)));
    }

    #[test]
    fn silent_is_who_was_seen_alive_and_does_not_answer() {
        let sightings = Sightings::default();
        let [quiet, off, printer, open] = [1, 2, 3, 4].map(|last| IpAddr::from([10, 0, 0, last]));
        for address in [quiet, printer, open] {
            sightings.note_alive(address, "arp");
        }
        sightings.note_dial(quiet, "arp", Dial::Begun);
        sightings.note_dial(off, "former", Dial::Failed(Unreached::Silent));
        sightings.note_dial(printer, "arp", Dial::Failed(Unreached::Refused));
        sightings.note_dial(open, "arp", Dial::Done);
        sightings.note_dial(open, "arp", Dial::Failed(Unreached::HungUp));
        let met = sightings.met();
        assert_eq!((met.alive.len(), met.silent), (3, vec![quiet]));
        assert!(!met.scanned);
        assert_eq!(sightings.others().len(), 3);
    }
}

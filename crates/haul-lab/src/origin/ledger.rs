use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an origin has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// The most connections that were open at one time.
    pub most_open: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Bytes of bodies handed to connections.
    pub bytes: u64,
    /// The same bytes, by the address they went to.
    pub bytes_by_peer: BTreeMap<IpAddr, u64>,
}

/// One request, as the origin saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who asked.
    pub peer: SocketAddr,
    /// `GET` or `HEAD`, most likely.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// Every field of the head in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The status it was answered with.
    pub status: u16,
}

impl Seen {
    /// The value of the first field of that name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held == name).map(|(_, value)| value.as_str())
    }
}

/// The counts and requests of one origin, shared by its connections.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    counts: Counts,
    open: u64,
    seen: Vec<Seen>,
}

impl Ledger {
    pub(super) fn counts(&self) -> Counts {
        self.book().counts.clone()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.book().seen.clone()
    }

    pub(super) fn opened(&self) {
        let mut book = self.book();
        book.open += 1;
        book.counts.connections += 1;
        book.counts.most_open = book.counts.most_open.max(book.open);
    }

    pub(super) fn open(&self) -> u64 {
        self.book().open
    }

    pub(super) fn closed(&self) {
        self.book().open -= 1;
    }

    pub(super) fn answered(&self, seen: Seen) {
        let mut book = self.book();
        book.counts.requests += 1;
        book.seen.push(seen);
    }

    pub(super) fn sent(&self, to: IpAddr, bytes: u64) {
        let mut book = self.book();
        book.counts.bytes += bytes;
        *book.counts.bytes_by_peer.entry(to).or_default() += bytes;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use crate::conn::Conn;
use crate::host::Place;
use crate::request::Location;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Connections for whoever next asks the same origin: those that nobody uses at present, and those
/// that carry several requests at a time.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Held>>);

struct Held {
    conn: Conn,
    /// When it was last kept or taken.
    since: Instant,
}

impl Pool {
    /// Keeps a connection that is fit for another request; the oldest one makes room for it.
    pub(crate) fn keep(&self, conn: Conn) {
        // One that is shared is held as long as anybody uses it, and a while longer.
        if conn.is_open() && !conn.is_shared() {
            self.hold(conn);
        }
    }

    /// Lets others share a connection, if it can be shared.
    pub(crate) fn share(&self, conn: &Conn) {
        if let Some(conn) = conn.beside(None) {
            self.hold(conn);
        }
    }

    fn hold(&self, conn: Conn) {
        let since = Instant::now();
        let mut held = self.held(since);
        held.push(Held { conn, since });
        if held.len() > MOST {
            held.remove(0);
        }
    }

    /// The connection for a location that was used last, as it is the likeliest to be still open, or a
    /// share in one, counted in `place`.
    pub(crate) fn take(&self, to: &Location, place: impl FnOnce() -> Place) -> Option<Conn> {
        let now = Instant::now();
        let mut held = self.held(now);
        let fits = |conn: &Conn| conn.serves(to) && (!conn.is_shared() || conn.has_room());
        let at = held.iter().rposition(|held| fits(&held.conn))?;
        if held[at].conn.is_shared() {
            held[at].since = now;
            return held[at].conn.beside(Some(place()));
        }
        Some(held.remove(at).conn)
    }

    /// Those that are still of use.
    fn held(&self, now: Instant) -> MutexGuard<'_, Vec<Held>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|held| held.conn.is_open() && !held.is_stale(now));
        held
    }
}

impl Held {
    fn is_stale(&self, now: Instant) -> bool {
        self.conn.sharers() == 0 && now.duration_since(self.since) >= LONGEST
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// How many connections are kept, over all origins.
const MOST: usize = 32;

/// How long one is kept: most servers close theirs after five seconds or later.
const LONGEST: Duration = Duration::from_secs(30);

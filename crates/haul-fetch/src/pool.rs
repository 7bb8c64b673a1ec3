use crate::conn::Conn;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Connections that nobody uses at present, for whoever next asks the same origin.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Idle>>);

struct Idle {
    conn: Conn,
    since: Instant,
}

impl Pool {
    /// Keeps a connection that is fit for another request; the oldest one makes room for it.
    pub(crate) fn keep(&self, conn: Conn) {
        if !conn.is_open() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { conn, since });
        idle.retain(|idle| since.duration_since(idle.since) < LONGEST);
        if idle.len() > MOST {
            idle.remove(0);
        }
    }

    /// The connection for `url` that was used last, as it is the likeliest to be still open.
    pub(crate) fn take(&self, url: &Url) -> Option<Conn> {
        let now = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| now.duration_since(idle.since) < LONGEST);
        let at = idle.iter().rposition(|idle| idle.conn.serves(url))?;
        Some(idle.remove(at).conn)
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

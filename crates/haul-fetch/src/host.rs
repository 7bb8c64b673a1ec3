//! What a client has learned about a host: when it may be asked again, and what it puts up with.

use crate::{AddressSpace, Backoff, Retry};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use url::{Origin, Url};

/// The hosts that a client has asked.
#[derive(Default)]
pub(crate) struct Hosts(Mutex<HashMap<Origin, Arc<Host>>>);

impl Hosts {
    pub(crate) fn of(&self, url: &Url) -> Arc<Host> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(url.origin()).or_default().clone()
    }
}

/// One scheme, host and port.
#[derive(Default)]
pub(crate) struct Host(Mutex<Record>);

struct Record {
    /// Nobody asks before this.
    rests_until: Option<Instant>,
    backoff: Backoff,
    /// How many connections there are.
    open: u8,
    /// How many it has shown to put up with.
    most: Option<u8>,
    /// It answered a condition by forgetting the range.
    spoils_conditions: bool,
    /// It offers HTTP/2 and breaks it.
    shuns_http2: bool,
    /// The longest part that it sends.
    longest_part: Option<u64>,
    /// It refused the shortest part that is worth asking for.
    length_is_no_reason: bool,
    /// The widest space that all its addresses were in at one time.
    space: Option<AddressSpace>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            rests_until: None,
            backoff: Backoff::new(u32::MAX),
            open: 0,
            most: None,
            spoils_conditions: false,
            shuns_http2: false,
            longest_part: None,
            length_is_no_reason: false,
            space: None,
        }
    }
}

impl Host {
    /// Waits until the host may be asked.
    pub(crate) async fn rested(&self) {
        while let Some(until) = self.rests_until() {
            sleep_until(until).await;
        }
    }

    fn rests_until(&self) -> Option<Instant> {
        self.record().rests_until.filter(|until| *until > Instant::now())
    }

    /// Notes that the host is too busy: nobody asks it before the time that it named, or for a
    /// while. If it has several connections, that is one more than it puts up with.
    pub(crate) fn is_busy(&self, asked: Option<Duration>, chance: f64) {
        let mut record = self.record();
        let pause = match asked {
            Some(pause) => pause,
            None => record.backoff.fail(Retry::After(Duration::ZERO), chance).unwrap_or_default(),
        };
        debug!(?pause, open = record.open, "a host is busy");
        record.rests_until = record.rests_until.max(Some(Instant::now() + pause));
        if record.open > 1 {
            record.most =
                Some(record.most.map_or(record.open - 1, |most| most.min(record.open - 1)));
        }
    }

    /// Notes that the host serves.
    pub(crate) fn serves(&self) {
        self.record().backoff.renew();
    }

    /// How many connections it may have, of so many wanted.
    pub(crate) fn connections(&self, wanted: u8) -> u8 {
        self.record().most.map_or(wanted, |most| wanted.min(most).max(1))
    }

    /// The narrowest space that it may be in, once its addresses were seen.
    pub(crate) fn space(&self) -> Option<AddressSpace> {
        self.record().space
    }

    /// Notes that its addresses are in this space: it is in no narrower one from then on.
    pub(crate) fn is_in(&self, space: AddressSpace) {
        let mut record = self.record();
        record.space = record.space.max(Some(space));
    }

    /// Whether a request may carry a condition.
    pub(crate) fn takes_conditions(&self) -> bool {
        !self.record().spoils_conditions
    }

    pub(crate) fn spoils_conditions(&self) {
        self.record().spoils_conditions = true;
    }

    /// Whether it may be offered HTTP/2.
    pub(crate) fn takes_http2(&self) -> bool {
        !self.record().shuns_http2
    }

    pub(crate) fn shuns_http2(&self) {
        self.record().shuns_http2 = true;
    }

    /// The longest part to ask for.
    pub(crate) fn longest_part(&self) -> u64 {
        self.record().longest_part.unwrap_or(u64::MAX)
    }

    /// Notes that a part of this length was refused; says whether a shorter one is worth a try.
    pub(crate) fn refused_part(&self, length: u64) -> bool {
        let mut record = self.record();
        if record.length_is_no_reason {
            return false;
        }
        record.length_is_no_reason = length <= SHORTEST_PART;
        record.longest_part =
            (!record.length_is_no_reason).then(|| (length / 4).max(SHORTEST_PART));
        !record.length_is_no_reason
    }

    /// Notes that parts are worth checking one by one, which takes memory for each.
    pub(crate) fn digests_parts(&self) {
        let mut record = self.record();
        record.longest_part =
            Some(record.longest_part.map_or(DIGESTED_PART, |most| most.min(DIGESTED_PART)));
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection to a host, counted for as long as this lives.
pub(crate) struct Place(Arc<Host>);

impl Place {
    pub(crate) fn at(host: Arc<Host>) -> Self {
        {
            let mut record = host.record();
            record.open = record.open.saturating_add(1);
        }
        Self(host)
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut record = self.0.record();
        record.open = record.open.saturating_sub(1);
    }
}

/// A part that is to be checked before it is handed out is held whole; longer ones are not.
pub(crate) const DIGESTED_PART: u64 = 1 << 20;

/// A host that refuses so little has another reason.
const SHORTEST_PART: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_busy_host_rests_for_everybody_and_at_most_for_the_longest_time_named() {
        let host = Host::default();
        let began = Instant::now();
        host.is_busy(Some(3 * SECOND), 0.5);
        host.is_busy(Some(SECOND), 0.5);
        tokio::join!(host.rested(), host.rested());
        assert_eq!(began.elapsed().as_secs(), 3);
        host.is_busy(Some(Duration::ZERO), 0.5);
        host.rested().await;
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_names_no_time_rests_longer_each_time_until_it_serves() {
        let host = Host::default();
        let rest = async || {
            let began = Instant::now();
            host.is_busy(None, 0.5);
            host.rested().await;
            began.elapsed().as_millis() / 100
        };
        assert_eq!([rest().await, rest().await, rest().await], [5, 10, 20]);
        host.serves();
        assert_eq!(rest().await, 5);
    }

    #[test]
    fn the_connection_that_was_one_too_many_is_learned() {
        let host = Arc::new(Host::default());
        let mut places: Vec<_> = (0..4).map(|_| Place::at(Arc::clone(&host))).collect();
        assert_eq!(host.connections(8), 8);
        host.is_busy(None, 0.5);
        assert_eq!((host.connections(8), host.connections(2)), (3, 2));
        places.truncate(1);
        host.is_busy(None, 0.5);
        assert_eq!(host.connections(8), 3);
    }

    #[test]
    fn parts_that_are_refused_get_shorter_until_that_is_no_reason() {
        let host = Host::default();
        assert!(host.refused_part(1 << 20));
        assert_eq!(host.longest_part(), 256 << 10);
        assert!(host.refused_part(256 << 10));
        assert_eq!(host.longest_part(), 64 << 10);
        assert!(!host.refused_part(64 << 10));
        assert_eq!(host.longest_part(), u64::MAX);
        assert!(!host.refused_part(1 << 20));
    }
}

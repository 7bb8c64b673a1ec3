//! How often origins are asked and connected to: a helper is no cannon.

use crate::limits::party::Party;
use haul_fetch::Turn;
use haul_link::{Pace, PeerId, TokenBucket};
use haul_span::Span;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use url::Url;

/// Requests for one leader. A leader's lane has a lease for some two seconds, of 16 MiB at the
/// most, so that 1 Gbit/s takes some 10 requests a second, and 120 where an origin makes haul ask
/// for 1 MiB at a time.
const REQUESTS: Pace = Pace { burst: 256, per_second: 200 };

/// New connections for one leader: one for each response that was cut short.
const CONNECTIONS: Pace = Pace { burst: 64, per_second: 32 };

/// The same for one origin, of all leaders together.
const REQUESTS_OF_ORIGIN: Pace = Pace { burst: 512, per_second: 400 };
const CONNECTIONS_OF_ORIGIN: Pace = Pace { burst: 128, per_second: 64 };

/// The least that a request brings to count as one, in bytes: the least lease of an honest leader.
const LEAST: u64 = 64 << 10;

/// What a request for less counts as, unless it is for the end of the file. Honest leaders make
/// them too, for holes that are no larger and the last bytes of others' leases, but few.
const SCRAP: u32 = 8;

/// How many leaders and origins are remembered before those that have not been busy are forgotten.
const REMEMBERED: usize = 1024;

/// All requests and connections of a helper. Time is an argument: since the helper started.
#[derive(Debug, Default)]
pub(crate) struct Requests(BTreeMap<Whose, Buckets>);

/// Whom requests count for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Key(PeerId),
    Address(IpAddr),
    /// A host and a port.
    Origin(String, Option<u16>),
}

#[derive(Debug)]
struct Buckets {
    requests: TokenBucket,
    connections: TokenBucket,
}

impl Requests {
    /// Counts what is about to be done for a leader that has offered a file of this size, or says
    /// when to ask again. Fresh keys of one address share what it has.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        who: &Party,
        size: u64,
        turn: Turn<'_>,
    ) -> Result<(), Duration> {
        let (url, cost) = match turn {
            Turn::Connection(url) => (url, 1),
            Turn::Request(url, part) => (url, cost(part, size)),
        };
        let whose = whose(who, url);
        self.make_room(now);
        let waits = whose.iter().filter_map(|whose| self.bucket(now, whose, turn).wait(now, cost));
        if let Some(wait) = waits.collect::<Vec<_>>().into_iter().max() {
            return Err(wait);
        }
        whose.iter().try_for_each(|whose| self.bucket(now, whose, turn).take(now, cost))
    }

    fn bucket(&mut self, now: Duration, whose: &Whose, turn: Turn<'_>) -> &mut TokenBucket {
        let fresh = || Buckets::of(whose, now);
        let buckets = self.0.entry(whose.clone()).or_insert_with(fresh);
        match turn {
            Turn::Connection(_) => &mut buckets.connections,
            Turn::Request(..) => &mut buckets.requests,
        }
    }

    /// A full bucket says no more than one that is made anew.
    fn make_room(&mut self, now: Duration) {
        if self.0.len() > REMEMBERED {
            self.0.retain(|_, buckets| {
                !buckets.requests.is_full(now) || !buckets.connections.is_full(now)
            });
        }
    }
}

impl Buckets {
    fn of(whose: &Whose, now: Duration) -> Self {
        let (requests, connections) = match whose {
            Whose::Key(_) | Whose::Address(_) => (REQUESTS, CONNECTIONS),
            Whose::Origin(..) => (REQUESTS_OF_ORIGIN, CONNECTIONS_OF_ORIGIN),
        };
        let full = |pace| TokenBucket::full(pace, now);
        Self { requests: full(requests), connections: full(connections) }
    }
}

fn whose(who: &Party, url: &Url) -> Vec<Whose> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let key = who.key.map(Whose::Key);
    let others = [Whose::Address(who.address), Whose::Origin(host, url.port_or_known_default())];
    key.into_iter().chain(others).collect()
}

fn cost(part: Option<Span>, size: u64) -> u32 {
    let is_scrap = part.is_some_and(|part| part.len() < LEAST && part.end() < size);
    if is_scrap { SCRAP } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::party::tests::party;

    const SIZE: u64 = 1 << 30;
    const SECOND: Duration = Duration::from_secs(1);

    fn url(port: u16) -> Url {
        format!("http://a.test:{port}/f").parse().unwrap()
    }

    /// How many turns are had within so many seconds, by whoever comes back when told.
    fn turns(requests: &mut Requests, who: &Party, seconds: u64, turn: Turn<'_>) -> u32 {
        let (mut now, mut had) = (Duration::ZERO, 0);
        while now < SECOND * u32::try_from(seconds).unwrap() {
            match requests.take(now, who, SIZE, turn) {
                Ok(()) => had += 1,
                Err(wait) => now += wait,
            }
        }
        had
    }

    fn part(len: u64) -> Option<Span> {
        Span::of_len(1 << 20, len)
    }

    #[test]
    fn requests_for_scraps_are_few_and_for_the_least_lease_as_many_as_an_honest_leader_makes() {
        let (one, url) = (party(1, [10, 0, 0, 1]), url(80));
        let in_ten = |span| turns(&mut Requests::default(), &one, 10, Turn::Request(&url, span));
        let about = |turns: u32, most: u32| assert!((most - 2..=most).contains(&turns), "{turns}");
        about(in_ten(part(1)), (256 + 10 * 200) / 8);
        about(in_ten(part(LEAST)), 256 + 10 * 200);
        // The end of the file is as long as it is.
        about(in_ten(Span::new(SIZE - 1, SIZE)), 256 + 10 * 200);
        let links = turns(&mut Requests::default(), &one, 10, Turn::Connection(&url));
        about(links, 64 + 10 * 32);
    }

    #[test]
    fn requests_count_by_key_by_address_and_by_origin() {
        let url = url(80);
        let turn = Turn::Request(&url, part(LEAST));
        let mut requests = Requests::default();
        let had = |requests: &mut Requests, key, address| {
            let who = party(key, address);
            std::iter::repeat_with(|| requests.take(Duration::ZERO, &who, SIZE, turn))
                .take_while(Result::is_ok)
                .count()
        };
        assert_eq!(had(&mut requests, 1, [10, 0, 0, 1]), 256);
        assert_eq!(had(&mut requests, 2, [10, 0, 0, 1]), 0, "a fresh key of the address");
        assert_eq!(had(&mut requests, 1, [10, 0, 0, 2]), 0, "the key at another address");
        assert_eq!(had(&mut requests, 3, [10, 0, 0, 3]), 256);
        assert_eq!(had(&mut requests, 4, [10, 0, 0, 4]), 0, "the origin has had its share");
    }

    #[test]
    fn requests_of_another_port_are_another_origins() {
        let mut requests = Requests::default();
        let (one, other) = (url(80), url(8080));
        for key in 0..2 {
            let who = party(key, [10, 0, 0, u8::try_from(key).unwrap()]);
            let turn = Turn::Request(&one, part(LEAST));
            while requests.take(Duration::ZERO, &who, SIZE, turn).is_ok() {}
        }
        let who = party(9, [10, 0, 0, 9]);
        let mut ask = |url| requests.take(Duration::ZERO, &who, SIZE, Turn::Request(url, None));
        assert!(ask(&one).is_err() && ask(&other).is_ok());
    }

    #[test]
    fn requests_of_many_do_not_grow_the_memory() {
        let (mut requests, url) = (Requests::default(), url(80));
        for n in 0..20_000u32 {
            let who = party(n, n.to_be_bytes());
            let now = Duration::from_millis(u64::from(n) * 10);
            let _ = requests.take(now, &who, SIZE, Turn::Request(&url, None));
        }
        assert!(requests.0.len() <= REMEMBERED + 3, "{}", requests.0.len());
    }
}

//! Where helpers come in.

use super::hosting::Hosting;
use super::peer::host;
use crate::limits::party::{Party, Share};
use crate::limits::pool::{Pool, WhenFull};
use crate::{Error, ErrorKind};
use haul_link::{Pace, TokenBucket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// How many machines may be at the door or inside at a time, half of them at the door: all that
/// answer one ask at the same moment in a large organisation, and a memory that does not matter.
/// When that many are inside, whoever comes waits in the system's queue until another leaves.
const MOST: usize = 2048;

/// How many connections may wait there.
const QUEUE: u32 = 4096;

/// How many files and connections are left for all else that the program does, unless it may have
/// fewer than twice as many in all: then half of them are.
const RESERVED: u64 = 256;

/// The least room, however few files the system allows.
const LEAST: usize = 4;

/// How many connections may come from one address, so that it cannot keep the others out.
const MOST_OF_ONE: usize = OF_ONE as usize;
const OF_ONE: u32 = 16;

/// How many connections an address may make at once, and how many a second in the long run: a
/// machine comes once or twice, and whoever is turned away again and again costs a handshake each
/// time.
const PACE: Pace = Pace { burst: OF_ONE, per_second: 1 };

/// A port that helpers dial.
pub(crate) struct Door {
    listener: TcpListener,
    room: usize,
    /// Which one it is.
    pub(crate) port: u16,
}

impl Door {
    /// Opens the first free one of `ports`.
    pub(crate) fn open(ports: RangeInclusive<u16>) -> Result<Self, Error> {
        let mut because = "there is no port to try".to_owned();
        for port in ports.clone() {
            match listen(port) {
                Ok(listener) => {
                    let port = listener.local_addr().map_or(port, |address| address.port());
                    return Ok(Self { listener, room: room(), port });
                }
                Err(error) => because = error.to_string(),
            }
        }
        let range = format!("no port from {} to {} is free", ports.start(), ports.end());
        Err(Error::new(ErrorKind::Network, "no helper can come in", format!("{range}: {because}")))
    }

    /// Lets machines in until dropped. Whoever has not greeted makes room for whoever comes, so
    /// that silent connections keep nobody out.
    pub(crate) async fn serve(self, hosting: Arc<Hosting>) {
        let all = self.room / 2;
        let share = Share { key: all, address: MOST_OF_ONE, network: all, all };
        let greeting = Pool::new(share, WhenFull::OldestGivesWay);
        let (mut guests, mut callers) = (JoinSet::new(), Callers::default());
        loop {
            tokio::select! {
                biased;
                Some(_) = guests.join_next() => {}
                taken = self.listener.accept(), if guests.len() < self.room => match taken {
                    Ok((tcp, at)) => if callers.admit(at.ip())
                        && let Some(place) = greeting.enter(Party::at(at.ip()))
                    {
                        guests.spawn(host(tcp, place, Arc::clone(&hosting)));
                    },
                    Err(error) => {
                        warn!(%error, "a connection could not be taken in");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
    }
}

/// How often each address has come of late.
struct Callers {
    began: Instant,
    addresses: BTreeMap<IpAddr, TokenBucket>,
}

impl Default for Callers {
    fn default() -> Self {
        Self { began: Instant::now(), addresses: BTreeMap::new() }
    }
}

impl Callers {
    /// Whether a connection from there is taken in.
    fn admit(&mut self, from: IpAddr) -> bool {
        let now = self.began.elapsed();
        if self.addresses.len() >= MOST {
            self.addresses.retain(|_, bucket| !bucket.is_full(now));
        }
        let bucket = self.addresses.entry(from).or_insert_with(|| TokenBucket::full(PACE, now));
        bucket.take(now, 1).is_ok()
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Elsewhere this would let another program take the port over.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.listen(QUEUE)
}

/// How many machines the door has room for: as many as the system lets this program have files
/// open. Most systems give it fewer than it may have until it asks.
#[cfg(unix)]
fn room() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = RESERVED + MOST as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(few) = current.filter(|current| *current < wanted) else { return MOST };
    let more = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum });
    room_among(if raised.is_ok() { more } else { few })
}

/// The room where the program may have so many files open.
#[cfg(any(unix, test))]
fn room_among(files: u64) -> usize {
    let room = files - RESERVED.min(files / 2);
    usize::try_from(room).map_or(MOST, |room| room.clamp(LEAST, MOST))
}

#[cfg(not(unix))]
const fn room() -> usize {
    MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn callers_are_taken_in_at_a_pace_by_address() {
        let mut callers = Callers::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!((0..1000).filter(|_| callers.admit(one)).count(), MOST_OF_ONE);
        assert!(callers.admit(other));
        sleep(Duration::from_secs(2)).await;
        assert_eq!((0..1000).filter(|_| callers.admit(one)).count(), 2);
    }

    #[test]
    fn room_is_half_of_few_files_and_all_but_a_reserve_of_many() {
        let rooms = [0, 10, 256, 512, 1024, 1 << 20].map(room_among);
        assert_eq!(rooms, [LEAST, 5, 128, 256, 768, MOST]);
    }
}

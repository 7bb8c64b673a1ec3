use crate::Rate;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How much of its rate a link may save up while it idles.
const BURST: Duration = Duration::from_millis(20);
/// How long a link that is out of tokens sleeps at most, so that a changed rate soon counts.
const NAP: Duration = Duration::from_millis(20);
/// How much of a link's time one piece of a body takes.
const PIECE: Duration = Duration::from_millis(5);
/// Bounds of a piece in bytes.
const PIECES: (u64, u64) = (1 << 10, 64 << 10);

/// The links over which an origin is reached.
///
/// All connections from one address share that address's link, as the machines behind one modem
/// do; a cap on each connection comes on top. By default nothing is shaped.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Shape {
    latency: Duration,
    per_connection: Option<Rate>,
    each_peer: Option<Rate>,
    peers: HashMap<IpAddr, Rate>,
}

impl Shape {
    /// Every address has a link of this rate.
    pub fn by_peer(rate: Rate) -> Self {
        Self { each_peer: Some(rate), ..Self::default() }
    }

    /// The link of one address, whatever the others have.
    pub fn peer(mut self, peer: impl Into<IpAddr>, rate: Rate) -> Self {
        self.peers.insert(peer.into(), rate);
        self
    }

    /// No connection gets more than this.
    pub const fn per_connection(mut self, rate: Rate) -> Self {
        self.per_connection = Some(rate);
        self
    }

    /// Every head comes so much later.
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }
}

/// The links of one origin, made as peers turn up.
#[derive(Debug)]
pub(super) struct Links {
    shape: Shape,
    by_peer: Mutex<HashMap<IpAddr, Arc<Bucket>>>,
}

impl Links {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, by_peer: Mutex::default() }
    }

    /// What a new connection of `peer` goes through.
    pub(super) fn connect(&self, peer: IpAddr) -> Path {
        Path {
            latency: self.shape.latency,
            own: Arc::new(Bucket::new(self.shape.per_connection)),
            shared: self.of(peer),
        }
    }

    pub(super) fn set_rate(&self, peer: IpAddr, rate: Rate) {
        self.of(peer).set_rate(rate);
    }

    fn of(&self, peer: IpAddr) -> Arc<Bucket> {
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = || self.shape.peers.get(&peer).copied().or(self.shape.each_peer);
        Arc::clone(by_peer.entry(peer).or_insert_with(|| Arc::new(Bucket::new(rate()))))
    }
}

/// What the bytes of one connection pass: its own cap, then the link that its peer shares.
#[derive(Clone, Debug)]
pub(super) struct Path {
    latency: Duration,
    own: Arc<Bucket>,
    shared: Arc<Bucket>,
}

impl Path {
    /// Waits for as long as a head is late.
    pub(super) async fn delay_head(&self) {
        if !self.latency.is_zero() {
            sleep(self.latency).await;
        }
    }

    /// How much of a body goes out at a time: little enough to share a slow link fairly.
    pub(super) fn piece(&self) -> u64 {
        let rate = self.own.rate().min(self.shared.rate());
        rate.bytes_in(PIECE).clamp(PIECES.0, PIECES.1)
    }

    /// Waits until `bytes` more may go out.
    pub(super) async fn pass(&self, bytes: u64) {
        self.own.take(bytes).await;
        self.shared.take(bytes).await;
    }
}

/// A token bucket; those who wait for it are served in the order in which they came.
#[derive(Debug)]
struct Bucket {
    /// In bytes per second; `u64::MAX` for a link that is not shaped.
    rate: AtomicU64,
    level: tokio::sync::Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    at: Instant,
    /// In bytes; below zero for what has passed ahead of its time.
    tokens: f64,
}

impl Bucket {
    fn new(rate: Option<Rate>) -> Self {
        let rate = rate.map_or(u64::MAX, Rate::as_bytes_per_second);
        let level = Level { at: Instant::now(), tokens: 0.0 };
        Self { rate: AtomicU64::new(rate), level: tokio::sync::Mutex::new(level) }
    }

    fn rate(&self) -> Rate {
        Rate::bytes_per_second(self.rate.load(Ordering::Relaxed))
    }

    fn set_rate(&self, rate: Rate) {
        self.rate.store(rate.as_bytes_per_second(), Ordering::Relaxed);
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact beyond 2^52")]
    async fn take(&self, bytes: u64) {
        let mut level = self.level.lock().await;
        loop {
            let rate = self.rate.load(Ordering::Relaxed);
            if rate == u64::MAX {
                return;
            }
            level.refill(rate as f64);
            if level.tokens >= 0.0 && rate > 0 {
                level.tokens -= bytes as f64;
                return;
            }
            let wait = Duration::try_from_secs_f64(-level.tokens / rate as f64).unwrap_or(NAP);
            sleep(wait.min(NAP)).await;
        }
    }
}

impl Level {
    fn refill(&mut self, rate: f64) {
        let now = Instant::now();
        let gained = rate * now.duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + gained).min(rate * BURST.as_secs_f64());
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time;

    /// Passes `total` bytes in pieces and says how long that took in the paused clock's time.
    async fn time_to_pass(path: Path, total: u64) -> f64 {
        let began = Instant::now();
        let mut left = total;
        while left > 0 {
            let piece = path.piece().min(left);
            path.pass(piece).await;
            left -= piece;
        }
        began.elapsed().as_secs_f64()
    }

    fn near(is: f64, should: f64) -> bool {
        (is / should - 1.0).abs() < 0.02
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 11));

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_peer_share_its_link_evenly() {
        let links = Links::new(Shape::by_peer(Rate::mbit(20)));
        let both = tokio::join!(
            time_to_pass(links.connect(PEER), 5_000_000),
            time_to_pass(links.connect(PEER), 5_000_000),
        );
        assert!(near(both.0, 4.0) && near(both.1, 4.0), "{both:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_never_passes_its_own_cap() {
        let shape = Shape::by_peer(Rate::mbit(80)).per_connection(Rate::mbit(8));
        let took = time_to_pass(Links::new(shape).connect(PEER), 3_000_000).await;
        assert!(near(took, 3.0), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_named_peer_has_its_own_rate_and_the_rest_share_the_common_one() {
        let shape = Shape::by_peer(Rate::mbit(8)).peer(PEER, Rate::mbit(80));
        let links = Links::new(shape);
        assert!(near(time_to_pass(links.connect(PEER), 10_000_000).await, 1.0));
        let other = links.connect([127, 0, 0, 1].into());
        assert!(near(time_to_pass(other, 1_000_000).await, 1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_without_a_rate_is_no_brake_and_one_of_zero_lets_nothing_through() {
        let links = Links::new(Shape::default());
        let path = links.connect(PEER);
        assert!(time_to_pass(path.clone(), 1 << 30).await < 0.001);
        links.set_rate(PEER, Rate::ZERO);
        assert!(time::timeout(Duration::from_secs(60), path.pass(1)).await.is_err());
        links.set_rate(PEER, Rate::mbit(8));
        assert!(near(time_to_pass(path, 1_000_000).await, 1.0));
    }
}

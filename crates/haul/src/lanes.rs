//! The lanes of one worker: leases in, bytes out. The leader's own link and a helper both run on
//! this, so that a helper fetches exactly as the leader does.

use bytes::Bytes;
use haul_fetch::{Error, Lane, Retry, Source};
use haul_span::Span;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

/// What a worker is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Grant { lease: u32, span: Span },
    Trim { lease: u32, end: u64 },
    Revoke { lease: u32 },
    Lanes { lanes: u8 },
}

/// What a worker says.
#[derive(Debug)]
pub(crate) enum Word {
    Data { lease: u32, offset: u64, bytes: Bytes, from: Option<Place> },
    Done { lease: u32 },
    Failed { lease: u32, error: Error },
}

/// Where bytes come from: the URL that redirects led to, and one of the addresses of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) url: Arc<Url>,
    pub(crate) address: IpAddr,
}

impl Place {
    /// Where a lane reads from.
    pub(crate) fn of(lane: &Lane) -> Option<Self> {
        let (url, peer) = lane.reads_from()?;
        Some(Self::at(url, peer.ip()))
    }

    /// What a URL points to at an address; no origin hears of a URL's fragment.
    pub(crate) fn at(url: &Arc<Url>, address: IpAddr) -> Self {
        let mut url = Arc::clone(url);
        if url.fragment().is_some() {
            Arc::make_mut(&mut url).set_fragment(None);
        }
        Self { url, address }
    }
}

/// The lanes of one worker. Dropping them closes their connections.
pub(crate) struct Lanes {
    board: Arc<watch::Sender<Board>>,
    appetite: Appetite,
    _tasks: JoinSet<()>,
}

/// Whether the lanes of a worker could fetch more than comes.
#[derive(Clone)]
pub(crate) struct Appetite {
    board: Arc<watch::Sender<Board>>,
    credit: Option<Arc<Semaphore>>,
    words: mpsc::WeakSender<Word>,
}

impl Appetite {
    /// Whether there are leases to fetch, and what is fetched is taken.
    pub(crate) fn wants_more(&self) -> bool {
        let has_leases = self.board.borrow().held() > 0;
        let has_credit = self.credit.as_ref().is_none_or(|credit| credit.available_permits() > 0);
        has_leases && has_credit && self.words.upgrade().is_some_and(|words| words.capacity() > 0)
    }
}

impl Lanes {
    /// Opens up to `most` lanes on `source`. `open` is a lane whose response stands at the start
    /// of the file. What they say goes to `words`; where there is `credit`, they send no more data
    /// than it allows.
    pub(crate) fn start(
        source: &Source,
        most: u8,
        open: Option<Lane>,
        words: &mpsc::Sender<Word>,
        credit: Option<&Arc<Semaphore>>,
    ) -> Self {
        let stands = open.as_ref().map(|_| 0);
        let board = Board { open: stands, lanes: 1, limit: u8::MAX, ..Board::default() };
        let board = Arc::new(watch::Sender::new(board));
        let mut open = open;
        let mut tasks = JoinSet::new();
        for index in 0..most {
            let runner = Runner {
                index,
                lane: open.take().unwrap_or_else(|| Lane::new(source.clone())),
                board: Arc::clone(&board),
                changes: board.subscribe(),
                words: words.clone(),
                credit: credit.cloned(),
            };
            tasks.spawn(runner.run());
        }
        let appetite = Appetite {
            board: Arc::clone(&board),
            credit: credit.cloned(),
            words: words.clone().downgrade(),
        };
        Self { board, appetite, _tasks: tasks }
    }

    /// Uses no more lanes than this from now on, whatever is ordered.
    pub(crate) fn limit(&self, lanes: u8) {
        self.board.send_if_modified(|board| replaced(&mut board.limit, lanes.max(1)));
    }

    /// Reads nothing while it is held, so that others have the link.
    pub(crate) fn hold(&self, is_held: bool) {
        self.board.send_if_modified(|board| replaced(&mut board.is_held, is_held));
    }

    /// Leaves responses that nothing goes on in, as all bytes are there.
    pub(crate) fn leave_responses(&self) {
        self.board.send_if_modified(|board| replaced(&mut board.has_all, true));
    }

    /// What tells whether they have more to do than they do.
    pub(crate) fn appetite(&self) -> Appetite {
        self.appetite.clone()
    }

    /// Passes an order on; orders for leases that have ended are of no effect.
    pub(crate) fn order(&self, order: Order) {
        self.board.send_if_modified(|board| board.note(order));
    }

    /// How many leases are out.
    pub(crate) fn held(&self) -> u64 {
        self.board.borrow().held()
    }
}

/// What the lanes of a worker have to do.
#[derive(Debug, Default)]
struct Board {
    lanes: u8,
    /// The most lanes that may take a lease.
    limit: u8,
    /// Whether nothing is to be read at present.
    is_held: bool,
    /// Whether no lease is expected, so that no response is kept for one.
    has_all: bool,
    queue: VecDeque<(u32, Span)>,
    /// The leases that lanes are at work on, and where each ends.
    active: BTreeMap<u32, u64>,
    /// Where the probe's response will stand once lane 0 has done its lease.
    open: Option<u64>,
}

impl Board {
    fn held(&self) -> u64 {
        (self.queue.len() + self.active.len()) as u64
    }

    /// Whether there is anything new for the lanes, each of which wakes to look at it.
    fn note(&mut self, order: Order) -> bool {
        match order {
            Order::Grant { lease, span } => {
                self.has_all = false;
                self.queue.push_back((lease, span));
            }
            Order::Trim { lease, end } => self.trim(lease, end),
            Order::Revoke { lease } => {
                self.active.remove(&lease);
                self.queue.retain(|(queued, _)| *queued != lease);
            }
            Order::Lanes { lanes } => return replaced(&mut self.lanes, lanes.max(1)),
        }
        true
    }

    fn trim(&mut self, lease: u32, end: u64) {
        if let Some(ends) = self.active.get_mut(&lease) {
            *ends = end.min(*ends);
        }
        if let Some(at) = self.queue.iter().position(|(queued, _)| *queued == lease) {
            match self.queue[at].1.before(end) {
                Some(kept) => self.queue[at].1 = kept,
                None => drop(self.queue.remove(at)),
            }
        }
    }

    /// The next lease for lane `index`. What goes on where the open response stands is lane 0's.
    fn take(&mut self, index: u8) -> Option<(u32, Span)> {
        if index >= self.lanes.min(self.limit) {
            return None;
        }
        let goes_on = |&(_, span): &(u32, Span)| Some(span.start()) == self.open;
        let at = match (index, self.queue.iter().position(goes_on)) {
            (0, Some(at)) => at,
            (0, None) => 0,
            (_, _) => self.queue.iter().position(|queued| !goes_on(queued))?,
        };
        let (lease, span) = self.queue.remove(at)?;
        if index == 0 {
            self.open = self.open.filter(|&stands| stands == span.start()).map(|_| span.end());
        }
        self.active.insert(lease, span.end());
        Some((lease, span))
    }
}

/// Sets a value; says whether it was another.
fn replaced<T: PartialEq>(place: &mut T, value: T) -> bool {
    *place != value && {
        *place = value;
        true
    }
}

struct Runner {
    index: u8,
    lane: Lane,
    board: Arc<watch::Sender<Board>>,
    changes: watch::Receiver<Board>,
    words: mpsc::Sender<Word>,
    credit: Option<Arc<Semaphore>>,
}

/// Nobody listens to this worker any more.
struct Unheard;

impl Runner {
    async fn run(mut self) {
        while let Some((lease, span)) = self.next_lease().await {
            let fetched = self.fetch(lease, span).await;
            let Ok(outcome) = fetched else { return };
            if self.report(lease, outcome).await.is_err() {
                return;
            }
        }
    }

    async fn next_lease(&mut self) -> Option<(u32, Span)> {
        loop {
            let mut taken = None;
            self.changes.mark_unchanged();
            self.board.send_if_modified(|board| {
                taken = board.take(self.index);
                taken.is_some()
            });
            if taken.is_some() {
                return taken;
            }
            if self.board.borrow().has_all {
                self.lane.leave();
            }
            self.changes.changed().await.ok()?;
        }
    }

    /// Fetches a lease to its end, wherever that moves meanwhile.
    async fn fetch(&mut self, lease: u32, span: Span) -> Result<Result<(), Error>, Unheard> {
        if let Err(error) = self.open(lease, span).await {
            return Ok(Err(error));
        }
        loop {
            self.follow_end(lease);
            let is_held = self.changes.borrow_and_update().is_held;
            let piece = tokio::select! {
                piece = self.lane.next(), if !is_held => piece,
                _ = self.changes.changed() => continue,
            };
            match piece {
                Ok(Some(bytes)) => self.say(lease, bytes).await?,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Asks for the span, unless the lease is revoked before the answer comes.
    async fn open(&mut self, lease: u32, span: Span) -> Result<(), Error> {
        let Self { lane, changes, board, .. } = self;
        let mut opening = pin!(lane.open(span));
        loop {
            tokio::select! {
                opened = &mut opening => return opened,
                _ = changes.changed() => if !board.borrow().active.contains_key(&lease) {
                    return Ok(());
                }
            }
        }
    }

    /// Cuts the lane's span to what is left of the lease: nothing, if it was revoked.
    fn follow_end(&mut self, lease: u32) {
        let end = self.board.borrow().active.get(&lease).copied();
        self.lane.trim(end.unwrap_or_else(|| self.lane.position()));
    }

    async fn say(&mut self, lease: u32, bytes: Bytes) -> Result<(), Unheard> {
        if let Some(credit) = &self.credit {
            let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            credit.acquire_many(wanted).await.map_err(|_| Unheard)?.forget();
        }
        let offset = self.lane.position() - bytes.len() as u64;
        let from = Place::of(&self.lane);
        let word = Word::Data { lease, offset, bytes, from };
        self.words.send(word).await.map_err(|_| Unheard)
    }

    async fn report(&mut self, lease: u32, outcome: Result<(), Error>) -> Result<(), Unheard> {
        let mut held = false;
        self.board.send_if_modified(|board| {
            held = board.active.remove(&lease).is_some();
            false
        });
        let pause = outcome.as_ref().err().map(pause_of);
        if held {
            let word = match outcome {
                Ok(()) => Word::Done { lease },
                Err(error) => Word::Failed { lease, error },
            };
            self.words.send(word).await.map_err(|_| Unheard)?;
        }
        if let Some(pause) = pause {
            sleep(pause).await;
        }
        Ok(())
    }
}

/// How long a lane that failed leaves its origin alone before it takes another lease.
fn pause_of(error: &Error) -> Duration {
    match error.retry() {
        Retry::After(pause) => pause.max(LEAST_PAUSE),
        Retry::Never | Retry::Elsewhere => LEAST_PAUSE,
    }
}

const LEAST_PAUSE: Duration = Duration::from_millis(100);

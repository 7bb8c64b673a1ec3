use super::standing::{Sites, Standing};
use crate::conn::Conn;
use crate::open::Open;
use crate::request::{Location, Trust};
use crate::{AddressSpace, Error, Refusal, Source};
use bytes::Bytes;
use haul_span::Span;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{Instant, timeout};
use tracing::debug;
use url::Url;

/// Another URL of the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub(crate) url: Url,
    /// Lower is better (RFC 5854 §4.2.16.1).
    pub(crate) priority: u32,
    pub(crate) trust: Trust,
    /// The narrowest space that it may be in.
    pub(crate) floor: AddressSpace,
}

impl Mirror {
    /// A mirror that the caller names. What is kept for its host is told to it, but no header that
    /// the caller gives.
    pub fn named(url: Url) -> Self {
        Self { url, priority: 1, trust: Trust::Mirror, floor: AddressSpace::default() }
    }

    /// A mirror that a server or a file names, to whom no secret is told. The best priority is 1.
    pub fn announced(url: Url, priority: u32) -> Self {
        let (priority, floor) = (priority.max(1), AddressSpace::default());
        Self { url, priority, trust: Trust::Stranger, floor }
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The narrowest space that it may be in.
    pub fn floor(&self) -> AddressSpace {
        self.floor
    }

    /// The same, as somebody in this space has named it.
    #[must_use]
    pub(crate) fn said_in(self, space: AddressSpace) -> Self {
        Self { floor: self.floor.max(space), ..self }
    }

    /// Where it is. One that a server or a file names is in no narrower space than `beside`, that
    /// of the source.
    pub(crate) fn location(&self, beside: AddressSpace) -> Location {
        let (mut url, trust) = (self.url.clone(), self.trust);
        if trust != Trust::Stranger {
            return Location { url, trust, floor: self.floor };
        }
        // Neither fails on a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Location { url, trust, floor: self.floor.max(beside) }
    }
}

/// The mirrors of a source. None of their bytes counts before a random part of the file was the
/// same on the mirror and at the source; from then on each is held to the version that it showed.
#[derive(Default)]
pub(crate) struct Mirrors {
    /// The source itself comes first, then its mirrors by priority; empty where there are none.
    sites: Sites,
    others: Vec<Other>,
    sample: OnceCell<(Span, Vec<u8>)>,
    /// Where the source's last piece begins, and the piece.
    last: Mutex<Option<(u64, Bytes)>>,
    refused: Refused,
}

/// The mirrors that the guard refuses, until somebody hears of them.
#[derive(Default)]
struct Refused {
    hosts: Mutex<Vec<(String, Refusal)>>,
    more: Notify,
}

impl Refused {
    /// Notes why a mirror failed, if the guard refused it.
    fn note(&self, error: &Error) {
        if let Error::Refused { host, why } = error {
            debug!(%error, "a mirror is left out");
            self.hosts().push((host.clone(), *why));
            self.more.notify_one();
        }
    }

    async fn next(&self) -> Error {
        loop {
            let refused = self.hosts().pop();
            match refused {
                Some((host, why)) => return Error::Refused { host, why },
                None => self.more.notified().await,
            }
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<(String, Refusal)>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Other {
    source: Source,
    proven: OnceCell<()>,
}

impl Mirrors {
    /// Those of `mirrors` that may hold the file of `source`.
    pub(crate) fn of(source: &Source, mirrors: &[Mirror]) -> Self {
        let Some(length) = source.length().filter(|_| source.ranges()) else {
            return Self::default();
        };
        let fits =
            |mirror: &&Mirror| mirror.url != *source.url() && mirror.url != source.final_url();
        let mut fitting: Vec<&Mirror> = mirrors.iter().filter(fits).collect();
        fitting.sort_by_key(|mirror| mirror.priority);
        let refused = Refused::default();
        let others = fitting.into_iter().filter_map(|mirror| {
            let at = mirror.location(source.leads_to());
            match Source::unproven(source.client(), at, length) {
                Ok(source) => Some(Other { source, proven: OnceCell::new() }),
                Err(error) => {
                    refused.note(&error);
                    None
                }
            }
        });
        let others: Vec<Other> = others.take(MOST).collect();
        let sites = if others.is_empty() { 0 } else { others.len() + 1 };
        Self { sites: Sites::new(sites), others, refused, ..Self::default() }
    }

    /// Waits for the next mirror that the guard refuses, and says why.
    pub(crate) async fn refused(&self) -> Error {
        self.refused.next().await
    }

    /// The last piece that came from the source itself.
    fn seen(&self) -> Option<(Span, Vec<u8>)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (at, piece) = last?;
        Some((Span::of_len(at, piece.len() as u64)?, piece.to_vec()))
    }

    pub(crate) fn leave(&self) {
        for site in 1..=self.others.len() {
            self.sites.fail(site, Standing::Out);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.others.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.others.is_empty()
    }
}

/// Keeps other lanes away from a site while one finds out whether it has the file.
struct Proving<'a>(&'a Sites, usize);

impl<'a> Proving<'a> {
    fn begin(sites: &'a Sites, site: usize) -> Self {
        sites.set_proving(site, true);
        Self(sites, site)
    }
}

impl Drop for Proving<'_> {
    fn drop(&mut self) {
        self.0.set_proving(self.1, false);
    }
}

/// A lane's place at one of the sites; it counts there until this is dropped.
pub(crate) struct Seat {
    mirrors: Arc<Mirrors>,
    site: usize,
    taken: Instant,
    delivered: AtomicUsize,
}

impl Seat {
    fn take(mirrors: &Arc<Mirrors>, site: usize) -> Self {
        mirrors.sites.enter(site);
        let delivered = AtomicUsize::new(0);
        Self { mirrors: Arc::clone(mirrors), site, taken: Instant::now(), delivered }
    }

    /// Notes what came from here, and where in the file it belongs.
    pub(crate) fn note(&self, at: u64, piece: &Bytes) {
        self.delivered.fetch_add(piece.len(), Ordering::Relaxed);
        if self.site == 0 {
            let last = Some((at, piece.clone()));
            *self.mirrors.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        }
    }

    /// Whether it is at the source itself.
    pub(crate) const fn is_at_source(&self) -> bool {
        self.site == 0
    }

    /// How long to wait here for the next bytes, if not as long as usual.
    pub(crate) fn patience(&self) -> Option<Duration> {
        self.mirrors.sites.others_stand(self.site).then_some(PATIENCE)
    }

    /// Notes a failure; says whether another site may do better.
    pub(crate) fn fail(&self, error: &Error) -> bool {
        debug!(%error, site = self.site, "a mirror failed");
        self.mirrors.sites.fail(self.site, Standing::after(error));
        self.mirrors.sites.others_stand(self.site)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let bytes = self.delivered.load(Ordering::Relaxed);
        self.mirrors.sites.leave(self.site, bytes, self.taken.elapsed());
    }
}

impl Source {
    /// Asks for `span` at whichever site is fit and has the fewest lanes, and at the next one if
    /// that fails.
    pub(crate) async fn read(self, span: Span, mut conn: Option<Conn>) -> Result<Open, Error> {
        if self.mirrors().is_empty() {
            return self.read_here(span, conn).await;
        }
        let mut tried = Vec::new();
        let mut failure = None;
        while let Some(site) = self.choose(&tried, conn.as_ref()) {
            let seat = Seat::take(self.mirrors(), site);
            match self.read_in_time(&seat, span, conn.take()).await {
                Ok(open) => return Ok(open.seated(seat)),
                Err(error) => {
                    seat.fail(&error);
                    tried.push(site);
                    if site > 0 {
                        self.mirrors().refused.note(&error);
                    }
                    failure = worse(failure, error, site);
                }
            }
        }
        Err(failure.unwrap_or(Error::Url { why: "has no site" }))
    }

    /// A place at the source itself, if lanes are counted.
    pub(crate) fn seat(&self) -> Option<Seat> {
        (!self.mirrors().is_empty()).then(|| Seat::take(self.mirrors(), 0))
    }

    /// The site to ask next: the first time there always is one, afterwards only one that is fit.
    fn choose(&self, tried: &[usize], conn: Option<&Conn>) -> Option<usize> {
        let at_hand = |site: usize| {
            let found = self.site(site).found();
            conn.is_some_and(|conn| conn.serves(&found))
        };
        self.mirrors().sites.choose(tried, at_hand)
    }

    fn site(&self, site: usize) -> &Self {
        site.checked_sub(1).map_or(self, |at| &self.mirrors().others[at].source)
    }

    /// Asks at the seat's site, and for a short time only while another may do better.
    async fn read_in_time(
        &self,
        seat: &Seat,
        span: Span,
        conn: Option<Conn>,
    ) -> Result<Open, Error> {
        let reading = self.read_at(seat.site, span, conn);
        let Some(patience) = seat.patience() else { return reading.await };
        let slow = |_| Err(self.site(seat.site).too_slow(patience));
        timeout(patience, reading).await.unwrap_or_else(slow)
    }

    async fn read_at(&self, site: usize, span: Span, conn: Option<Conn>) -> Result<Open, Error> {
        let Some(at) = site.checked_sub(1) else {
            return self.clone().read_here(span, conn).await;
        };
        let other = &self.mirrors().others[at];
        if !other.proven.initialized() {
            let _proving = Proving::begin(&self.mirrors().sites, site);
            other.proven.get_or_try_init(|| self.prove(&other.source)).await?;
        }
        other.source.clone().read_here(span, conn).await
    }

    /// Compares a part of the file on a mirror with the same part here.
    async fn prove(&self, other: &Self) -> Result<(), Error> {
        let (span, expected) = self.reference().await?;
        if other.whole_part(span).await? == expected {
            return Ok(());
        }
        Err(Error::Changed { host: other.host(), what: "content" })
    }

    /// What mirrors are compared with: a random part, or if the source has none to give any more,
    /// what it gave last.
    async fn reference(&self) -> Result<(Span, Vec<u8>), Error> {
        let Mirrors { sites, sample, .. } = &**self.mirrors();
        let seen = self.mirrors().seen();
        if sample.initialized() || sites.is_fit(0) || seen.is_none() {
            match timeout(PATIENCE, sample.get_or_try_init(|| self.sample())).await {
                Ok(Ok(sample)) => return Ok(sample.clone()),
                Ok(Err(error)) => sites.fail(0, Standing::after(&error)),
                Err(_) => {}
            }
        }
        seen.ok_or_else(|| self.too_slow(PATIENCE))
    }

    async fn sample(&self) -> Result<(Span, Vec<u8>), Error> {
        let length = self.length().unwrap_or_default();
        let room = length.saturating_sub(SAMPLE);
        // Where it lies is no secret, but nobody can prepare for it.
        let start = RandomState::new().build_hasher().finish() % (room + 1);
        let span = Span::new(start, length.min(start + SAMPLE));
        let span = span.ok_or(Error::Url { why: "leads to an empty file" })?;
        Ok((span, self.whole_part(span).await?))
    }

    /// All bytes of a small span.
    async fn whole_part(&self, span: Span) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(rest) = Span::new(span.start() + bytes.len() as u64, span.end()) {
            let mut open = self.clone().read_here(rest, None).await?;
            let before = bytes.len();
            while let Some(room) = rest.len().checked_sub((bytes.len() - before) as u64)
                && let Some(piece) = open.next(room).await?
            {
                bytes.extend_from_slice(&piece);
            }
            self.client().keep(open);
        }
        Ok(bytes)
    }
}

/// The error to tell when all sites fail: that of the source itself.
fn worse(former: Option<Error>, error: Error, site: usize) -> Option<Error> {
    if site == 0 { Some(error) } else { former.or(Some(error)) }
}

/// How many mirrors are used.
const MOST: usize = 16;

/// How much of a mirror is compared, in bytes.
const SAMPLE: u64 = 64 << 10;

/// How long a site may keep a lane waiting while another could serve it.
const PATIENCE: Duration = Duration::from_secs(3);

//! One job from its first request to its last event.

use super::builder::Settings;
use super::segmented::Segmented;
use super::sidecar;
use super::single::{self, OWN};
use super::transfer::{Snapshot, Stop, Telling, interrupted};
use crate::disk::{Disk, Stored};
use crate::event::Happening;
use crate::reader::Grown;
use crate::register::Entry;
use crate::{Checks, Error, ErrorKind, Report, Verified, WorkerReport};
use haul_fetch::{Backoff, Body, Digest, Lane, Probe, Source};
use haul_span::{Span, SpanSet};
use haul_store::{JobFacts, Store, Target};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval};
use url::Url;

/// How the bytes came in: what was checked, and who brought them.
pub(crate) struct Fetched {
    pub(crate) verified: Verified,
    pub(crate) checks: Option<Checks>,
    pub(crate) workers: Vec<WorkerReport>,
    /// What the own link alone brings, in bytes per second.
    pub(crate) own_rate: f64,
    pub(crate) bytes: u64,
}

/// Runs the job and tells its end.
pub(crate) async fn run(
    settings: Settings,
    telling: Telling,
    mut stop: Stop,
    grown: watch::Sender<Grown>,
) -> Result<Report, Error> {
    let ended = Box::pin(attempt(&settings, &telling, &mut stop, grown)).await;
    telling.tell(match &ended {
        Ok(report) => Happening::Done(report.clone()),
        Err(error) => Happening::Failed(error.into()),
    });
    ended
}

async fn attempt(
    settings: &Settings,
    telling: &Telling,
    stop: &mut Stop,
    grown: watch::Sender<Grown>,
) -> Result<Report, Error> {
    check_place(settings)?;
    settings.notes.iter().for_each(|note| telling.note(note.as_str()));
    let Probe { source, body } = probe(settings, telling, stop).await?;
    let name = settings.name.clone().unwrap_or_else(|| source.name().to_owned());
    telling.tell(Happening::Probed {
        size: source.length(),
        ranges: source.ranges(),
        validator: source.validator().map(|validator| validator.to_string()),
        name: name.clone(),
    });
    warn(telling, &source);
    let store = open_store(settings, telling, &source, &settings.folder.join(name), stop).await?;
    let entry = note_job(settings, &store);
    let stored = store.stored().clone();
    let earlier = of_helpers(&store);
    let (disk, news) = Disk::start(store, expected(settings, &source), grown)?;
    let workers = Vec::new();
    let fetch = Fetch { settings, telling, source, stored, earlier, disk: &disk, news, workers };
    let origin = fetch.source.clone();
    let looking = async {
        tokio::join!(
            sidecar::look(settings, telling, &origin, &disk),
            tell_refused(telling, &origin)
        );
    };
    match beside(Box::pin(fetch_all(fetch, body, stop)), looking).await {
        Ok(fetched) => {
            let report = finish(settings, telling, disk, fetched).await?;
            entry.into_iter().for_each(Entry::strike);
            Ok(report)
        }
        Err(error) => {
            let left = if settings.is_spooled { disk.discard().await } else { disk.keep().await };
            left.and(Err(error))
        }
    }
}

/// Says which mirrors are left out, for as long as anybody listens.
async fn tell_refused(telling: &Telling, source: &Source) {
    loop {
        telling.note(format!("a mirror is left out: {}", source.refused_mirror().await));
    }
}

/// Does the work, and something else beside it as long as that takes.
async fn beside<T>(
    mut work: impl Future<Output = T> + Unpin,
    other: impl Future<Output = ()>,
) -> T {
    tokio::select! {
        biased;
        () = other => {}
        done = &mut work => return done,
    }
    work.await
}

/// Asks the origin what the file is, and again if it is busy or breaks off. Who cannot be reached
/// at all is not called twice: most likely the address is wrong.
async fn probe(settings: &Settings, telling: &Telling, stop: &mut Stop) -> Result<Probe, Error> {
    let (began, mut backoff) = (Instant::now(), Backoff::new(PROBES));
    loop {
        let probed = tokio::select! {
            probed = settings.probe() => probed,
            () = stop.requested() => return Err(interrupted()),
        };
        let error = match probed {
            Err(error) if !is_unreachable(&error) => error,
            done => return Ok(done?),
        };
        let silent = matches!(error, haul_fetch::Error::Timeout { .. });
        let pause = backoff.fail(error.retry(), Backoff::chance());
        let Some(pause) = pause.filter(|_| !silent || began.elapsed() < SILENCE) else {
            return Err(error.into());
        };
        telling.note(format!("{error}; asking again"));
        stop.sleep(pause).await?;
    }
}

fn is_unreachable(error: &haul_fetch::Error) -> bool {
    use haul_fetch::{Error, Stage};
    let never_met = matches!(error, Error::Resolve { .. } | Error::Connect { .. });
    never_met || matches!(error, Error::Timeout { stage: Stage::Resolve | Stage::Connect, .. })
}

/// Says what cannot be held against the origin later.
fn warn(telling: &Telling, source: &Source) {
    if let Some(coding) = source.encoding() {
        telling.note(format!(
            "the origin sends the file in {coding} although nobody asked for that; it is saved as \
             it comes"
        ));
    }
    if source.ranges() && source.validator().is_none() {
        telling.note(
            "the origin does not say which version of the file it sends: a change may go unseen",
        );
    }
}

/// Fetches the file in parts where the origin serves them, and otherwise in one stream.
async fn fetch_all(mut fetch: Fetch<'_>, body: Body, stop: &mut Stop) -> Result<Fetched, Error> {
    let body = match fetch.source.length() {
        Some(length) if fetch.source.ranges() && length > 0 => {
            let lane = Probe { source: fetch.source.clone(), body }.into_lane();
            match Segmented::run(&mut fetch, length, lane, stop).await? {
                Some(fetched) => return Ok(fetched),
                None => None,
            }
        }
        _ => Some(body),
    };
    if !fetch.disk.knows_digest() {
        // One stream brings everything anyway, so that nothing need stay that was not compared.
        for span in fetch.disk.forget_all_but(OWN).await?.iter() {
            fetch.stored.remove(span);
        }
    }
    single::run(fetch, body, stop).await
}

/// What helpers brought of what an earlier run left, and which.
fn of_helpers(store: &Store) -> Vec<(Span, u32)> {
    let whole = Span::new(0, u64::MAX).into_iter();
    let parts = whole.flat_map(|whole| store.deliverers(whole));
    parts.filter(|&(_, worker)| worker != OWN).collect()
}

/// What both ways of fetching need.
pub(crate) struct Fetch<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) telling: &'a Telling,
    pub(crate) source: Source,
    /// What is there already, from a former run or from parts.
    pub(crate) stored: SpanSet,
    /// What of that helpers brought, and which.
    pub(crate) earlier: Vec<(Span, u32)>,
    pub(crate) disk: &'a Disk,
    pub(crate) news: mpsc::UnboundedReceiver<Stored>,
    /// Who has brought parts.
    pub(crate) workers: Vec<WorkerReport>,
}

/// What is kept for nobody but a reader cannot be gone on with.
fn note_job(settings: &Settings, store: &Store) -> Option<Entry> {
    let lasts = !settings.is_spooled;
    lasts.then(|| settings.search.home.note_job(&store.path(), settings.digests.first())).flatten()
}

async fn finish(
    settings: &Settings,
    telling: &Telling,
    disk: Disk,
    fetched: Fetched,
) -> Result<Report, Error> {
    if settings.is_spooled {
        disk.hand_over().await?;
        return Ok(report(telling, PathBuf::from("-"), fetched));
    }
    let path = disk.publish().await?;
    telling.tell(Happening::Published { path: path.clone() });
    Ok(report(telling, path, fetched))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
fn report(telling: &Telling, path: PathBuf, fetched: Fetched) -> Report {
    let Fetched { verified, checks, workers, own_rate, bytes } = fetched;
    let seconds = telling.now().as_secs_f64();
    let alone = if own_rate > 0.0 { bytes as f64 / own_rate } else { seconds };
    let alone_seconds = if workers.len() == 1 { seconds } else { alone };
    let speedup = tenth(alone_seconds / seconds.max(1e-9));
    let (seconds, alone_seconds) = (milli(seconds), milli(alone_seconds));
    Report { v: 1, path, bytes, seconds, verified, checks, workers, alone_seconds, speedup }
}

fn milli(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

fn tenth(times: f64) -> f64 {
    (times * 10.0).round() / 10.0
}

/// Refuses early what the store would refuse after the first request.
fn check_place(settings: &Settings) -> Result<(), Error> {
    let folder = &settings.folder;
    if settings.is_spooled {
        return settings.search.home.clear_spool();
    }
    if !folder.is_dir() {
        let because = format!("the folder {} does not exist", folder.display());
        return Err(Error::new(ErrorKind::Disk, "the file cannot be saved", because)
            .with_remedy("make the folder first, or choose another with -d"));
    }
    match &settings.name {
        Some(name) => Ok(target(settings, &folder.join(name))?.look()?),
        None => Ok(()),
    }
}

fn target(settings: &Settings, path: &Path) -> Result<Target, haul_store::Error> {
    Ok(Target::new(path)?.clobber(settings.clobber).left(settings.left))
}

async fn open_store(
    settings: &Settings,
    telling: &Telling,
    source: &Source,
    path: &Path,
    stop: &mut Stop,
) -> Result<Store, Error> {
    let target = target(settings, path)?;
    let job = JobFacts {
        url: without_secrets(&settings.url),
        length: source.length(),
        validator: own_validator(settings, source),
    };
    let checked = Arc::new(AtomicU64::new(0));
    let tells = Arc::clone(&checked);
    let mut opening = tokio::task::spawn_blocking(move || {
        Store::open_watched(target, job, &mut |bytes| tells.store(bytes, Ordering::Relaxed))
    });
    let mut ticks = interval(BETWEEN_CHECKS);
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened,
            _ = ticks.tick() => tell_checked(telling, source, checked.load(Ordering::Relaxed)),
            () = stop.requested() => return Err(interrupted()),
        }
    };
    let mut store = opened.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    confirm_version(source, &mut store).await?;
    Ok(store)
}

/// What names the version at the URL that was asked for. Those of its mirrors name it otherwise, so
/// that what was left is compared instead.
fn own_validator(settings: &Settings, source: &Source) -> Option<String> {
    let validator = source.validator().filter(|_| *source.url() == settings.url);
    validator.map(|validator| validator.to_string())
}

/// Tells how much of what was left has been read again: with a large file that takes its time.
fn tell_checked(telling: &Telling, source: &Source, checked: u64) {
    if checked > 0 {
        let (size, stored) = (source.length(), checked);
        telling.progress(Snapshot { size, stored, durable: stored, ..Snapshot::default() });
    }
}

/// Where nothing names the version, what was left is compared with the origin before it is used;
/// where no part of it can be fetched for that, it is not used.
async fn confirm_version(source: &Source, store: &mut Store) -> Result<(), Error> {
    let unknown =
        store.resumed().is_some_and(|resumed| resumed.version == haul_store::Version::Unknown);
    if unknown && source.ranges() {
        let mut lane = Lane::new(source.clone());
        for sample in samples(store.stored()) {
            compare(&mut lane, store, sample).await?;
        }
    } else if unknown {
        for span in store.stored().clone().iter() {
            store.forget(span)?;
        }
    }
    Ok(store.confirm()?)
}

/// What is fetched again to compare: the first and the last that is stored, and something between.
fn samples(stored: &SpanSet) -> Vec<Span> {
    let spans: Vec<Span> = stored.iter().collect();
    let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return Vec::new() };
    let middle = spans[spans.len() / 2];
    let at = middle.start() + middle.len() / 2;
    let between = middle.from(at).and_then(|rest| rest.first(OVERLAP));
    let end = last.from(last.end().saturating_sub(OVERLAP)).unwrap_or(*last);
    [first.first(OVERLAP), between, Some(end)].into_iter().flatten().collect()
}

async fn compare(lane: &mut Lane, store: &mut Store, sample: Span) -> Result<(), Error> {
    lane.open(sample).await?;
    while let Some(piece) = lane.next().await? {
        let mut kept = vec![0; piece.len()];
        let at = lane.position() - piece.len() as u64;
        if store.read_at(at, &mut kept)? != piece.len() || kept != piece[..] {
            return Err(changed_since());
        }
    }
    Ok(())
}

fn changed_since() -> Error {
    Error::new(
        ErrorKind::Changed,
        "the file changed on the origin",
        "what a former run left is not what the origin has now",
    )
    .with_remedy("start again with --overwrite to get the new version")
}

fn expected(settings: &Settings, source: &Source) -> Vec<Digest> {
    let stated = if source.encoding().is_none() { source.digests() } else { &[] };
    settings.digests.iter().chain(stated).copied().collect()
}

/// The URL as it may be kept on disk: without a password, and without what a query may hold.
fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // A web URL can always lose its user and password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    // That there was a query stays to be seen: without it the address may lead elsewhere.
    let had_query = url.query().is_some();
    url.set_query(had_query.then_some(""));
    url.set_fragment(None);
    url.into()
}

/// How often the origin is asked what the file is.
const PROBES: u32 = 5;

/// An origin that is still silent after so long is not asked anew: one head that never ends gets a
/// second try, and no third.
const SILENCE: Duration = Duration::from_secs(45);

/// How much is fetched again at each place to compare, in bytes.
const OVERLAP: u64 = 64 << 10;

/// How often it is told how far the check of what was left is.
const BETWEEN_CHECKS: Duration = Duration::from_millis(250);

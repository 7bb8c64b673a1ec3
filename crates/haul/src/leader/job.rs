//! One job from its first request to its last event.

use super::builder::Settings;
use super::segmented::Segmented;
use super::single;
use super::transfer::{Stop, Telling, interrupted};
use crate::disk::{Disk, Stored};
use crate::event::Happening;
use crate::{Error, ErrorKind, Report, Verified, WorkerReport};
use haul_fetch::{Backoff, Body, Digest, Probe, Source};
use haul_span::SpanSet;
use haul_store::{JobFacts, Store, Target};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use url::Url;

/// How the bytes came in: what was checked, and who brought them.
pub(crate) struct Fetched {
    pub(crate) verified: Verified,
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
) -> Result<Report, Error> {
    let ended = attempt(&settings, &telling, &mut stop).await;
    telling.tell(match &ended {
        Ok(report) => Happening::Done(report.clone()),
        Err(error) => Happening::Failed(error.into()),
    });
    ended
}

async fn attempt(settings: &Settings, telling: &Telling, stop: &mut Stop) -> Result<Report, Error> {
    check_place(settings)?;
    let Probe { source, body } = probe(settings, telling, stop).await?;
    let name = settings.name.clone().unwrap_or_else(|| source.name().to_owned());
    telling.tell(Happening::Probed {
        size: source.length(),
        ranges: source.ranges(),
        validator: source.validator().map(|validator| validator.to_string()),
        name: name.clone(),
    });
    warn(telling, &source);
    let store = open_store(settings, &source, &settings.folder.join(name)).await?;
    let stored = store.stored().clone();
    let (disk, news) = Disk::start(store, expected(settings, &source))?;
    let workers = Vec::new();
    let fetch = Fetch { settings, telling, source, stored, disk: &disk, news, workers };
    match fetch_all(fetch, body, stop).await {
        Ok(fetched) => finish(telling, disk, fetched).await,
        Err(error) => {
            disk.keep().await?;
            Err(error)
        }
    }
}

/// Asks the origin what the file is, and again if it is busy or breaks off. Who cannot be reached
/// at all is not called twice: most likely the address is wrong.
async fn probe(settings: &Settings, telling: &Telling, stop: &mut Stop) -> Result<Probe, Error> {
    let mut backoff = Backoff::new(PROBES);
    loop {
        let probed = tokio::select! {
            probed = settings.probe() => probed,
            () = stop.requested() => return Err(interrupted()),
        };
        let error = match probed {
            Err(error) if !is_unreachable(&error) => error,
            done => return Ok(done?),
        };
        let Some(pause) = backoff.fail(error.retry(), Backoff::chance()) else {
            return Err(error.into());
        };
        telling.note(format!("{error}; asking again"));
        stop.sleep(pause).await?;
    }
}

fn is_unreachable(error: &haul_fetch::Error) -> bool {
    matches!(error, haul_fetch::Error::Resolve { .. } | haul_fetch::Error::Connect { .. })
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
    single::run(fetch, body, stop).await
}

/// What both ways of fetching need.
pub(crate) struct Fetch<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) telling: &'a Telling,
    pub(crate) source: Source,
    /// What is there already, from a former run or from parts.
    pub(crate) stored: SpanSet,
    pub(crate) disk: &'a Disk,
    pub(crate) news: mpsc::UnboundedReceiver<Stored>,
    /// Who has brought parts.
    pub(crate) workers: Vec<WorkerReport>,
}

async fn finish(telling: &Telling, disk: Disk, fetched: Fetched) -> Result<Report, Error> {
    let path = disk.publish().await?;
    telling.tell(Happening::Published { path: path.clone() });
    Ok(report(telling, path, fetched))
}

#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
fn report(telling: &Telling, path: PathBuf, fetched: Fetched) -> Report {
    let Fetched { verified, workers, own_rate, bytes } = fetched;
    let seconds = telling.now().as_secs_f64();
    let alone = if own_rate > 0.0 { bytes as f64 / own_rate } else { seconds };
    let alone_seconds = if workers.len() == 1 { seconds } else { alone };
    let speedup = tenth(alone_seconds / seconds.max(1e-9));
    let (seconds, alone_seconds) = (milli(seconds), milli(alone_seconds));
    Report { v: 1, path, bytes, seconds, verified, workers, alone_seconds, speedup }
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
    if !folder.is_dir() {
        let because = format!("the folder {} does not exist", folder.display());
        return Err(Error::new(ErrorKind::Disk, "the file cannot be saved", because)
            .with_remedy("make the folder first, or choose another with -d"));
    }
    match &settings.name {
        Some(name) if settings.clobber == haul_store::Clobber::Refuse => {
            refuse_existing(&folder.join(name))
        }
        _ => Ok(()),
    }
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(haul_store::Error::Exists { path: path.to_owned() }.into())
}

async fn open_store(settings: &Settings, source: &Source, path: &Path) -> Result<Store, Error> {
    let target = Target::new(path)?.clobber(settings.clobber).left(settings.left);
    let job = JobFacts {
        url: without_secrets(&settings.url),
        length: source.length(),
        validator: own_validator(settings, source),
    };
    let opened = tokio::task::spawn_blocking(move || Store::open(target, job)).await;
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

/// Where nothing names the version, what was left is compared with the origin before it is used;
/// where no part of it can be fetched for that, it is not used.
async fn confirm_version(source: &Source, store: &mut Store) -> Result<(), Error> {
    let unknown =
        store.resumed().is_some_and(|resumed| resumed.version == haul_store::Version::Unknown);
    if unknown && !source.ranges() {
        for span in store.stored().clone().iter() {
            store.forget(span)?;
        }
    }
    let Some(last) = store.stored().iter().next_back().filter(|_| unknown) else {
        return Ok(store.confirm()?);
    };
    let overlap = last.from(last.end().saturating_sub(OVERLAP)).unwrap_or(last);
    let mut lane = haul_fetch::Lane::new(source.clone());
    lane.open(overlap).await?;
    while let Some(piece) = lane.next().await? {
        let mut kept = vec![0; piece.len()];
        let at = lane.position() - piece.len() as u64;
        if store.read_at(at, &mut kept)? != piece.len() || kept != piece[..] {
            return Err(changed_since());
        }
    }
    Ok(store.confirm()?)
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
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// How often the origin is asked what the file is.
const PROBES: u32 = 5;

/// How much is fetched again to compare, in bytes.
const OVERLAP: u64 = 64 << 10;

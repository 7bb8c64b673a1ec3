use crate::Error;
use crate::claim::{Claimed, claim, lock};
use crate::disk::{Disk, DiskFile, Readers, Reserved};
use crate::hashing::Hashing;
use crate::journal::{Claims, Frames, Journal, Recovered};
use crate::piece::{MIB, Piece};
use crate::proof::{place_of, reread};
use crate::store::{Opened, Store};
use crate::target::{JobFacts, Left, Names, Target};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;

/// What a job found that a former run had left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The job as the former run knew it.
    pub job: JobFacts,
    /// Bytes that the journal claimed and that their BLAKE3 confirmed.
    pub confirmed: u64,
    /// Bytes that the journal claimed and that are not what was once delivered.
    pub refused: u64,
    /// Whether the stored bytes are known to be of the version that the origin has.
    pub version: Version,
}

/// Whether stored bytes are of the version of the file that the origin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The validators agree.
    Same,
    /// The former run or this one has no validator, or each has its own from a URL of its own: compare some of the bytes with the origin's,
    /// then call [`Store::confirm`] before the first write.
    Unknown,
}

/// Takes hold of the target's part file, and of what a former run left in it if that is wanted.
pub(crate) fn open<D: Disk>(
    disk: D,
    target: Target,
    job: JobFacts,
    checked: &mut dyn FnMut(u64),
) -> Result<Store<D>, Error> {
    let hashing = Hashing::start().map_err(Error::io("start a thread for", &target.folder))?;
    let claimed = claim(&disk, &target)?;
    let names = claimed.names.clone();
    let goes_on = claimed.left && target.left == Left::Continue;
    let opened =
        if goes_on { go_on(&disk, claimed, job, checked) } else { begin(&disk, claimed, job) };
    Ok(Store::new(disk, target, names, opened?, hashing))
}

/// Takes a name away if it still leads to this file.
pub(crate) fn remove_own<D: Disk>(disk: &D, name: &OsStr, file: &D::File) -> io::Result<()> {
    if disk.leads_to(name, file)? { disk.remove(name) } else { Ok(()) }
}

/// Takes part and journal away, as far as that can be done: the part first, so that there is never
/// one without the journal that says whose it is.
pub(crate) fn remove_both<D: Disk>(
    disk: &D,
    names: &Names,
    part: &D::File,
    journal: Option<&D::File>,
) {
    let part = remove_own(disk, &names.part, part);
    let both = part
        .and_then(|()| journal.map_or(Ok(()), |journal| remove_own(disk, &names.journal, journal)));
    if let Err(error) = both {
        tracing::warn!(part = ?names.part, %error, "cannot remove");
    }
}

/// Starts with nothing stored, in a part file that nobody can have had in hand before.
fn begin<D: Disk>(
    disk: &D,
    claimed: Claimed<D::File>,
    job: JobFacts,
) -> Result<Opened<D::File>, Error> {
    let Claimed { names, part, left, journal } = claimed;
    let former = journal.map(|journal| journal.file);
    let part = if left { made_anew(disk, &names, part)? } else { part };
    let begun = former
        .map_or(Ok(()), |former| remove_own(disk, &names.journal, &former))
        .map_err(Error::io("remove", names.journal_path()))
        .and_then(|()| begin_journal(disk, &names, &part, &job));
    let journal = begun.inspect_err(|_| remove_both(disk, &names, &part, None))?;
    let ready = reserve(disk, &part, &names, job.length, 0).and_then(|reserved| {
        disk.sync().map_err(Error::io("sync", names.folder()))?;
        Ok(reserved)
    });
    let reserved = ready.inspect_err(|_| remove_both(disk, &names, &part, Some(journal.file())))?;
    Ok(Opened { part, journal, job, reserved, held: Vec::new(), resumed: None })
}

/// A new part file in place of the one that was left.
fn made_anew<D: Disk>(disk: &D, names: &Names, left: D::File) -> Result<D::File, Error> {
    let path = names.part_path();
    remove_own(disk, &names.part, &left).map_err(Error::io("remove", &path))?;
    // Its space is free only when nobody has it open.
    drop(left);
    // The journal goes after the part for good, so that no crash leaves the part alone.
    disk.sync().map_err(Error::io("sync", names.folder()))?;
    let part = match disk.create(&names.part, Readers::Owner) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::Locked { path });
        }
        part => part.map_err(Error::io("create", &path))?,
    };
    if lock(&part, names)? { Ok(part) } else { Err(Error::Locked { path }) }
}

/// A journal gets its name when it has told its job, so that one without is never haul's.
fn begin_journal<D: Disk>(
    disk: &D,
    names: &Names,
    part: &D::File,
    job: &JobFacts,
) -> Result<Journal<D::File>, Error> {
    let path = names.journal_path();
    let place = place_of(part, names).map_err(Error::io("look at", names.part_path()))?;
    let fresh = fresh_name();
    let file = disk.create(&fresh, Readers::Owner).map_err(Error::io("create", &path))?;
    let journal = Journal::begin(file, job, place.as_ref()).map_err(Error::io("write to", &path));
    let renamed = journal.and_then(|journal| match disk.rename_new(&fresh, &names.journal) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::Foreign { path, why: "it appeared just now" })
        }
        done => done.map(|()| journal).map_err(Error::io("create", path)),
    });
    renamed.inspect_err(|_| {
        if let Err(error) = disk.remove(&fresh) {
            tracing::debug!(?fresh, %error, "cannot remove");
        }
    })
}

/// A name that nothing has: 64 random bits.
fn fresh_name() -> OsString {
    format!(".haul-{:016x}", RandomState::new().build_hasher().finish()).into()
}

/// Starts with what a former run left, or anew if it left nothing that could be known again.
fn go_on<D: Disk>(
    disk: &D,
    mut claimed: Claimed<D::File>,
    job: JobFacts,
    checked: &mut dyn FnMut(u64),
) -> Result<Opened<D::File>, Error> {
    let told = claimed.journal.as_mut().and_then(|journal| journal.told.take());
    let Some(recovered) = told.filter(|told| !told.claims.is_empty()) else {
        return begin(disk, claimed, job);
    };
    let Claimed { names, part, .. } = claimed;
    refuse_other_version(&names, &recovered, &job)?;
    part.set_readers(Readers::Owner).map_err(Error::io("close to others", names.part_path()))?;
    let (held, refused) = check(&part, &recovered.claims, checked);
    let confirmed = held.iter().map(|piece| piece.span.len()).sum();
    tracing::info!(part = ?names.part, confirmed, refused, "going on with a left part");
    let version = match (&recovered.job.validator, &job.validator) {
        (Some(was), Some(is)) if was == is => Version::Same,
        _ => Version::Unknown,
    };
    let now = JobFacts {
        url: job.url,
        length: job.length.or(recovered.job.length),
        validator: job.validator.or_else(|| recovered.job.validator.clone()),
    };
    let reserved = reserve(disk, &part, &names, now.length, confirmed)?;
    let news = (version == Version::Same && now != recovered.job).then_some(&now);
    let journal = go_on_journal(disk, &names, &part, &recovered, news)?;
    let resumed = Resumed { job: recovered.job, confirmed, refused, version };
    Ok(Opened { part, journal, job: now, reserved, held, resumed: Some(resumed) })
}

/// Goes on with the journal that was read, and adds what is new of the job and of the part.
fn go_on_journal<D: Disk>(
    disk: &D,
    names: &Names,
    part: &D::File,
    recovered: &Recovered,
    news: Option<&JobFacts>,
) -> Result<Journal<D::File>, Error> {
    let path = names.journal_path();
    let place = place_of(part, names).map_err(Error::io("look at", names.part_path()))?;
    let file = disk.open(&names.journal).map_err(Error::opening(&path))?;
    let mut journal = Journal::go_on(file, recovered).map_err(Error::io("cut", &path))?;
    let frames = news.into_iter().fold(journal.frames(), Frames::facts);
    let moved = place.as_ref().filter(|place| recovered.place.as_ref() != Some(place));
    let frames = moved.into_iter().fold(frames, Frames::place);
    if news.is_some() || moved.is_some() {
        journal.append(frames).map_err(Error::io("write to", path))?;
    }
    Ok(journal)
}

fn refuse_other_version(names: &Names, recovered: &Recovered, job: &JobFacts) -> Result<(), Error> {
    let changed = |fact, was, is| Err(Error::Changed { path: names.part_path(), fact, was, is });
    let former = &recovered.job;
    if let (Some(was), Some(is)) = (former.length, job.length)
        && was != is
    {
        return changed("length", was.to_string(), is.to_string());
    }
    // Mirrors of one file name its version each in its own way.
    if let (Some(was), Some(is)) = (&former.validator, &job.validator)
        && was != is
        && former.url == job.url
    {
        return changed("validator", was.clone(), is.clone());
    }
    let end = recovered.claims.end();
    match job.length {
        Some(is) if is < end => changed("length", format!("at least {end}"), is.to_string()),
        _ => Ok(()),
    }
}

/// The claims that the part's bytes confirm, and how many bytes of others there are.
fn check(part: &impl DiskFile, claims: &Claims, checked: &mut dyn FnMut(u64)) -> (Vec<Piece>, u64) {
    let mut buffer = vec![0; usize::try_from(MIB).unwrap_or_default()];
    let (mut refused, mut done) = (0, 0);
    let confirmed = claims.iter().filter(|piece| {
        // Bytes that can't be read are as good as bytes that are wrong: both are fetched again.
        let holds = reread(part, piece, &mut buffer).is_ok_and(|bytes| bytes.is_some());
        refused += if holds { 0 } else { piece.span.len() };
        done += piece.span.len();
        checked(done);
        holds
    });
    (confirmed.copied().collect(), refused)
}

/// Sees that the disk has room for the rest of the file, and sets it aside where that is possible.
fn reserve<D: Disk>(
    disk: &D,
    part: &D::File,
    names: &Names,
    length: Option<u64>,
    stored: u64,
) -> Result<Reserved, Error> {
    let path = names.part_path();
    let Some(length) = length else { return Ok(Reserved::Sparse) };
    let allocated = part.allocated().map_err(Error::io("look at", &path))?;
    let needed = length.saturating_sub(allocated.max(stored));
    let free = disk.free().map_err(Error::io("look at", names.folder()))?;
    if needed > free {
        return Err(Error::Full { path, needed, free });
    }
    part.reserve(length).map_err(Error::io("allocate space for", path))
}

use crate::disk::{Disk, DiskFile, Entry, Readers, Reserved};
use crate::hashing::Hashing;
use crate::journal::{self, Claims, Journal, Recovered, Replay};
use crate::piece::{MIB, Piece};
use crate::store::{Opened, Store};
use crate::target::{Clobber, JobFacts, Left, Names, Target};
use crate::{Error, ErrorKind};
use std::io;
use std::thread::sleep;
use std::time::Duration;

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
    let claimed = claim(&disk, &target)?;
    let begun_here = !claimed.left;
    let names = claimed.names.clone();
    let hashing = Hashing::start().map_err(Error::io("start a thread for", names.part_path()));
    let opened = hashing.and_then(|hashing| {
        let goes_on = claimed.left && target.left == Left::Continue;
        let opened =
            if goes_on { go_on(&disk, claimed, job, checked) } else { begin(&disk, claimed, job) };
        Ok((opened?, hashing))
    });
    match opened {
        Ok((opened, hashing)) => Ok(Store::new(disk, target, names, opened, hashing)),
        Err(error) => {
            if begun_here {
                remove_both(&disk, &names);
            }
            Err(error)
        }
    }
}

/// Takes part and journal away, as far as that can be done.
pub(crate) fn remove_both(disk: &impl Disk, names: &Names) {
    for name in [&names.journal, &names.part] {
        if let Err(error) = disk.remove(name) {
            tracing::warn!(?name, %error, "cannot remove");
        }
    }
}

/// A part file that is locked for this job.
struct Claimed<F> {
    names: Names,
    part: F,
    left: bool,
}

fn claim<D: Disk>(disk: &D, target: &Target) -> Result<Claimed<D::File>, Error> {
    let mut refused = None;
    for names in target.candidates() {
        match claim_names(disk, target, names) {
            Err(error) if target.clobber == Clobber::AutoRename && is_taken(&error) => {
                refused.get_or_insert(error);
            }
            done => return done,
        }
    }
    Err(refused.unwrap_or_else(|| Error::Exists { path: target.folder.join(&target.name) }))
}

fn is_taken(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Exists | ErrorKind::Locked | ErrorKind::PartLeft)
}

fn claim_names<D: Disk>(
    disk: &D,
    target: &Target,
    names: Names,
) -> Result<Claimed<D::File>, Error> {
    let path = names.part_path();
    for _ in 0..RACES {
        refuse_existing(disk, target, &names)?;
        match disk.create(&names.part, Readers::Umask) {
            Ok(part) if lock(&part, &names)? => return Ok(Claimed { names, part, left: false }),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", path)(error)),
        }
        let Some(part) = lock_left(disk, &names)? else { continue };
        return match (target.left, target.clobber) {
            (Left::Refuse, Clobber::Refuse | Clobber::AutoRename) => Err(Error::PartLeft { path }),
            _ => Ok(Claimed { names, part, left: true }),
        };
    }
    Err(Error::Locked { path })
}

/// The part file that is there, locked; `None` if its owner finished with it meanwhile.
fn lock_left<D: Disk>(disk: &D, names: &Names) -> Result<Option<D::File>, Error> {
    let path = names.part_path();
    let part = match disk.open(&names.part) {
        Ok(part) => part,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(Error::Exists { path });
        }
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    if !lock(&part, names)? {
        return Err(Error::Locked { path });
    }
    // Whoever published between the opening and the locking left a finished file in our hands.
    let ours = disk.leads_to(&names.part, &part).map_err(Error::io("look at", path))?;
    Ok(ours.then_some(part))
}

fn refuse_existing(disk: &impl Disk, target: &Target, names: &Names) -> Result<(), Error> {
    let path = names.file_path();
    let there = disk.look(&names.file).map_err(Error::io("look at", &path))?;
    let in_the_way = match there {
        None => false,
        Some(Entry::Folder) => true,
        Some(Entry::Plain | Entry::Special) => target.clobber != Clobber::Overwrite,
    };
    if in_the_way { Err(Error::Exists { path }) } else { Ok(()) }
}

/// Takes the lock, `false` if it is another's: whoever only looks whether it is taken is soon gone.
fn lock(part: &impl DiskFile, names: &Names) -> Result<bool, Error> {
    let locked = || part.try_lock().map_err(Error::io("lock", names.part_path()));
    for _ in 1..LOOKS {
        if locked()? {
            return Ok(true);
        }
        sleep(LOOK);
    }
    locked()
}

/// Starts with nothing stored.
fn begin<D: Disk>(
    disk: &D,
    claimed: Claimed<D::File>,
    job: JobFacts,
) -> Result<Opened<D::File>, Error> {
    let Claimed { names, part, .. } = claimed;
    let journal_path = names.journal_path();
    disk.remove(&names.journal).map_err(Error::io("remove", &journal_path))?;
    part.set_len(0).map_err(Error::io("empty", names.part_path()))?;
    let reserved = reserve(disk, &part, &names, job.length, 0)?;
    let file = disk.create(&names.journal, Readers::Owner);
    let file = file.map_err(Error::io("create", &journal_path))?;
    let journal = Journal::begin(file, &job).map_err(Error::io("write to", journal_path))?;
    disk.sync().map_err(Error::io("sync", names.folder()))?;
    Ok(Opened { part, journal, job, reserved, held: Vec::new(), resumed: None })
}

/// Starts with what a former run left, or anew if it left nothing that could be known again.
fn go_on<D: Disk>(
    disk: &D,
    claimed: Claimed<D::File>,
    job: JobFacts,
    checked: &mut dyn FnMut(u64),
) -> Result<Opened<D::File>, Error> {
    let names = &claimed.names;
    let Some((file, recovered)) = recover(disk, names)? else { return begin(disk, claimed, job) };
    if recovered.claims.is_empty() {
        return begin(disk, claimed, job);
    }
    refuse_other_version(names, &recovered, &job)?;
    let (held, refused) = check(&claimed.part, &recovered.claims, checked);
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
    let reserved = reserve(disk, &claimed.part, names, now.length, confirmed)?;
    let path = names.journal_path();
    let mut journal = Journal::go_on(file, &recovered).map_err(Error::io("cut", &path))?;
    if version == Version::Same && now != recovered.job {
        let facts = journal.frames().facts(&now);
        journal.append(facts).map_err(Error::io("write to", path))?;
    }
    let resumed = Resumed { job: recovered.job, confirmed, refused, version };
    let part = claimed.part;
    Ok(Opened { part, journal, job: now, reserved, held, resumed: Some(resumed) })
}

fn recover<D: Disk>(disk: &D, names: &Names) -> Result<Option<(D::File, Recovered)>, Error> {
    let path = names.journal_path();
    let file = match disk.open(&names.journal) {
        Ok(file) => file,
        Err(error) if is_no_journal(&error) => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    match journal::recover(&file).map_err(Error::io("read", &path))? {
        Replay::Held(recovered) => Ok(Some((file, recovered))),
        Replay::Newer(version) => Err(Error::OtherVersion { path, version }),
        Replay::Unreadable => {
            tracing::warn!(?path, "the journal is torn: starting anew");
            Ok(None)
        }
    }
}

fn is_no_journal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput)
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
        let len = usize::try_from(piece.span.len()).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = &mut buffer[..len];
        let read = part.read_at(piece.span.start(), bytes);
        // Bytes that can't be read are as good as bytes that are wrong: both are fetched again.
        let holds = read.is_ok_and(|read| read == len) && piece.is(bytes);
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

/// How often the lock is tried, and the pause between; looking takes microseconds.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(10);

/// How often another haul may finish with this name while this one looks at it.
const RACES: u32 = 8;

//! Taking hold of a target's names.

use crate::disk::{Disk, DiskFile, Entry, Readers};
use crate::proof::{LeftJournal, left_journal, prove};
use crate::target::{Clobber, Left, Names, Target};
use crate::{Error, ErrorKind};
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// A part file that is locked for this job.
pub(crate) struct Claimed<F> {
    pub(crate) names: Names,
    pub(crate) part: F,
    /// Whether a former run left the part.
    pub(crate) left: bool,
    /// The journal of a former run.
    pub(crate) journal: Option<LeftJournal<F>>,
}

pub(crate) fn claim<D: Disk>(disk: &D, target: &Target) -> Result<Claimed<D::File>, Error> {
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

/// Fails as [`claim`] would, and takes hold of nothing.
pub(crate) fn look<D: Disk>(disk: &D, target: &Target) -> Result<(), Error> {
    if target.clobber == Clobber::AutoRename {
        return Ok(());
    }
    let names = Names::new(&target.folder, target.name.clone());
    refuse_existing(disk, target, &names)?;
    let is_left = seen(disk, &names)?.is_some();
    if is_left { may_take(target, &names) } else { left_journal(disk, &names).map(drop) }
}

fn is_taken(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Exists
            | ErrorKind::Foreign
            | ErrorKind::Locked
            | ErrorKind::PartLeft
            | ErrorKind::Unsafe
    )
}

fn claim_names<D: Disk>(
    disk: &D,
    target: &Target,
    names: Names,
) -> Result<Claimed<D::File>, Error> {
    let path = names.part_path();
    for _ in 0..RACES {
        refuse_existing(disk, target, &names)?;
        if seen(disk, &names)?.is_some() {
            may_take(target, &names)?;
            let Some(part) = lock_left(disk, &names)? else { continue };
            // Whoever had the lock meanwhile may have written to both.
            let journal = left_journal(disk, &names)?;
            prove(&part, &names, journal.as_ref())?;
            return Ok(Claimed { names, part, left: true, journal });
        }
        let journal = left_journal(disk, &names)?;
        match disk.create(&names.part, Readers::Owner) {
            Ok(part) if lock(&part, &names)? => {
                return Ok(Claimed { names, part, left: false, journal });
            }
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", path)(error)),
        }
    }
    Err(Error::Locked { path })
}

fn may_take(target: &Target, names: &Names) -> Result<(), Error> {
    match (target.left, target.clobber) {
        (Left::Refuse, Clobber::Refuse | Clobber::AutoRename) => {
            Err(Error::PartLeft { path: names.part_path() })
        }
        _ => Ok(()),
    }
}

/// The part that a former run left, opened for reading; an error if another haul is at it, or if it
/// is not haul's.
fn seen<D: Disk>(disk: &D, names: &Names) -> Result<Option<D::File>, Error> {
    let path = names.part_path();
    let part = match disk.open_to_read(&names.part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        part => part.map_err(Error::opening(&path))?,
    };
    if part.is_locked().map_err(Error::io("look at", &path))? {
        return Err(Error::Locked { path });
    }
    prove(&part, names, left_journal(disk, names)?.as_ref())?;
    Ok(Some(part))
}

/// The part file that is there, locked; `None` if its owner finished with it meanwhile.
pub(crate) fn lock_left<D: Disk>(disk: &D, names: &Names) -> Result<Option<D::File>, Error> {
    let path = names.part_path();
    let part = match disk.open(&names.part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        part => part.map_err(Error::opening(&path))?,
    };
    if !lock(&part, names)? {
        return Err(Error::Locked { path });
    }
    // Whoever published between the opening and the locking left a finished file in our hands.
    let ours = disk.leads_to(&names.part, &part).map_err(Error::io("look at", path))?;
    Ok(ours.then_some(part))
}

/// An error if something has the final name that the target does not allow to replace, or that is
/// never replaced.
pub(crate) fn refuse_existing(
    disk: &impl Disk,
    target: &Target,
    names: &Names,
) -> Result<(), Error> {
    let path = names.file_path();
    let never = |what| Err(Error::InTheWay { path: path.clone(), what });
    match disk.look(&names.file).map_err(Error::io("look at", &path))? {
        Some(Entry::Folder) => never("is a folder"),
        Some(Entry::Special) => never("is a device, a pipe or a socket"),
        Some(_) if target.clobber != Clobber::Overwrite => Err(Error::Exists { path }),
        // The part of another job may be what has the name.
        Some(_) if is_at_work(disk, names) => Err(Error::Locked { path }),
        _ => Ok(()),
    }
}

fn is_at_work(disk: &impl Disk, names: &Names) -> bool {
    disk.open_to_read(&names.file).and_then(|file| file.is_locked()).unwrap_or(false)
}

/// Takes the lock, `false` if it is another's: whoever only looks whether it is taken is soon gone.
pub(crate) fn lock(part: &impl DiskFile, names: &Names) -> Result<bool, Error> {
    let locked = || part.try_lock().map_err(Error::io("lock", names.part_path()));
    for _ in 1..LOOKS {
        if locked()? {
            return Ok(true);
        }
        sleep(LOOK);
    }
    locked()
}

/// How often the lock is tried, and the pause between; looking takes microseconds.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(10);

/// How often another haul may finish with this name while this one looks at it.
const RACES: u32 = 8;

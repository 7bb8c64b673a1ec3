//! Whether a part and a journal are haul's, and this job's: told by what is in them. A name proves
//! nothing, as a user's file may have any.

use crate::Error;
use crate::disk::{Disk, DiskFile};
use crate::journal::{self, Claims, Place, Recovered, Replay};
use crate::piece::{MIB, Piece};
use crate::target::Names;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// A journal that a former run left for this target.
pub(crate) struct LeftJournal<F> {
    pub(crate) file: F,
    /// What it says; nothing if it was torn before it told its job.
    pub(crate) told: Option<Recovered>,
}

/// The journal with this target's name, if there is one; an error if it is not this target's.
pub(crate) fn left_journal<D: Disk>(
    disk: &D,
    names: &Names,
) -> Result<Option<LeftJournal<D::File>>, Error> {
    let path = names.journal_path();
    let file = match disk.open_to_read(&names.journal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(Error::opening(&path))?,
    };
    let told = match journal::recover(&file).map_err(Error::io("read", &path))? {
        Replay::Held(told) if names_other(&told, names) => {
            return Err(Error::Foreign { path, why: "it is the journal of another file" });
        }
        Replay::Held(told) => Some(told),
        Replay::Torn => None,
        Replay::Newer(version) => return Err(Error::OtherVersion { path, version }),
        Replay::Foreign => return Err(Error::Foreign { path, why: "it is no journal" }),
    };
    Ok(Some(LeftJournal { file, told }))
}

/// An error unless `part` is the part file of this target that the journal speaks of.
pub(crate) fn prove<F: DiskFile>(
    part: &F,
    names: &Names,
    journal: Option<&LeftJournal<F>>,
) -> Result<(), Error> {
    let told = journal.and_then(|journal| journal.told.as_ref());
    let path = names.part_path();
    let proved = match told {
        Some(told) => belongs(part, told),
        None => Ok(false),
    };
    let ours = proved.and_then(|ours| Ok(ours || is_worthless(part, names)?));
    if ours.map_err(Error::io("look at", &path))? {
        return Ok(());
    }
    let why = match told {
        Some(_) => "it is not what its journal speaks of",
        None => "no journal speaks of it",
    };
    Err(Error::Foreign { path, why })
}

/// What a journal says of a part that was just made; nothing where the disk keeps no modes, as it
/// seldom keeps the numbers of its files either.
pub(crate) fn place_of(part: &impl DiskFile, names: &Names) -> io::Result<Option<Place>> {
    let id = part.id()?.filter(|_| part.is_private().unwrap_or(false));
    Ok(id.map(|part| Place { part, file: names.file.as_bytes().to_owned() }))
}

fn names_other(told: &Recovered, names: &Names) -> bool {
    told.place.as_ref().is_some_and(|place| place.file != names.file.as_bytes())
}

/// A part that was moved to another disk has another number there, and is known by its bytes; but a
/// finished file is not taken for it, which others may read.
fn belongs(part: &impl DiskFile, told: &Recovered) -> io::Result<bool> {
    let evidence = evidence(part, &told.claims);
    let is_long_enough =
        told.job.length.is_none_or(|length| part.len().is_ok_and(|is| is >= length));
    Ok(match (&told.place, part.id()?) {
        (Some(place), Some(id)) if place.part == id => match evidence {
            Evidence::For => true,
            Evidence::Neither => is_long_enough,
            Evidence::Against => false,
        },
        (Some(_), Some(_)) => evidence == Evidence::For && part.is_private()?,
        (None, Some(_)) => evidence == Evidence::For,
        (_, None) => evidence != Evidence::Against,
    })
}

/// What a crash leaves of a part before its journal is there, or of a sweep: nothing is lost with
/// it.
fn is_worthless(part: &impl DiskFile, names: &Names) -> io::Result<bool> {
    if part.is_private()? && part.is_blank()? {
        return Ok(true);
    }
    let replay = journal::recover(part)?;
    let Replay::Held(told) = replay else { return Ok(false) };
    Ok(told.place.is_some() && !names_other(&told, names))
}

/// What the bytes of a part say about whether it is the one that a journal claims pieces of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    For,
    Against,
    Neither,
}

/// Zeros prove nothing, as many files have some; what cannot be read cannot be told from a piece.
fn evidence(part: &impl DiskFile, claims: &Claims) -> Evidence {
    let mut found = Evidence::Neither;
    let mut buffer = vec![0; usize::try_from(MIB).unwrap_or_default()];
    for piece in claims.iter() {
        match reread(part, piece, &mut buffer) {
            Ok(Some(bytes)) if bytes.iter().all(|&byte| byte == 0) => {}
            Ok(Some(_)) | Err(_) => return Evidence::For,
            Ok(None) => found = Evidence::Against,
        }
    }
    found
}

/// The bytes of a piece, if they are still the ones that were written.
pub(crate) fn reread<'a>(
    part: &impl DiskFile,
    piece: &Piece,
    buffer: &'a mut [u8],
) -> io::Result<Option<&'a [u8]>> {
    let len = usize::try_from(piece.span.len()).unwrap_or(usize::MAX).min(buffer.len());
    let bytes = &mut buffer[..len];
    let read = part.read_at(piece.span.start(), bytes)?;
    Ok((read == len && piece.is(bytes)).then_some(bytes))
}

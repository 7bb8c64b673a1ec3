use crate::Error;
use crate::disk::{Disk, DiskFile, Entry, Folder};
use crate::open::remove_own;
use crate::proof::left_journal;
use crate::target::{Names, Target};
use std::io;
use std::path::Path;

/// Takes away the journal of the file at `path`, if that was published and its job ended before it
/// could do so; says whether it did.
pub fn sweep(path: &Path) -> Result<bool, Error> {
    let target = Target::new(path)?;
    match Folder::open(&target.folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        disk => sweep_on(&disk.map_err(Error::io("open", &target.folder))?, &target),
    }
}

/// As [`sweep`], in the folder that `disk` is; that of the target only shows up in messages.
pub fn sweep_on(disk: &impl Disk, target: &Target) -> Result<bool, Error> {
    let names = Names::new(&target.folder, target.name.clone());
    let Some(journal) = journal_of_published(disk, &names) else { return Ok(false) };
    if !journal.try_lock().map_err(Error::io("lock", names.journal_path()))? {
        return Ok(false);
    }
    // Whoever begins a job claims the part's name. With the journal under that name, locked, there
    // is no moment in which it could be the journal of a job that has just begun.
    match disk.rename_new(&names.journal, &names.part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(Error::io("remove", names.journal_path())(error)),
    }
    let removed = remove_own(disk, &names.part, &journal);
    removed.map_err(Error::io("remove", names.part_path()))?;
    disk.sync().map_err(Error::io("sync", names.folder()))?;
    Ok(true)
}

/// The journal, if there is no part that it could speak of, and a file as long as it says. What
/// cannot be looked at is left alone.
fn journal_of_published<D: Disk>(disk: &D, names: &Names) -> Option<D::File> {
    let is_plain = disk.look(&names.file).ok()? == Some(Entry::Plain);
    if !is_plain || disk.look(&names.part).ok()?.is_some() {
        return None;
    }
    let journal = left_journal(disk, names).ok()??;
    let length = disk.open_to_read(&names.file).ok()?.len().ok()?;
    (journal.told?.job.length == Some(length)).then_some(())?;
    disk.open(&names.journal).ok()
}

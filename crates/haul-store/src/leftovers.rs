use crate::Error;
use crate::claim::lock_left;
use crate::disk::{Disk, DiskFile, Folder};
use crate::open::remove_both;
use crate::proof::{left_journal, prove};
use crate::target::{JOURNAL, JobFacts, Names, Target};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A job that a former run left, or that another haul is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where its file will appear.
    pub path: PathBuf,
    /// The job as its journal tells it.
    pub job: JobFacts,
    /// Bytes that the journal claims; only resuming checks them.
    pub claimed: u64,
    /// Whether another haul is downloading to it.
    pub in_use: bool,
    /// When its journal was last written to.
    pub touched: SystemTime,
}

/// The jobs in `folder` that can be resumed, by name.
///
/// Parts without a readable journal, and journals without a part, are passed over.
pub fn leftovers(folder: &Path) -> Result<Vec<Leftover>, Error> {
    let disk = Folder::open(folder).map_err(Error::io("open", folder))?;
    let mut found: Vec<_> =
        journaled_names(folder)?.into_iter().filter_map(|name| look(&disk, folder, name)).collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

impl Leftover {
    /// The job that was left for the file at `path`; `None` if there is none with a part and a
    /// readable journal.
    pub fn of(path: &Path) -> Result<Option<Self>, Error> {
        let target = Target::new(path)?;
        let disk = match Folder::open(&target.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            disk => disk.map_err(Error::io("open", &target.folder))?,
        };
        Ok(look(&disk, &target.folder, target.name))
    }

    /// Takes its part and its journal away; fails with [`Error::Locked`] if it is in use, and with
    /// [`Error::Foreign`] if one of them is another file by now.
    pub fn discard(self) -> Result<(), Error> {
        let name = self.path.file_name().unwrap_or_default().to_owned();
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let disk = Folder::open(folder).map_err(Error::io("open", folder))?;
        let names = Names::new(folder, name);
        let Some(part) = lock_left(&disk, &names)? else { return Ok(()) };
        let journal = left_journal(&disk, &names)?;
        prove(&part, &names, journal.as_ref())?;
        remove_both(&disk, &names, &part, journal.as_ref().map(|journal| &journal.file));
        disk.sync().map_err(Error::io("sync", folder))
    }
}

fn journaled_names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let names = entries.map(|entry| Ok(job_name(&entry?.file_name())));
    let names: io::Result<Vec<_>> = names.filter_map(Result::transpose).collect();
    names.map_err(Error::io("read", folder))
}

fn job_name(journal: &OsStr) -> Option<OsString> {
    let name = journal.as_bytes().strip_suffix(JOURNAL.as_bytes())?;
    (!name.is_empty()).then(|| OsStr::from_bytes(name).to_owned())
}

fn look(disk: &Folder, folder: &Path, name: OsString) -> Option<Leftover> {
    let names = Names::new(folder, name);
    let part = disk.open_to_read(&names.part).ok()?;
    let journal = left_journal(disk, &names).ok()??;
    prove(&part, &names, Some(&journal)).ok()?;
    let recovered = journal.told?;
    let in_use = part.is_locked().ok()?;
    let journaled = recovered.journaled();
    let claimed = journaled.claimed.bytes();
    let touched = names.journal_path().symlink_metadata().ok()?.modified().ok()?;
    Some(Leftover { path: names.file_path(), job: journaled.job, claimed, in_use, touched })
}

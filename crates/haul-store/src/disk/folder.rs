use super::own::{self, Access, Demand, NotOwn};
use super::{Disk, DiskFile, Entry, FileId, Readers, Reserved, is_blank, platform};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A real folder.
///
/// It stays the same folder whatever happens to its path while the job runs.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
}

/// An open file in a [`Folder`].
#[derive(Debug)]
pub struct FolderFile {
    file: File,
}

impl Folder {
    /// Opens the folder at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Whether every user may rename and remove what is in it, which only a sticky bit prevents.
    pub(crate) fn is_open_to_others(&self) -> io::Result<bool> {
        let mode = rustix::fs::fstat(&self.fd)?.st_mode;
        Ok(mode & 0o002 != 0 && mode & 0o1000 == 0)
    }

    /// Opens a file that haul made before. Whatever it is for, it is this user's, a plain file, has
    /// one name and is reached over no symbolic link, and its mode is as `demand` has it; or the
    /// open fails with a [`NotOwn`].
    pub fn open_own(&self, name: &OsStr, access: Access, demand: Demand) -> io::Result<FolderFile> {
        // A pipe must not make the open wait for somebody at its other end.
        let file = match self.open_at(name, access.flags() | OFlags::NONBLOCK, Mode::empty()) {
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(NotOwn::Kind.into()),
            file => file?,
        };
        let stat = rustix::fs::fstat(&file.file)?;
        own::check(&stat)?;
        match own::check_mode(stat.st_mode, demand) {
            Err(_) if demand == Demand::Mended => file.set_readers(Readers::Owner)?,
            checked => checked?,
        }
        Ok(file)
    }

    /// Makes a new, empty file that nobody else may read or write to.
    pub fn create_own(&self, name: &OsStr, access: Access) -> io::Result<FolderFile> {
        let flags = access.flags() | OFlags::CREATE | OFlags::EXCL;
        Ok(self.open_at(name, flags, Mode::RUSR | Mode::WUSR)?)
    }

    fn open_at(&self, name: &OsStr, flags: OFlags, mode: Mode) -> Result<FolderFile, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, mode)?;
        Ok(FolderFile { file: File::from(fd) })
    }

    fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl FolderFile {
    /// Another handle on the same open file.
    pub(crate) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The open file itself.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Disk for Folder {
    type File = FolderFile;

    fn create(&self, name: &OsStr, readers: Readers) -> io::Result<FolderFile> {
        let file = self.create_own(name, Access::Write)?;
        if readers == Readers::Umask {
            file.set_readers(readers)?;
        }
        Ok(file)
    }

    fn open(&self, name: &OsStr) -> io::Result<FolderFile> {
        self.open_own(name, Access::Write, Demand::Unwritable)
    }

    fn open_to_read(&self, name: &OsStr) -> io::Result<FolderFile> {
        self.open_own(name, Access::Read, Demand::Unwritable)
    }

    fn look(&self, name: &OsStr) -> io::Result<Option<Entry>> {
        Ok(self.stat(name)?.as_ref().map(entry_of))
    }

    fn leads_to(&self, name: &OsStr, file: &FolderFile) -> io::Result<bool> {
        let held = rustix::fs::fstat(&file.file)?;
        let same = |named: Stat| (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino);
        Ok(self.stat(name)?.is_some_and(same))
    }

    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        match platform::rename_new(&self.fd, from, to) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => self.link_new(from, to),
            done => Ok(done?),
        }
    }

    fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // Some network file systems can't sync a folder, and need not.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn free(&self) -> io::Result<u64> {
        let fs = rustix::fs::fstatvfs(&self.fd)?;
        Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
    }
}

impl Folder {
    /// A hard link never replaces, so it stands in where no renaming call promises that.
    fn link_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty())?;
        Ok(rustix::fs::unlinkat(&self.fd, from, AtFlags::empty())?)
    }
}

impl DiskFile for FolderFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match self.file.read_at(&mut into[read..], at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, mut at: u64, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !parts.is_empty() {
            match platform::write_some_at(&self.file, at, parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn allocated(&self) -> io::Result<u64> {
        Ok(std::os::unix::fs::MetadataExt::blocks(&self.file.metadata()?).saturating_mul(512))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<Reserved> {
        match platform::allocate(&self.file, len) {
            Ok(()) => Ok(Reserved::Allocated),
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {
                self.file.set_len(len)?;
                Ok(Reserved::Sparse)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_locked(&self) -> io::Result<bool> {
        // Others who look at the same moment are no holders.
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(rustix::fs::flock(&self.file, FlockOperation::Unlock).map(|()| false)?),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => {
                tracing::warn!("this file system has no locks: start one haul per file only");
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn id(&self) -> io::Result<Option<FileId>> {
        let about = self.file.metadata()?;
        let born = about.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|born| u64::try_from(born.as_nanos()).ok()).unwrap_or(0);
        Ok(Some(FileId { inode: std::os::unix::fs::MetadataExt::ino(&about), born }))
    }

    fn is_own(&self) -> io::Result<bool> {
        let stat = rustix::fs::fstat(&self.file)?;
        let owned = own::check(&stat);
        Ok(owned.and_then(|()| own::check_mode(stat.st_mode, Demand::Unwritable)).is_ok())
    }

    fn is_private(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.file)?.st_mode & own::OTHERS == 0)
    }

    fn set_readers(&self, readers: Readers) -> io::Result<()> {
        let mode = match readers {
            Readers::Umask => 0o666 & !platform::umask(),
            Readers::Owner => 0o600,
        };
        Ok(rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode))?)
    }

    fn is_blank(&self) -> io::Result<bool> {
        is_blank(self, &|at| platform::next_data(&self.file, at))
    }
}

fn entry_of(stat: &Stat) -> Entry {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Entry::Plain,
        FileType::Directory => Entry::Folder,
        FileType::Symlink => Entry::Link,
        _ => Entry::Special,
    }
}

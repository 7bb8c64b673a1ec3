//! The few file operations that a store needs, so that a test can cut, fail or lose any of them.

mod folder;
mod own;
mod platform;

pub use folder::{Folder, FolderFile};
pub use own::{Access, Demand, NotOwn};

use std::ffi::OsStr;
use std::io::{self, IoSlice};

/// One folder of a disk, whose entries are named without a path.
pub trait Disk {
    /// An open file.
    type File: DiskFile;

    /// Makes a new, empty file; fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if
    /// anything has the name, be it a symbolic link that leads nowhere.
    fn create(&self, name: &OsStr, readers: Readers) -> io::Result<Self::File>;

    /// Opens a plain file for reading and writing; never follows a symbolic link, and fails with a
    /// [`NotOwn`] for whatever is not a plain file with one name that is this user's and that nobody
    /// else may write to.
    fn open(&self, name: &OsStr) -> io::Result<Self::File>;

    /// As [`open`](Self::open), for reading only: what may not be haul's is not opened for writing.
    fn open_to_read(&self, name: &OsStr) -> io::Result<Self::File> {
        self.open(name)
    }

    /// What has the name, if anything has; never follows a symbolic link.
    fn look(&self, name: &OsStr) -> io::Result<Option<Entry>>;

    /// Whether `name` still leads to `file`.
    fn leads_to(&self, name: &OsStr, file: &Self::File) -> io::Result<bool>;

    /// Renames in one step; fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if
    /// anything has the name `to`.
    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Renames in one step and replaces the file that has the name `to`, if one has.
    fn rename_over(&self, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Takes a name away; it is no error if nothing has it.
    fn remove(&self, name: &OsStr) -> io::Result<()>;

    /// Returns once all earlier changes of names would survive a power cut.
    fn sync(&self) -> io::Result<()>;

    /// How many bytes this user can still allocate.
    fn free(&self) -> io::Result<u64>;
}

/// An open file of a [`Disk`].
pub trait DiskFile {
    /// Reads from `at` on; returns less than was asked only at the end of the file.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `parts`, one after the other; after an error any bytes of them may be written.
    fn write_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()>;

    /// Bytes from the start to the end of the file.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no byte.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Bytes that the disk has set aside for the file.
    fn allocated(&self) -> io::Result<u64>;

    /// Cuts the file, or grows it by a hole.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Grows the file to `len` bytes without writing them.
    fn reserve(&self, len: u64) -> io::Result<Reserved>;

    /// Returns once the file's bytes and its length would survive a power cut.
    fn sync_data(&self) -> io::Result<()>;

    /// Takes the lock that one holder can have, until the file is closed; `false` if it is taken.
    fn try_lock(&self) -> io::Result<bool>;

    /// Whether somebody has that lock. It cannot be taken at the very moment in which somebody
    /// looks.
    fn is_locked(&self) -> io::Result<bool>;

    /// What tells the file from every other on its disk; `None` where the disk does not know.
    fn id(&self) -> io::Result<Option<FileId>> {
        Ok(None)
    }

    /// Whether it is this user's alone, as it was when it was opened.
    fn is_own(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Whether nobody but its owner may read it, which holds for a part file in the making.
    fn is_private(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// Sets who may read the file.
    fn set_readers(&self, _: Readers) -> io::Result<()> {
        Ok(())
    }

    /// Whether no byte of it is other than zero.
    fn is_blank(&self) -> io::Result<bool> {
        is_blank(self, &|at| Ok(Some(at)))
    }
}

/// Reads a file for a byte that is not zero; `next_data` skips what is known to be a hole.
fn is_blank<F: DiskFile + ?Sized>(
    file: &F,
    next_data: &dyn Fn(u64) -> io::Result<Option<u64>>,
) -> io::Result<bool> {
    let mut bytes = vec![0; READ_AT_ONCE];
    let mut at = 0;
    while let Some(data) = next_data(at)? {
        let read = file.read_at(data, &mut bytes)?;
        if read == 0 {
            break;
        }
        if bytes[..read].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at = data + read as u64;
    }
    Ok(true)
}

const READ_AT_ONCE: usize = 64 << 10;

/// What tells a file from every other on its disk. A number may be used again when its file is
/// gone, a moment is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The inode's number.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970; 0 if the disk does not know.
    pub born: u64,
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the user's umask lets.
    Umask,
    /// Its owner only.
    Owner,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder,
    /// A plain file.
    Plain,
    /// A symbolic link.
    Link,
    /// A device, a socket or a pipe.
    Special,
}

/// Whether bytes that were reserved can still meet a full disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The disk has set the space aside.
    Allocated,
    /// The file system can't do that: the file has a hole, and each write takes space.
    Sparse,
}

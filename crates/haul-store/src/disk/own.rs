//! Whose an open file is. Everything that haul keeps is opened in one place, [`Folder::open_own`],
//! and looked at there through its descriptor: what a path leads to may change meanwhile.
//!
//! [`Folder::open_own`]: super::Folder::open_own

use rustix::fs::{FileType, OFlags, RawMode, Stat};
use std::{fmt, io};

/// What an open file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading, and writing at any place.
    Write,
    /// Writing at its end.
    Append,
}

/// What is demanded of the mode of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nobody else may write to it.
    Unwritable,
    /// Nobody else may read it or write to it.
    Secret,
    /// As [`Secret`](Self::Secret), and its mode is mended if it is not: for what lies in a folder
    /// that nobody else gets into.
    Mended,
}

/// Why a file is not taken for this user's own. It is what is inside the [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOwn {
    /// It is no plain file, or has more than one name.
    Kind,
    /// It belongs to somebody else.
    Owner,
    /// Others may write to it.
    Writable,
    /// Others may read it.
    Readable,
}

impl NotOwn {
    /// What an open failed with, if it was that the file is not this user's own.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// The reason, to be read after the file's name.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Kind => "is a link, or no plain file with one name",
            Self::Owner => "belongs to another user",
            Self::Writable => "can be written to by others",
            Self::Readable => "can be read by others",
        }
    }
}

impl fmt::Display for NotOwn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it {}", self.why())
    }
}

impl std::error::Error for NotOwn {}

impl From<NotOwn> for io::Error {
    fn from(not_own: NotOwn) -> Self {
        let kind = match not_own {
            NotOwn::Kind => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, not_own)
    }
}

impl Access {
    pub(super) fn flags(self) -> OFlags {
        match self {
            Self::Read => OFlags::RDONLY,
            Self::Write => OFlags::RDWR,
            Self::Append => OFlags::WRONLY | OFlags::APPEND,
        }
    }
}

/// Whether the file is a plain one of this user's with at most one name: none is left to one that
/// was replaced since it was opened.
pub(super) fn check(stat: &Stat) -> Result<(), NotOwn> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        // Through a second name, writing here would change a file somewhere else.
        return Err(NotOwn::Kind);
    }
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(NotOwn::Owner);
    }
    Ok(())
}

pub(super) fn check_mode(mode: RawMode, demand: Demand) -> Result<(), NotOwn> {
    match demand {
        _ if mode & OTHERS_WRITE != 0 => Err(NotOwn::Writable),
        Demand::Secret | Demand::Mended if mode & OTHERS != 0 => Err(NotOwn::Readable),
        _ => Ok(()),
    }
}

/// The bits of a mode that give anything to the group or to others.
pub(super) const OTHERS: RawMode = 0o077;
const OTHERS_WRITE: RawMode = 0o022;

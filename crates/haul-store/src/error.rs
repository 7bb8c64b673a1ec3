use crate::disk::NotOwn;
use haul_span::SpanSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What kept the store from doing its work.
///
/// Whatever was durable before an error is durable after it: the part file and its journal stay.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes were given for offsets that the file does not have; nothing was written.
    Beyond {
        /// Where the bytes were to go.
        at: u64,
        /// How many there were.
        len: u64,
        /// The file's length.
        length: u64,
    },
    /// What is stored belongs to another version of the file than the origin has.
    Changed {
        /// The part file.
        path: PathBuf,
        /// Which of the job's facts differs: `length` or `validator`.
        fact: &'static str,
        /// The fact as it was when the stored bytes were fetched.
        was: String,
        /// The fact as it is.
        is: String,
    },
    /// Something has the final name, and the target does not allow to replace it.
    Exists {
        /// The final path.
        path: PathBuf,
    },
    /// A file that haul did not write has the name that the part or the journal needs.
    Foreign {
        /// That file.
        path: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// The file does not fit into what the disk has left.
    Full {
        /// The part file.
        path: PathBuf,
        /// Bytes still to be allocated.
        needed: u64,
        /// Bytes that the disk has left for this user.
        free: u64,
    },
    /// What has a name that the job needs is of a kind that is never replaced.
    InTheWay {
        /// Where it is.
        path: PathBuf,
        /// What is there, to be read after the path.
        what: &'static str,
    },
    /// Publishing was asked for before every byte was stored.
    Incomplete {
        /// The part file.
        path: PathBuf,
        /// How many bytes are missing, or `None` while the length is unknown.
        missing: Option<u64>,
    },
    /// A file operation failed.
    Io {
        /// What was being done, as in "cannot *write to* the file".
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another haul is downloading to this file.
    Locked {
        /// The part file.
        path: PathBuf,
    },
    /// Somebody else removed, replaced or cut the part file while the job ran.
    Meddled {
        /// The part file.
        path: PathBuf,
    },
    /// The target's name can't be the name of a file, or is too long.
    Name {
        /// The path given.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The journal was written by another version of haul.
    OtherVersion {
        /// The journal.
        path: PathBuf,
        /// The version of the format it is in.
        version: u32,
    },
    /// A former run left a part file, and the target does not say what to do with it.
    PartLeft {
        /// The part file.
        path: PathBuf,
    },
    /// Publishing was asked for before resumed bytes of an unknown version were confirmed.
    Unconfirmed {
        /// The part file.
        path: PathBuf,
    },
    /// The part or the journal is another user's, or others may change it.
    Unsafe {
        /// That file.
        path: PathBuf,
        /// What is wrong with it, to be read after the path.
        why: &'static str,
    },
}

/// The kinds of [`Error`], by what a program does about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave bytes for offsets that the file does not have.
    Beyond,
    /// The file changed on the origin.
    Changed,
    /// The final name is taken.
    Exists,
    /// A file that haul did not write is where the part or the journal goes.
    Foreign,
    /// The disk or the user's quota is full.
    Full,
    /// The caller asked to publish too early.
    Incomplete,
    /// The disk failed.
    Io,
    /// Another haul is downloading to this file.
    Locked,
    /// The part file was changed by somebody else.
    Meddled,
    /// The folder does not exist, or is no folder.
    MissingFolder,
    /// The name can't be used.
    Name,
    /// A part file was left by a former run.
    PartLeft,
    /// This user may not write there, or nobody may.
    Permission,
    /// The file system does not hold files of this size.
    TooLarge,
    /// Others own or may change what is to be gone on with.
    Unsafe,
}

impl Error {
    /// What happened, as far as a program needs to know.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Beyond { .. } => ErrorKind::Beyond,
            Self::Changed { .. } => ErrorKind::Changed,
            Self::Exists { .. } | Self::InTheWay { .. } => ErrorKind::Exists,
            Self::Foreign { .. } => ErrorKind::Foreign,
            Self::Full { .. } => ErrorKind::Full,
            Self::Incomplete { .. } | Self::Unconfirmed { .. } => ErrorKind::Incomplete,
            Self::Io { source, .. } => kind_of(source),
            Self::Locked { .. } => ErrorKind::Locked,
            Self::Meddled { .. } => ErrorKind::Meddled,
            Self::Name { .. } => ErrorKind::Name,
            Self::OtherVersion { .. } | Self::PartLeft { .. } => ErrorKind::PartLeft,
            Self::Unsafe { .. } => ErrorKind::Unsafe,
        }
    }

    /// Whether the same job may succeed, and go on from what is durable, once the cause is gone.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Full
                | ErrorKind::Io
                | ErrorKind::Locked
                | ErrorKind::MissingFolder
                | ErrorKind::Permission
        )
    }

    /// What a person can try; `None` where only the program itself can be at fault.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::InTheWay { .. } => return Some(MAKE_WAY),
            Self::OtherVersion { .. } => {
                return Some("go on with the haul that wrote it, or choose another name with -o");
            }
            _ => {}
        }
        Some(match self.kind() {
            ErrorKind::Beyond | ErrorKind::Incomplete => return None,
            ErrorKind::Changed => {
                "start anew with --overwrite, or keep the part under another name"
            }
            ErrorKind::Exists => "choose another name with -o, or say --overwrite or --auto-rename",
            ErrorKind::Foreign => MAKE_WAY,
            ErrorKind::Full => {
                "free some space or choose another folder with -d, then go on with -c"
            }
            ErrorKind::Io => "check the disk, then go on with -c",
            ErrorKind::Locked => "wait for the other haul, or choose another name with -o",
            ErrorKind::Meddled => "let nothing else touch the .part file, then go on with -c",
            ErrorKind::MissingFolder => "make the folder, or choose another with -d",
            ErrorKind::Name => "choose another name with -o",
            ErrorKind::PartLeft => "go on with it with -c, or start anew with --overwrite",
            ErrorKind::Permission => "choose a folder that you may write to with -d",
            ErrorKind::TooLarge => "choose a folder on another file system with -d",
            ErrorKind::Unsafe => {
                "choose another name with -o or another folder with -d; if the file is yours alone, \
                 chmod 600 it first"
            }
        })
    }

    /// As [`io`](Self::io), for a file that is opened: it may be that it is not this user's own.
    pub(crate) fn opening(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| match NotOwn::of(&source) {
            Some(NotOwn::Kind) => Self::InTheWay { path, what: NotOwn::Kind.why() },
            Some(not_own) => Self::Unsafe { path, why: not_own.why() },
            None if source.kind() == io::ErrorKind::PermissionDenied => {
                Self::Unsafe { path, why: "may not be opened by this user" }
            }
            None => Self::Io { doing: "open", path, source },
        }
    }

    pub(crate) fn io(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// What to try where something is in the way that haul does not touch.
const MAKE_WAY: &str =
    "choose another name with -o or --auto-rename, or move that elsewhere: haul leaves it alone";

fn kind_of(source: &io::Error) -> ErrorKind {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::Permission
        }
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::MissingFolder,
        io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
        io::ErrorKind::InvalidFilename => ErrorKind::Name,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beyond { at, len, length } => {
                write!(f, "{len} bytes for offset {at} of a file that has {length}")
            }
            Self::Changed { path, fact, was, is } => write!(
                f,
                "{} is of another version of the file: its {fact} was {was} and is {is}",
                path.display()
            ),
            Self::Exists { path } => write!(f, "{} exists", path.display()),
            Self::Foreign { path, why } => {
                write!(f, "{} is in the way and not haul's: {why}", path.display())
            }
            Self::Full { path, needed, free } => write!(
                f,
                "{} needs {needed} bytes more, and the disk has {free} left",
                path.display()
            ),
            Self::InTheWay { path, what } => write!(f, "{} {what}", path.display()),
            Self::Incomplete { path, missing: Some(missing) } => {
                write!(f, "{} lacks {missing} bytes", path.display())
            }
            Self::Incomplete { path, missing: None } => {
                write!(f, "the length of {} is not known yet", path.display())
            }
            Self::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            Self::Locked { path } => {
                write!(f, "another haul is downloading to {}", path.display())
            }
            Self::Meddled { path } => {
                write!(f, "{} was changed by somebody else", path.display())
            }
            Self::Name { path, why } => write!(f, "{:?} {why}", path.display().to_string()),
            Self::OtherVersion { path, version } => write!(
                f,
                "{} is of version {version}, which this haul does not read",
                path.display()
            ),
            Self::PartLeft { path } => {
                write!(f, "{} was left by a former run", path.display())
            }
            Self::Unconfirmed { path } => {
                write!(f, "nobody compared {} with the origin's version", path.display())
            }
            Self::Unsafe { path, why } => write!(f, "{} {why}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Bytes could not be written, and which ones.
///
/// The store holds everything else that it was given; the lost bytes have to be delivered again.
#[derive(Debug)]
pub struct WriteError {
    /// Bytes that are not stored although they were given, now or with an earlier write.
    pub lost: SpanSet,
    /// Why.
    pub error: Box<Error>,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl From<WriteError> for Error {
    fn from(failed: WriteError) -> Self {
        *failed.error
    }
}

use crate::disk::Folder;
use crate::{Error, claim};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where a job's file goes, and what to do with what is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) folder: PathBuf,
    pub(crate) name: OsString,
    pub(crate) clobber: Clobber,
    pub(crate) left: Left,
}

/// What to do if something has the final name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clobber {
    /// Take the first free name of `name (1).ext`, `name (2).ext` and so on.
    AutoRename,
    /// Replace it, and start anew if a part file was left (but see [`Left::Continue`]).
    Overwrite,
    /// End with [`Error::Exists`].
    #[default]
    Refuse,
}

/// What to do if a former run left a part file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Left {
    /// Go on with it: what its journal claims is kept if its BLAKE3 confirms it.
    Continue,
    /// End with [`Error::PartLeft`], unless [`Clobber::Overwrite`] allows to start anew.
    #[default]
    Refuse,
}

/// What tells this job's file from any other.
///
/// The URL is written to the journal as it is given: the caller takes userinfo, signatures and
/// other secrets out of it. A URL or validator of 65,535 bytes or more is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// Where the file comes from.
    pub url: String,
    /// Its length in bytes, if the origin told.
    pub length: Option<u64>,
    /// What names this version of the file, if the origin told.
    pub validator: Option<String>,
}

impl Target {
    /// The file at `path`, which is relative to the current folder or absolute.
    ///
    /// The name is taken as it is: whoever takes one from a stranger makes it safe first.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let refuse = |why| Error::Name { path: path.to_owned(), why };
        if path.as_os_str().as_encoded_bytes().last().is_none_or(|&end| end == b'/') {
            return Err(refuse("names no file"));
        }
        let name = path.file_name().ok_or_else(|| refuse("names no file"))?;
        if name.len() > LONGEST_NAME {
            return Err(refuse("is too long a name: 250 bytes fit"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            name: name.to_owned(),
            clobber: Clobber::default(),
            left: Left::default(),
        })
    }

    /// Sets what to do if something has the final name.
    #[must_use]
    pub fn clobber(self, clobber: Clobber) -> Self {
        Self { clobber, ..self }
    }

    /// Sets what to do if a former run left a part file.
    #[must_use]
    pub fn left(self, left: Left) -> Self {
        Self { left, ..self }
    }

    /// Fails as [`Store::open`](crate::Store::open) would at what is in the way, and makes nothing.
    pub fn look(&self) -> Result<(), Error> {
        let folder = Folder::open(&self.folder).map_err(Error::io("open", &self.folder))?;
        claim::look(&folder, self)
    }

    /// The names to try, best first: one, or with [`Clobber::AutoRename`] many.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = Names> {
        let last = if self.clobber == Clobber::AutoRename { RENAMES } else { 0 };
        (0..=last).map(|number| Names::new(&self.folder, numbered(&self.name, number)))
    }
}

/// The names of one job's files within its folder.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    folder: PathBuf,
    pub(crate) file: OsString,
    pub(crate) part: OsString,
    pub(crate) journal: OsString,
}

impl Names {
    pub(crate) fn new(folder: &Path, file: OsString) -> Self {
        let with = |suffix| {
            let mut name = file.clone();
            name.push(suffix);
            name
        };
        let (part, journal) = (with(PART), with(JOURNAL));
        Self { folder: folder.to_owned(), file, part, journal }
    }

    pub(crate) fn file_path(&self) -> PathBuf {
        path_in(&self.folder, &self.file)
    }

    pub(crate) fn part_path(&self) -> PathBuf {
        path_in(&self.folder, &self.part)
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        path_in(&self.folder, &self.journal)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// `./name` reads as `name`.
fn path_in(folder: &Path, name: &OsStr) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// `name.ext`, or `name (2).ext` for the second free name; the stem gives way if it gets too long.
fn numbered(name: &OsStr, number: u32) -> OsString {
    if number == 0 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let mut tail = OsString::from(format!(" ({number})"));
    let extension = path.extension().filter(|extension| extension.len() <= LONGEST_EXTENSION);
    if let Some(extension) = extension {
        tail.push(".");
        tail.push(extension);
    }
    let room = LONGEST_NAME.saturating_sub(tail.len());
    let stem = extension.and(path.file_stem()).unwrap_or(name);
    let mut renamed = cut(stem, room);
    renamed.push(tail);
    renamed
}

/// At most `room` bytes of a name; one that is not UTF-8 is made so before it is cut.
fn cut(stem: &OsStr, room: usize) -> OsString {
    if stem.len() <= room {
        return stem.to_owned();
    }
    OsString::from(first_bytes(&stem.to_string_lossy(), room))
}

/// As many whole characters as fit into `room` bytes.
fn first_bytes(text: &str, room: usize) -> &str {
    let end = (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// What a part file's name ends in.
const PART: &str = ".part";
/// What a journal's name ends in; as long as [`PART`], so that one limit holds for both.
pub(crate) const JOURNAL: &str = ".haul";
/// File systems allow 255 bytes, of which the suffix takes five.
const LONGEST_NAME: usize = 255 - PART.len();
/// What comes after the last dot of a longer name is no extension.
const LONGEST_EXTENSION: usize = 32;
/// How many names are tried before the folder counts as hopeless.
const RENAMES: u32 = 9_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_file_name_is_refused() {
        for path in ["", "/", "..", "folder/..", "folder/"] {
            assert!(matches!(Target::new(path), Err(Error::Name { .. })), "{path}");
        }
        assert!(Target::new("x".repeat(250)).is_ok());
        assert!(Target::new("x".repeat(251)).is_err());
    }

    #[test]
    fn every_candidate_differs_and_fits() {
        for name in ["a.tar", "a", ".hidden", &"ü".repeat(125)] {
            let target = Target::new(name).unwrap().clobber(Clobber::AutoRename);
            let names: Vec<_> = target.candidates().take(20).map(|names| names.file).collect();
            assert!(names.iter().all(|name| name.len() <= LONGEST_NAME));
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        }
    }

    #[test]
    fn a_number_goes_before_the_extension() {
        assert_eq!(numbered(OsStr::new("a.iso"), 2), "a (2).iso");
        assert_eq!(numbered(OsStr::new("a"), 1), "a (1)");
    }
}

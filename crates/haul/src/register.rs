//! Which jobs were left: for each a small file in the state folder that leads to its journal.
//!
//! The journal beside the part file stays the truth. An entry says no more than where that is, and
//! which digest the user expects; an entry whose journal is gone vanishes when it is looked at.

use crate::home::files::{self, replace};
use crate::{Error, ErrorKind, Home, checksum};
use haul_fetch::Digest;
use haul_store::Leftover;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use url::Url;

/// A job that a former run left and that can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftJob {
    /// Six or more hexadecimal digits; the same for the same target.
    pub id: String,
    /// Where its file will appear.
    pub path: PathBuf,
    /// Where it came from, without a password and without what stood after a `?`.
    pub url: String,
    /// Length of the file in bytes, if the origin told.
    pub length: Option<u64>,
    /// Bytes that its journal claims; going on checks them.
    pub stored: u64,
    /// When something was stored last, in seconds since 1970.
    pub when: u64,
    /// Whether another haul is at work on it.
    pub in_use: bool,
    /// The digest that the user expects, as `--checksum` takes it.
    pub checksum: Option<String>,
}

/// A job's place in the register.
pub(crate) struct Entry(PathBuf);

impl Home {
    /// The jobs that were left, the most recent first.
    pub fn left_jobs(&self) -> Result<Vec<LeftJob>, Error> {
        let entries = match fs::read_dir(self.register()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&self.register(), &error)),
        };
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut jobs: Vec<LeftJob> = files.filter_map(|file| left(&file)).collect();
        jobs.sort_by(|one, other| (other.when, &one.path).cmp(&(one.when, &other.path)));
        Ok(jobs)
    }

    /// Notes a job that is about to store its first byte. Where that can't be done the job only
    /// cannot be listed.
    pub(crate) fn note_job(&self, target: &Path, expected: Option<&Digest>) -> Option<Entry> {
        let noted = self.write_entry(target, expected);
        noted.inspect_err(|error| tracing::warn!(%error, "this job cannot be listed")).ok()
    }

    fn write_entry(&self, target: &Path, expected: Option<&Digest>) -> io::Result<Entry> {
        let target = std::path::absolute(target)?;
        self.make_within(JOBS)?;
        let file = self.entry_of(&target);
        let digest = expected.map(checksum::text).unwrap_or_default();
        let content = [digest.as_bytes(), b"\n", target.as_os_str().as_bytes()].concat();
        replace(&file, &content)?;
        Ok(Entry(file))
    }

    /// The entry of a target: as many digits of its path's SHA-256 as tell it from all others.
    fn entry_of(&self, target: &Path) -> PathBuf {
        let digits = id_of(target.as_os_str().as_bytes());
        let mut files =
            (SHORTEST_ID..=digits.len()).map(|len| self.register().join(&digits[..len]));
        let is_free = |file: &PathBuf| match read(file) {
            Some((_, held)) => held == target,
            None => file.symlink_metadata().is_err(),
        };
        // No two paths have the same digest.
        files.find(is_free).unwrap_or_else(|| self.register().join(&digits))
    }

    fn register(&self) -> PathBuf {
        self.folder().join(JOBS)
    }
}

impl Entry {
    /// Takes the entry away: the job is done.
    pub(crate) fn strike(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the job's entry could not be removed");
        }
    }
}

impl LeftJob {
    /// The address to go on from; an error if some of it was withheld from the disk.
    pub fn address(&self) -> Result<Url, Error> {
        let whole = self.url.parse().ok().filter(|url: &Url| url.query().is_none());
        whole.ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                "the download cannot go on by itself",
                "its address had a part after the `?`, which is never kept as it may be a secret",
            )
            .with_remedy(format!("give the whole address: leader resume {} --url ADDRESS", self.id))
        })
    }

    /// Takes its part file and its journal away for good.
    pub fn cancel(self, home: &Home) -> Result<(), Error> {
        if let Some(left) = Leftover::of(&self.path)? {
            left.discard()?;
        }
        Entry(home.register().join(&self.id)).strike();
        Ok(())
    }
}

/// What an entry leads to; one that leads nowhere is taken away, with the journal of a job that was
/// killed when its file had just been published.
fn left(file: &Path) -> Option<LeftJob> {
    let id = file.file_name()?.to_str().filter(|name| is_id(name))?.to_owned();
    let (checksum, path) = read(file)?;
    // A folder that cannot be looked into may yet hold the job.
    let Some(left) = Leftover::of(&path).ok()? else {
        if let Err(error) = haul_store::sweep(&path) {
            tracing::debug!(%error, "a journal could not be removed");
        }
        Entry(file.to_owned()).strike();
        return None;
    };
    let when = left.touched.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let Leftover { path, job, claimed: stored, in_use, .. } = left;
    Some(LeftJob { id, path, url: job.url, length: job.length, stored, when, in_use, checksum })
}

/// The digest and the target that an entry names; `None` for a file that is no entry.
fn read(file: &Path) -> Option<(Option<String>, PathBuf)> {
    let content = files::read(file).ok()??;
    let end = content.iter().position(|&byte| byte == b'\n')?;
    let (digest, path) = (&content[..end], &content[end + 1..]);
    let digest = String::from_utf8(digest.to_owned()).ok()?;
    let digest = Some(digest).filter(|digest| !digest.is_empty());
    let is_entry = digest.as_ref().is_none_or(|digest| checksum::parse(digest).is_ok())
        && file.file_name().is_some_and(|id| id_of(path).as_bytes().starts_with(id.as_bytes()));
    is_entry.then(|| (digest, PathBuf::from(OsStr::from_bytes(path))))
}

/// The whole of it, of which an ID is the beginning.
fn id_of(target: &[u8]) -> String {
    checksum::hex(&Sha256::digest(target))
}

fn is_id(name: &str) -> bool {
    name.len() >= SHORTEST_ID && name.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn unreadable(folder: &Path, error: &io::Error) -> Error {
    let because = format!("cannot read {}: {error}", folder.display());
    Error::new(ErrorKind::Disk, "the downloads cannot be listed", because)
        .with_remedy("make the folder readable, or set HAUL_HOME to another")
}

const JOBS: &str = "jobs";
const SHORTEST_ID: usize = 6;

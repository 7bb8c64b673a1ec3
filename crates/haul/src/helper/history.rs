//! What was done for whom: one line of JSON for every help, the newest last.

use crate::home::files::{self, replace};
use crate::{Error, Home};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file of more bytes than this loses its older half.
const MOST: u64 = 1 << 20;

/// One help, as the history keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helped {
    /// The version of this form, 1.
    pub v: u8,
    /// When it ended, in seconds since 1970-01-01 00:00 UTC.
    pub at: i64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// The name that the leader gave itself.
    pub leader: String,
    /// The leader's id.
    pub leader_id: String,
    /// The host that the file came from.
    pub host: String,
    /// Bytes that were received from there.
    pub bytes: u64,
    /// Why it ended.
    pub because: String,
}

/// Every help that is remembered, the oldest first. Lines that cannot be read are left out.
pub(crate) fn read(home: &Home) -> Result<Vec<Helped>, Error> {
    let path = path(home);
    match files::read(&path) {
        Ok(bytes) => Ok(helps(&bytes.unwrap_or_default())),
        Err(error) => Err(files::failed("the history cannot be read", &path, &error)),
    }
}

/// Adds a help.
pub(crate) fn add(home: &Home, helped: &Helped) -> io::Result<()> {
    let path = path(home);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MOST) {
        shorten(&path)?;
    }
    let line = serde_json::to_string(helped)? + "\n";
    files::append(&path)?.write_all(line.as_bytes())
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("history.jsonl")
}

fn helps(bytes: &[u8]) -> Vec<Helped> {
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn shorten(path: &Path) -> io::Result<()> {
    let bytes = files::read(path)?.unwrap_or_default();
    let half = &bytes[bytes.len() / 2..];
    let begins = half.iter().position(|&byte| byte == b'\n').map_or(half.len(), |at| at + 1);
    replace(path, &half[begins..]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use tempfile::TempDir;

    fn helped(bytes: u64) -> Helped {
        Helped {
            v: 1,
            at: 1,
            seconds: 2,
            leader: "asha".into(),
            leader_id: "ab".repeat(32),
            host: "example.org".into(),
            bytes,
            because: "the download is done".into(),
        }
    }

    #[test]
    fn what_was_added_is_read_in_order_and_torn_lines_are_left_out() {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(read(&home).unwrap(), []);
        add(&home, &helped(1)).unwrap();
        let mut file = OpenOptions::new().append(true).open(path(&home)).unwrap();
        file.write_all(b"{\"v\":1,\"at\"\n").unwrap();
        add(&home, &helped(2)).unwrap();
        assert_eq!(read(&home).unwrap(), [helped(1), helped(2)]);
    }

    #[test]
    fn the_file_does_not_grow_without_end_and_keeps_the_newest() {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        let line = serde_json::to_string(&helped(7)).unwrap() + "\n";
        fs::write(path(&home), line.repeat(6000)).unwrap();
        assert!(fs::metadata(path(&home)).unwrap().len() > MOST);
        add(&home, &helped(8)).unwrap();
        let length = fs::metadata(path(&home)).unwrap().len();
        assert!(length < MOST * 3 / 4, "{length}");
        assert_eq!(read(&home).unwrap().last(), Some(&helped(8)));
    }
}

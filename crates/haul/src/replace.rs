//! Small files of haul's home that are replaced whole.

use haul_link::random;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process;

/// Replaces the file, so that whoever reads it finds the old content or the new one, also after a
/// power cut, and nobody but its owner may read it. The file is open for writing at its end.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let [suffix] = random().map(u64::from);
    let fresh = path.with_extension(format!("{suffix:02x}{:x}.new", process::id()));
    write(&fresh, path, content).inspect_err(|_| {
        // What is left of it is of no use; it may not even be there.
        let _ = fs::remove_file(&fresh);
    })
}

fn write(fresh: &Path, path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = private(fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn the_content_is_the_last_one_and_nothing_is_left_beside_it() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("kept");
        replace(&path, b"old and longer").unwrap();
        replace(&path, b"new").unwrap().write_all(b"er").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        fs::create_dir(folder.path().join("taken")).unwrap();
        replace(&folder.path().join("taken"), b"new").unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

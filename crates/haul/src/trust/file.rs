//! The private files of trust.

use crate::{Error, ErrorKind, Home};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What the file says; empty if there is none.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Replaces the file whole.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let replaced = crate::replace::replace(path, text.as_bytes());
    replaced.map(drop).map_err(|error| failed(path, &error))
}

/// Keeps other programs of this installation from changing its files, until dropped.
pub(super) fn lock(home: &Home) -> Result<impl Sized + use<>, Error> {
    let path: PathBuf = home.folder().join("trust.lock");
    let lock = || {
        fs::create_dir_all(home.folder())?;
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        exclusively(&file)?;
        Ok(file)
    };
    lock().map_err(|error: io::Error| failed(&path, &error))
}

#[cfg(unix)]
fn exclusively(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    Ok(flock(file, FlockOperation::LockExclusive)?)
}

#[cfg(not(unix))]
fn exclusively(_: &File) -> io::Result<()> {
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let because = format!("{}: {error}", path.display());
    Error::new(ErrorKind::Disk, "whom to trust could not be read or kept", because)
        .with_remedy("make the folder writable, or name another one in HAUL_HOME")
}

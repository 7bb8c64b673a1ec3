//! Small private files that are replaced whole.

use crate::{Error, ErrorKind, Home};
use haul_link::random;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What the file says; empty if there is none.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Replaces the file, so that whoever reads it finds the old text or the new one, and nobody but
/// its owner may read it.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let [suffix] = random().map(u64::from);
    let fresh = path.with_extension(format!("{suffix:02x}{:x}.new", std::process::id()));
    let write = || {
        let mut file = private(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|error| {
        // What is left of it is of no use; it may not even be there.
        let _ = fs::remove_file(&fresh);
        failed(path, &error)
    })
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

#[cfg(unix)]
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let because = format!("{}: {error}", path.display());
    Error::new(ErrorKind::Disk, "whom to trust could not be read or kept", because)
        .with_remedy("make the folder writable, or name another one in HAUL_HOME")
}

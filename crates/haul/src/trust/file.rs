//! The private files of trust.

use crate::{Error, ErrorKind, Home};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What the file says; empty if there is none.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(path, &error)),
    }
}

/// As [`read`], unless somebody else than the file's owner may read or change it.
pub(super) fn read_secret(path: &Path) -> Result<String, Error> {
    let read = || {
        let mut file = File::open(path)?;
        let mut text = String::new();
        let open = is_open_to_others(&file)?;
        file.read_to_string(&mut text)?;
        Ok::<_, io::Error>((text, open))
    };
    match read() {
        Ok((_, true)) => Err(Error::new(
            ErrorKind::Usage,
            "the group's key cannot be used",
            format!("others than its owner may read or change {}", path.display()),
        )
        .with_remedy(format!(
            "chmod 600 {}; if others may have read it, replace the key",
            path.display()
        ))),
        Ok((text, false)) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed(path, &error)),
    }
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
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

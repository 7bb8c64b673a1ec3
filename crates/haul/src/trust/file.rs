//! The private files of trust.

use crate::home::files;
use crate::{Error, ErrorKind, Home};
use haul_store::disk::NotOwn;
use rustix::fs::{FlockOperation, flock};
use std::io;
use std::path::Path;

/// What the file says; empty if there is none.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    let text = files::read_text(path).map_err(|error| failed(path, &error))?;
    Ok(text.unwrap_or_default())
}

/// As [`read`], unless somebody else than this user may read or change it.
pub(super) fn read_secret(path: &Path) -> Result<String, Error> {
    let secret = files::read_secret(path).map_err(|error| {
        let failed = files::failed("the group's key cannot be used", path, &error);
        // Whoever put the key there can mend it.
        if NotOwn::of(&error).is_some() { failed.of_kind(ErrorKind::Usage) } else { failed }
    })?;
    let text = String::from_utf8(secret.unwrap_or_default());
    text.map_err(|error| failed(path, &io::Error::other(error.utf8_error())))
}

/// Replaces the file whole.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let replaced = files::replace(path, text.as_bytes());
    replaced.map(drop).map_err(|error| failed(path, &error))
}

/// Keeps other programs of this installation from changing its files, until dropped.
pub(crate) fn lock(home: &Home) -> Result<impl Sized + use<>, Error> {
    let path = home.run().join("trust.lock");
    let lock = || {
        home.make_run()?;
        let file = files::append(&path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        Ok(file)
    };
    lock().map_err(|error: io::Error| failed(&path, &error))
}

/// That a private file of trust could not be read or kept.
pub(super) fn failed(path: &Path, error: &io::Error) -> Error {
    files::failed("whom to trust could not be read or kept", path, error)
}

pub(crate) mod files;

use crate::{Error, ErrorKind};
use etcetera::{BaseStrategy, choose_base_strategy};
use haul_link::Identity;
use haul_store::Leftover;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, io, process};

/// Where this installation keeps its key and what it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// The folder that `HAUL_HOME` names, or else `haul` among the user's data.
    pub fn of_user() -> Result<Self, Error> {
        if let Some(folder) = env::var_os("HAUL_HOME").filter(|folder| !folder.is_empty()) {
            return Ok(Self::at(folder));
        }
        let folders = choose_base_strategy().map_err(|error| {
            Error::new(
                ErrorKind::Disk,
                "no folder for haul's settings was found",
                error.to_string(),
            )
            .with_remedy("set HAUL_HOME to a folder that you may write to")
        })?;
        Ok(Self::at(folders.data_dir().join("haul")))
    }

    /// This folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who this installation is to other machines: 64 hexadecimal digits, of a key that is made on
    /// first use.
    pub fn id(&self) -> Result<String, Error> {
        Ok(self.identity()?.id().to_string())
    }

    /// A place that no other job has, for a file that is read and not kept.
    pub(crate) fn spool_place(&self) -> (PathBuf, Option<String>) {
        static JOBS: AtomicU64 = AtomicU64::new(0);
        let job = JOBS.fetch_add(1, Ordering::Relaxed);
        (self.folder.join(SPOOL), Some(format!("{}-{job}", process::id())))
    }

    /// Makes the folder of such files, and removes those whose job was killed.
    pub(crate) fn clear_spool(&self) -> Result<(), Error> {
        let folder = self.make_within(SPOOL).map_err(|error| {
            let what = "the file cannot be kept until it is read";
            files::failed(what, &self.folder.join(SPOOL), &error)
        })?;
        let left = haul_store::leftovers(&folder)?.into_iter().filter(|left| !left.in_use);
        for gone in left.map(Leftover::discard) {
            // Somebody else may have removed it first.
            gone.unwrap_or_else(|error| tracing::debug!(%error, "not removed"));
        }
        Ok(())
    }

    /// Makes the folder, or sees that it is the user's alone.
    pub(crate) fn make(&self) -> io::Result<()> {
        files::folder(&self.folder, files::is_hauls)
    }

    /// As [`make`](Self::make), and so for a folder within it; returns where that is.
    pub(crate) fn make_within(&self, name: &str) -> io::Result<PathBuf> {
        self.make()?;
        let folder = self.folder.join(name);
        files::folder(&folder, |_| true)?;
        Ok(folder)
    }

    /// Makes the folder of what only running programs need, locks and the socket. Nobody else ever
    /// got into it, also where the home was open to others once: so nobody else holds a lock in it.
    pub(crate) fn make_run(&self) -> io::Result<PathBuf> {
        self.make_within(RUN)
    }

    /// Where that folder is.
    pub(crate) fn run(&self) -> PathBuf {
        self.folder.join(RUN)
    }

    /// The key of this installation: made on first use, and never replaced.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        let path = self.folder.join("key");
        let failed = |error| files::failed("this installation has no usable key", &path, &error);
        self.make().map_err(failed)?;
        let key = match files::read_secret(&path).map_err(failed)? {
            Some(key) => key,
            None => made_key(&path).map_err(failed)?,
        };
        Identity::from_key(key).ok_or_else(|| {
            let because = format!("{} does not hold an Ed25519 key", path.display());
            Error::new(ErrorKind::Disk, "this installation has no usable key", because)
                .with_remedy("move that file elsewhere: a new key is made")
        })
    }
}

fn made_key(path: &Path) -> io::Result<Vec<u8>> {
    let key = Identity::fresh_key();
    match files::create(path, &key) {
        Ok(()) => Ok(key),
        // Another program of this installation was quicker: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            files::read_secret(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
        }
        Err(error) => Err(error),
    }
}

/// The folder of what only running programs need.
const RUN: &str = "run";

/// The folder of files that are read while they grow and not kept.
const SPOOL: &str = "spool";

/// The name that this machine goes by.
pub(crate) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("deep/down"));
        let first = home.identity().unwrap();
        assert_eq!(home.identity().unwrap().id(), first.id());
        let key = home.folder().join("key");
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(home.folder()).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&key, Permissions::from_mode(0o666)).unwrap();
        let error = home.id().unwrap_err();
        assert!(error.remedy().unwrap().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs::write(&key, b"not a key").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let error = Home::at(folder.path()).id().unwrap_err();
        assert!(error.because().contains("Ed25519"), "{error}");
        assert_eq!(fs::read(&key).unwrap(), b"not a key");
    }
}

use crate::{Error, ErrorKind};
use etcetera::{BaseStrategy, choose_base_strategy};
use haul_link::Identity;
use haul_store::Leftover;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

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
        let folder = self.folder.join(SPOOL);
        fs::create_dir_all(&folder).map_err(|error| {
            let because = format!("cannot make {}: {error}", folder.display());
            Error::new(ErrorKind::Disk, "the file cannot be kept until it is read", because)
                .with_remedy("set HAUL_HOME to a folder that you may write to")
        })?;
        let left = haul_store::leftovers(&folder)?.into_iter().filter(|left| !left.in_use);
        for gone in left.map(Leftover::discard) {
            // Somebody else may have removed it first.
            gone.unwrap_or_else(|error| tracing::debug!(%error, "not removed"));
        }
        Ok(())
    }

    /// The key of this installation, made on first use.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        Ok(Identity::load_or_create(&self.folder.join("key"))?)
    }
}

/// The folder of files that are read while they grow and not kept.
const SPOOL: &str = "spool";

/// The name that this machine goes by.
pub(crate) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

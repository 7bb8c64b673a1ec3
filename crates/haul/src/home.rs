use crate::{Error, ErrorKind};
use etcetera::{BaseStrategy, choose_base_strategy};
use haul_link::Identity;
use std::env;
use std::path::{Path, PathBuf};

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

    /// The key of this installation, made on first use.
    pub(crate) fn identity(&self) -> Result<Identity, Error> {
        Ok(Identity::load_or_create(&self.folder.join("key"))?)
    }
}

/// The name that this machine goes by.
pub(crate) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

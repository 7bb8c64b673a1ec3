use crate::claim::refuse_existing;
use crate::disk::{Disk, DiskFile, Readers};
use crate::open::remove_own;
use crate::store::Store;
use crate::target::{Clobber, Names};
use crate::{Error, ErrorKind};
use std::io;
use std::path::{Path, PathBuf};

impl<D: Disk> Store<D> {
    /// Gives the file its final name, and returns the path.
    ///
    /// That happens in one step and only if every byte is durable. After an error the part and
    /// the journal are still there, and the job can be resumed; only if the folder can't be synced
    /// at the end, the file has its name already and a power cut may take that back.
    pub fn publish(mut self) -> Result<PathBuf, Error> {
        let length = self.complete_length()?;
        if !self.confirmed {
            return Err(Error::Unconfirmed { path: self.part_path() });
        }
        self.make_durable()?;
        self.settle_part(length)?;
        let path = self.rename()?;
        self.published = true;
        self.show(&path)?;
        self.disk.sync().map_err(Error::io("sync", self.names.folder()))?;
        if let Err(error) = remove_own(&self.disk, &self.names.journal, self.journal.file()) {
            tracing::warn!(journal = ?self.names.journal, %error, "cannot remove");
        }
        Ok(path)
    }

    /// Gives the job up: takes the part and the journal away.
    pub fn discard(mut self) -> Result<(), Error> {
        self.published = true;
        for (name, path, file) in [
            (&self.names.part, self.names.part_path(), &self.part),
            (&self.names.journal, self.names.journal_path(), self.journal.file()),
        ] {
            remove_own(&self.disk, name, file).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }

    fn complete_length(&self) -> Result<u64, Error> {
        let missing = self.job.length.map(|length| length.saturating_sub(self.stored.bytes()));
        match (self.job.length, missing) {
            (Some(length), Some(0)) => Ok(length),
            _ => Err(Error::Incomplete { path: self.part_path(), missing }),
        }
    }

    /// Sees that the part file is the one that was written, and has the file's length.
    fn settle_part(&self, length: u64) -> Result<(), Error> {
        let path = self.part_path();
        let ours = self.disk.leads_to(&self.names.part, &self.part);
        let ours = ours.and_then(|ours| Ok(ours && self.part.is_own()?));
        let len = self.part.len().map_err(Error::io("look at", &path))?;
        if len < length || !ours.map_err(Error::io("look at", &path))? {
            return Err(Error::Meddled { path });
        }
        if len > length {
            self.part.set_len(length).map_err(Error::io("cut", &path))?;
        }
        self.part.sync_data().map_err(Error::io("sync", path))
    }

    /// Sees that the file that got its name is the one that was written, where others may rename in
    /// the folder too, and lets those read it whom the umask lets.
    fn show(&self, path: &Path) -> Result<(), Error> {
        let name = path.file_name().unwrap_or_default();
        let ours = self.disk.leads_to(name, &self.part);
        if !ours.map_err(Error::io("look at", path))? {
            return Err(Error::Meddled { path: path.to_owned() });
        }
        if let Err(error) = self.part.set_readers(Readers::Umask) {
            tracing::warn!(?path, %error, "nobody else can read the file");
        }
        Ok(())
    }

    fn rename(&self) -> Result<PathBuf, Error> {
        if self.target.clobber == Clobber::Overwrite {
            refuse_existing(&self.disk, &self.target, &self.names)?;
            let renamed = self.disk.rename_over(&self.names.part, &self.names.file);
            return renamed.map(|()| self.path()).map_err(Error::io("publish", self.path()));
        }
        let mut refused = self.rename_new(&self.names);
        if self.target.clobber == Clobber::AutoRename {
            let mut others = self.target.candidates();
            while refused.as_ref().is_err_and(|error| error.kind() == ErrorKind::Exists)
                && let Some(names) = others.next()
            {
                refused = self.rename_new(&names);
            }
        }
        refused
    }

    fn rename_new(&self, names: &Names) -> Result<PathBuf, Error> {
        let path = names.file_path();
        match self.disk.rename_new(&self.names.part, &names.file) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::Exists { path })
            }
            Err(error) => Err(Error::io("publish", path)(error)),
        }
    }
}

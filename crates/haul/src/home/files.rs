//! The files that haul keeps for itself: nobody but their owner reads or changes them. All of them
//! are opened here, and looked at there: see [`Folder::open_own`].

use crate::{Error, ErrorKind};
use haul_link::random;
use haul_store::disk::{Access, Demand, Disk, Folder, NotOwn};
use rustix::fs::{Mode, fchmod, fstat};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::{fmt, process};

/// What a file says; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_as(path, Demand::Mended)
}

/// As [`read`], of a file that would be worth nothing if others had read it.
pub(crate) fn read_secret(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_as(path, Demand::Secret)
}

/// As [`read`], for text.
pub(crate) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let text = |bytes| String::from_utf8(bytes).map_err(io::Error::other);
    read(path)?.map(text).transpose()
}

/// Opens a file for writing at its end, and makes it if there is none.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    let (folder, name) = place(path)?;
    loop {
        match folder.open_own(name, Access::Append, Demand::Mended) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return Ok(opened?.into_file()),
        }
        match folder.create_own(name, Access::Append) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return Ok(made?.into_file()),
        }
    }
}

/// Makes a file with this content; fails with [`AlreadyExists`](io::ErrorKind::AlreadyExists) if
/// anything has its name.
pub(crate) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let (folder, name) = place(path)?;
    let mut file = folder.create_own(name, Access::Append)?.into_file();
    file.write_all(content)?;
    file.sync_all()
}

/// Replaces the file, so that whoever reads it finds the old content or the new one, also after a
/// power cut. The file is open for writing at its end.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let (folder, name) = place(path)?;
    let [suffix] = random().map(u64::from);
    let fresh = Path::new(name).with_extension(format!("{suffix:02x}{:x}.new", process::id()));
    let mut file = folder.create_own(fresh.as_os_str(), Access::Write)?.into_file();
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| folder.rename_over(fresh.as_os_str(), name));
    renamed.inspect_err(|_| {
        // What is left of it is of no use.
        let _ = folder.remove(fresh.as_os_str());
    })?;
    folder.sync()?;
    Ok(file)
}

/// Makes a folder that nobody else gets into, or sees that it is one. One that others may look
/// into is closed to them if `is_hauls` says that it is no other than haul's.
pub(crate) fn folder(path: &Path, is_hauls: impl Fn(&Path) -> bool) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let folder = File::open(path)?;
    let stat = fstat(&folder)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(NotOwnFolder("belongs to another user").into());
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    if !mode.intersects(Mode::RWXG | Mode::RWXO) {
        return Ok(());
    }
    if mode.contains(Mode::SVTX) || !is_hauls(path) {
        return Err(NotOwnFolder("is open to others and may not be haul's alone").into());
    }
    fchmod(&folder, Mode::RWXU)?;
    mend_within(path);
    Ok(())
}

/// Takes from others what they could read while the folder was open to them; but of a secret its
/// user has to hear.
fn mend_within(path: &Path) {
    let (Ok(folder), Ok(entries)) = (Folder::open(path), fs::read_dir(path)) else { return };
    let names = entries.flatten().map(|entry| entry.file_name());
    for name in names.filter(|name| SECRETS.iter().all(|secret| name != secret)) {
        if let Err(error) = folder.open_own(&name, Access::Read, Demand::Mended) {
            tracing::debug!(?name, %error, "it stays as it is");
        }
    }
}

const SECRETS: [&str; 2] = ["key", "group.key"];

/// That something was tried in vain with a file of the home: `what`, and what to do about it.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    let shown = path.display();
    let inner = error.get_ref();
    let (because, remedy) = if let Some(not_own) = NotOwn::of(error) {
        let remedy = match not_own {
            NotOwn::Readable | NotOwn::Writable => {
                format!("chmod 600 {shown}; if others may have read or changed it, replace it")
            }
            _ => format!("move {shown} elsewhere, or name another folder in HAUL_HOME"),
        };
        (format!("{shown} {}", not_own.why()), remedy)
    } else if let Some(folder) = inner.and_then(|inner| inner.downcast_ref::<NotOwnFolder>()) {
        let home = "name a folder of your own in HAUL_HOME".to_owned();
        (format!("the folder of {shown} {}", folder.0), home)
    } else {
        let remedy = "make the folder writable, or set HAUL_HOME to one that is".to_owned();
        (format!("{shown}: {error}"), remedy)
    };
    Error::new(ErrorKind::Disk, what, because).with_remedy(remedy)
}

/// Why a folder is not used for what is private.
#[derive(Debug)]
struct NotOwnFolder(&'static str);

impl fmt::Display for NotOwnFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its folder {}", self.0)
    }
}

impl std::error::Error for NotOwnFolder {}

impl From<NotOwnFolder> for io::Error {
    fn from(folder: NotOwnFolder) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, folder)
    }
}

fn read_as(path: &Path, demand: Demand) -> io::Result<Option<Vec<u8>>> {
    let (folder, name) = match place(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        place => place?,
    };
    let mut file = match folder.open_own(name, Access::Read, demand) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?.into_file(),
    };
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(Some(content))
}

fn place(path: &Path) -> io::Result<(Folder, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((Folder::open(folder.unwrap_or(Path::new(".")))?, name))
}

/// Whether a folder holds nothing, or something that only haul makes.
pub(crate) fn is_hauls(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.is_empty() || names.iter().any(|name| OF_HAUL.iter().any(|own| name == own))
}

/// Names in a home of which hardly another folder has one.
const OF_HAUL: [&str; 13] = [
    "key",
    "group.key",
    "known",
    "policy.toml",
    "roster",
    "blocked",
    "grants",
    "jobs",
    "spool",
    "history.jsonl",
    "accounts",
    "helper.lock",
    "trust.lock",
];

#[cfg(test)]
mod tests;

//! What differs between the Unixes: preallocation, holes, gathered writes, renaming without replacing
//! and the umask.

use rustix::fs::{Mode, RawMode};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

/// Sets space aside and grows the file to `len`; the kernel never does it by writing zeros.
#[cfg(target_os = "linux")]
pub(super) fn allocate(file: &File, len: u64) -> Result<(), Errno> {
    if len == 0 {
        return Ok(());
    }
    loop {
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, len) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allocate(_: &File, _: u64) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// Writes the beginning of `parts`, as much as the kernel takes at once; returns how many bytes.
#[cfg(target_os = "linux")]
pub(super) fn write_some_at(file: &File, at: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::pwritev(file, parts, at)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn write_some_at(file: &File, at: u64, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    let part = parts.iter().find(|part| !part.is_empty());
    part.map_or(Ok(0), |part| std::os::unix::fs::FileExt::write_at(file, part, at))
}

/// Renames within a folder; fails with `EXIST` if anything has the new name.
#[cfg(target_os = "linux")]
pub(super) fn rename_new(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    let flags = rustix::fs::RenameFlags::NOREPLACE;
    rustix::fs::renameat_with(folder, from, folder, to, flags)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn rename_new(_: &OwnedFd, _: &OsStr, _: &OsStr) -> Result<(), Errno> {
    Err(Errno::NOTSUP)
}

/// Where the first byte at or after `at` is that is not in a hole; `None` if there is none.
#[cfg(target_os = "linux")]
pub(super) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::NOTSUP) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn next_data(_: &File, at: u64) -> io::Result<Option<u64>> {
    Ok(Some(at))
}

/// The bits that this process's user takes from the modes of new files.
pub(super) fn umask() -> RawMode {
    static UMASK: OnceLock<RawMode> = OnceLock::new();
    *UMASK.get_or_init(|| told_umask().unwrap_or_else(asked_umask))
}

/// Asking for the umask means setting it: for that moment to the strictest.
fn asked_umask() -> RawMode {
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask);
    umask.as_raw_mode()
}

/// As the kernel tells it without its being set.
#[cfg(target_os = "linux")]
fn told_umask() -> Option<RawMode> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let told = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    RawMode::from_str_radix(told.trim(), 8).ok()
}

#[cfg(not(target_os = "linux"))]
fn told_umask() -> Option<RawMode> {
    None
}

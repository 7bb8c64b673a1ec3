//! What differs between the Unixes: preallocation, gathered writes and renaming without replacing.

use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

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

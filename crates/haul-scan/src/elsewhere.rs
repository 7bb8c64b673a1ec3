//! An operating system on which nothing can be scanned from.

use crate::interface::Device;
use crate::link::Prober;
use crate::{Error, Interface, Pace};
use std::io;

pub(crate) fn devices() -> Result<Vec<Device>, Error> {
    Err(Error::Unsupported)
}

pub(crate) fn arp(_: &Interface, _: Pace) -> io::Result<Box<dyn Prober>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn sweep(_: &Interface) -> io::Result<Box<dyn Prober>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn echo(_: &Interface) -> io::Result<Box<dyn Prober>> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) const fn drop_privileges() {}

pub(crate) const fn remedy() -> Option<String> {
    None
}

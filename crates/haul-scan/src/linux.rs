//! Linux: packet sockets, the neighbour table, and what the kernel shows of interfaces.

mod devices;
mod drops;
mod echo;
mod neighbours;
pub(crate) mod netlink;
mod pnet;
mod sweep;

pub(crate) use devices::devices;

use crate::all_nodes::AllNodes;
use crate::link::{ArpProber, Prober};
use crate::{Interface, Mac, Pace};
use echo::Echo;
use pnet::{PnetLink, Protocol};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::os::fd::AsFd;
use std::time::Duration;
use std::{env, io};
use sweep::Sweep;

/// Asks by ARP; takes `CAP_NET_RAW`, and once opened nothing more.
///
/// Unless it is to be gentle, it also asks all nodes at once by IPv6.
pub(crate) fn arp(interface: &Interface, pace: Pace) -> io::Result<Box<dyn Prober>> {
    let mac = interface.mac().ok_or(io::ErrorKind::Unsupported)?;
    let link = PnetLink::open(interface, Protocol::Arp)?;
    let all_nodes = if pace == Pace::Gentle { None } else { all_nodes(interface, mac) };
    Ok(Box::new(ArpProber::new(link, interface.clone(), mac, all_nodes)))
}

/// The question to all nodes, where IPv6 is in use.
fn all_nodes(interface: &Interface, mac: Mac) -> Option<AllNodes<PnetLink>> {
    let source = interface.link_local()?;
    let link = PnetLink::open(interface, Protocol::Echo6);
    let asked = link.and_then(|link| AllNodes::ask(link, mac, source));
    asked.inspect_err(|error| tracing::debug!(%error, "nobody is asked by IPv6")).ok()
}

/// Makes the kernel ask; takes no privilege.
pub(crate) fn sweep(interface: &Interface) -> io::Result<Box<dyn Prober>> {
    Ok(Box::new(Sweep::open(interface)?))
}

/// Asks by ICMP echo; takes `CAP_NET_RAW`, or a group that may send echoes.
pub(crate) fn echo(interface: &Interface) -> io::Result<Box<dyn Prober>> {
    Ok(Box::new(Echo::open(interface)?))
}

/// Gives up every capability of this thread, so that whoever could take it over by a frame has
/// nothing; other threads keep theirs.
pub(crate) fn drop_privileges() {
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    if let Err(error) = set_capabilities(None, none) {
        tracing::debug!(%error, "the thread that scans keeps its capabilities");
    }
}

/// The command after which this program may send ARP.
pub(crate) fn remedy() -> Option<String> {
    Some(format!("sudo setcap cap_net_raw+ep {}", quoted(env::current_exe().ok()?.to_str()?)))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether there is something to read, within `timeout`; a signal ends the wait early.
fn is_readable(socket: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let mut sockets = [PollFd::new(&socket, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(&mut sockets, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::capabilities;
    use std::thread;

    #[test]
    fn the_thread_that_drops_its_privileges_has_none_and_the_others_keep_theirs() {
        let before = capabilities(None).unwrap();
        let dropped = thread::spawn(|| {
            drop_privileges();
            capabilities(None).unwrap()
        });
        let dropped = dropped.join().unwrap();
        assert!(dropped.effective.is_empty() && dropped.permitted.is_empty());
        assert_eq!(capabilities(None).unwrap(), before);
    }

    #[test]
    fn a_path_is_quoted_only_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("/usr/bin/leader"), "/usr/bin/leader");
        assert_eq!(quoted("/home/o'hara/my tools"), r"'/home/o'\''hara/my tools'");
    }
}

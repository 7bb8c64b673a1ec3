use super::tool::run;
use crate::Error;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// What the names of all namespaces of the lab begin with; the id of the process that made them
/// comes next.
const PREFIX: &str = "haul-lab-";

/// Where iproute2 keeps named namespaces.
const NAMESPACES: &str = "/run/netns";

/// Where iproute2 looks for what programs in a namespace find in `/etc`.
const SETTINGS: &str = "/etc/netns";

/// What every namespace has in common, whatever the machine has: a new one takes the reverse path
/// filter over from it, and what one download learnt of a path must not help the next.
const PARAMETERS: [(&str, &str); 5] = [
    ("net/ipv6/conf/all/disable_ipv6", "1"),
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/tcp_no_metrics_save", "1"),
];

/// A network namespace; it is removed, and whatever runs in it killed, when this is dropped.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace with nothing in it but a loopback device.
    pub(super) fn make(name: &str) -> Result<Self, Error> {
        let name = format!("{PREFIX}{name}");
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let made = Self { name };
        made.set(&PARAMETERS)?;
        made.set_congestion_control()?;
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// Uses CUBIC as most origins do, or Reno, which is much like it on links as short as these,
    /// where the machine does not allow CUBIC to namespaces. BBR would give other figures.
    fn set_congestion_control(&self) -> Result<(), Error> {
        let control = |name| self.set(&[("net/ipv4/tcp_congestion_control", name)]);
        control("cubic").or_else(|_| control("reno"))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` inside.
    pub(super) fn ip(&self, arguments: &str) -> Result<String, Error> {
        run(Command::new("ip").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// What a thread enters by.
    pub(super) fn open(&self) -> Result<fs::File, Error> {
        let path = Path::new(NAMESPACES).join(&self.name);
        fs::File::open(&path).map_err(Error::io(format!("open {}", path.display())))
    }

    /// `ip netns exec` puts what is in this folder over what is in `/etc` (ip-netns(8)).
    pub(super) fn set_name_server(&self, server: IpAddr) -> Result<(), Error> {
        let folder = Path::new(SETTINGS).join(&self.name);
        let lines = format!("nameserver {server}\noptions timeout:1 attempts:2\n");
        let write = || {
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("resolv.conf"), lines)
        };
        write().map_err(Error::io(format!("write to {}", folder.display())))
    }

    /// Runs `tc` inside.
    pub(super) fn tc(&self, arguments: &str) -> Result<String, Error> {
        run(Command::new("tc").args(["-n", &self.name]).args(arguments.split_whitespace()))
    }

    /// Sets kernel parameters inside, named by their paths below `/proc/sys`.
    pub(super) fn set(&self, parameters: &[(&str, &str)]) -> Result<(), Error> {
        let set = |(name, value): &(&str, &str)| format!("echo {value} > /proc/sys/{name}");
        let script = parameters.iter().map(set).collect::<Vec<_>>().join(" && ");
        run(self.command("sh").args(["-c", &script]))?;
        Ok(())
    }

    /// A command that runs `program` inside, under the process id that it is given.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            tracing::warn!(%error, namespace = self.name, "cannot remove a namespace");
        }
    }
}

/// The file by which a namespace can be entered.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(NAMESPACES).join(name)
}

/// Removes the namespaces of processes that are gone.
pub(super) fn sweep() -> Result<(), Error> {
    let found = match fs::read_dir(NAMESPACES) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io(format!("list {NAMESPACES}"))(source)),
    };
    let names = found.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| is_orphan(name)) {
        // Another test may be sweeping the same one at this moment.
        if let Err(error) = remove(&name) {
            tracing::debug!(%error, name, "cannot remove a namespace that was left behind");
        }
    }
    Ok(())
}

fn is_orphan(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
    owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists())
}

/// Kills what runs in a namespace of the lab, then removes it.
fn remove(name: &str) -> Result<(), Error> {
    let inside = run(Command::new("ip").args(["netns", "pids", name]))?;
    let inside: Vec<_> = inside.split_whitespace().collect();
    if !inside.is_empty() {
        // One that ended by itself in the meantime makes `kill` fail, and is none the worse.
        let _ = run(Command::new("kill").arg("-KILL").args(inside));
    }
    // Most have none.
    let _ = fs::remove_dir_all(Path::new(SETTINGS).join(name));
    run(Command::new("ip").args(["netns", "del", name]))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_the_lab_whose_process_is_gone_are_orphans() {
        let own = std::process::id();
        assert!(!is_orphan(&format!("haul-lab-{own}-0-leader")));
        assert!(is_orphan("haul-lab-4194999-0-leader"), "no process has an id above 2^22");
        for other in ["haul-lab-", "haul-lab-x-0", "lab-4194999-0", "4194999"] {
            assert!(!is_orphan(other), "{other}");
        }
    }
}

use super::namespace::Namespace;
use crate::Error;
use std::io::Write;
use std::path::Path;
use std::{env, io, process};

/// Why no [`Lan`](super::Lan) can be built here, or one of `programs` not be run; `None` if all is
/// well.
pub fn missing(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces take root".to_owned());
    }
    let absent = ["ip", "tc"].iter().chain(programs).find(|program| !is_installed(program));
    match absent {
        Some(program) => Some(format!("`{program}` is not installed")),
        None => try_kernel().err().map(|error| error.to_string()),
    }
}

/// Says in one line on stderr that a test was skipped, and why.
///
/// # Panics
///
/// If the environment has `HAUL_LAB=required`: there, a test skipped is a test failed.
pub fn skip_or_fail(reason: &str) {
    assert!(env::var_os("HAUL_LAB").is_none_or(|lab| lab != "required"), "skipped: {reason}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // The test harness keeps what `println!` writes to itself, but not this; and written at once,
    // it is not torn apart by what other tests write.
    let _ = io::stderr().write_all(format!("skipped: {test}: {reason}\n").as_bytes());
}

pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder: std::path::PathBuf| is_file(&folder.join(program)))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file())
}

/// Root in a container may still not be allowed what root on a machine is.
fn try_kernel() -> Result<(), Error> {
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    let probe = Namespace::make(&format!("{}-probe{thread}", process::id()))?;
    probe.ip("link add name probe0 type veth peer name probe1")?;
    probe.ip("link add name probe2 type bridge")?;
    probe.tc("qdisc add dev probe0 root tbf rate 1mbit burst 16kb limit 100kb")?;
    Ok(())
}

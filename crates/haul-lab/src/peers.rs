//! A second implementation of the protocol, in Python: `python3 -m haul_peer`, in the folder
//! `peers` of this crate.
//!
//! It was written from docs/PROTOCOL.md, so what talks to it is held to that page. Beside an honest
//! leader and an honest helper it has hostile ones, by the names of their scenarios. Each tells what
//! happens to it as JSON, an object a line.
//!
//! It takes Debian's Python with its package `cryptography`: see [`missing`].

use crate::Error;
use crate::lan::{Host, Process};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A Python that comes first on the path may lack the package.
const PYTHON: &str = "/usr/bin/python3";

/// How long a peer may take until it listens.
const START: Duration = Duration::from_secs(20);

/// Why no peer can be run here; `None` if all is well.
pub fn missing() -> Option<String> {
    let mut probe = Command::new(PYTHON);
    probe.args(["-c", "import cryptography"]).stdin(Stdio::null()).stderr(Stdio::null());
    let runs = probe.status().is_ok_and(|status| status.success());
    (!runs).then(|| format!("{PYTHON} with `python3-cryptography` is not installed"))
}

/// A peer with these arguments, on this machine.
pub fn command(arguments: &[&str]) -> Command {
    prepared(Command::new(PYTHON), arguments)
}

/// A peer with these arguments, on a machine of a LAN.
pub fn command_on(host: &Host, arguments: &[&str]) -> Command {
    prepared(host.command(PYTHON), arguments)
}

/// Starts a peer that listens, and waits until it does; where it listens goes with it.
pub fn listening(command: &mut Command) -> Result<(Process, String), Error> {
    let mut peer = Process::spawn(command)?;
    peer.wait_for(START, |out, _| out.contains("\"listening\""))?;
    let told = events(&peer.stdout(), "listening");
    let address = told.first().and_then(|event| event["address"].as_str());
    let address = address.unwrap_or_default().to_owned();
    Ok((peer, address))
}

/// All that a peer has told of one kind; a line that is not whole yet is left out.
pub fn events(stdout: &str, kind: &str) -> Vec<serde_json::Value> {
    let events = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    events.filter(|event: &serde_json::Value| event["event"] == kind).collect()
}

fn prepared(mut command: Command, arguments: &[&str]) -> Command {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    command.env("PYTHONPATH", package).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "haul_peer"]).args(arguments);
    command
}

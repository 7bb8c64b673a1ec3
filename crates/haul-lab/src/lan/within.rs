use super::tool::{run, typed};
use super::{Host, namespace};
use crate::Error;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Timed {
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// From its start to its end.
    pub wall: Duration,
    /// How many frames left the machine for the LAN meanwhile.
    pub sent: u64,
}

impl Host {
    /// Runs a command on this machine to its end.
    pub fn time(&self, mut command: Command) -> Result<Timed, Error> {
        let doing = format!("run {}", typed(&command));
        let before = self.sent()?;
        let run = move || {
            let began = Instant::now();
            (command.stdin(Stdio::null()).output(), began.elapsed())
        };
        let (output, wall) = self.within(run)?.join().unwrap_or_else(|panic| resume_unwind(panic));
        let output = output.map_err(Error::io(doing))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Ok(Timed { stdout, stderr, wall, sent: self.sent()?.saturating_sub(before) })
    }

    /// How many frames have left it for the LAN.
    pub fn sent(&self) -> Result<u64, Error> {
        let frames = run(self.command("cat").arg("/sys/class/net/lan0/statistics/tx_packets"))?;
        Ok(frames.trim().parse().unwrap_or(0))
    }

    /// Runs `work` on a thread that sees the network as this machine does; so do the programs that
    /// it starts, without the time that [`Host::command`] takes to enter.
    ///
    /// `/sys` stays that of the machine that the test runs on.
    pub fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Error> {
        let path = namespace::path(self.namespace_name());
        let doing = || format!("enter {}", path.display());
        let inside = File::open(&path).map_err(Error::io(doing()))?;
        let (entered, has_entered) = std::sync::mpsc::channel();
        let run = move || {
            let kind = Some(LinkNameSpaceType::Network);
            let moved = move_into_link_name_space(inside.as_fd(), kind);
            let is_inside = moved.is_ok();
            // Whoever waits for this is at hand.
            let _ = entered.send(moved);
            assert!(is_inside, "nothing may run outside of its namespace");
            work()
        };
        let thread = Builder::new().name("within".to_owned()).spawn(run);
        let thread = thread.map_err(Error::io(doing()))?;
        match has_entered.recv() {
            Ok(Err(error)) => Err(Error::io(doing())(error.into())),
            Ok(Ok(())) | Err(_) => Ok(thread),
        }
    }
}

use super::tool::typed;
use crate::Error;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// How often a process that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A program that a test runs; it is killed when this is dropped.
///
/// What it writes is kept, so it never waits for a reader.
#[derive(Debug)]
pub struct Process {
    child: Child,
    typed: String,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    readers: Vec<JoinHandle<()>>,
    usage: Usage,
}

/// What a process has used up so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most memory it ever held, in bytes (`VmHWM`).
    pub peak_memory: u64,
    /// Bytes it passed to `write` and its like, for files, pipes and sockets but not `send`
    /// (`wchar`).
    pub written: u64,
    /// Bytes it caused to be sent to a disk (`write_bytes`); what stays in memory file systems does
    /// not count.
    pub written_to_disk: u64,
}

impl Process {
    /// Starts a command with nothing to read; what it writes is kept.
    pub fn spawn(command: &mut Command) -> Result<Self, Error> {
        let typed = typed(command);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io(format!("run `{typed}`")))?;
        let (stdout, stderr) = <(Arc<Mutex<Vec<u8>>>, Arc<_>)>::default();
        let outs = child.stdout.take().map(|pipe| keep(pipe, &stdout));
        let errs = child.stderr.take().map(|pipe| keep(pipe, &stderr));
        let readers = outs.into_iter().chain(errs).collect();
        Ok(Self { child, typed, stdout, stderr, readers, usage: Usage::default() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// What it has used up until now, or until shortly before it ended.
    pub fn usage(&mut self) -> Usage {
        self.usage = self.usage.grown_to(self.id());
        self.usage
    }

    /// Waits until it ends, for `limit` at most; `None` if it still runs then.
    pub fn wait_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>, Error> {
        let began = Instant::now();
        loop {
            self.usage();
            let status =
                self.child.try_wait().map_err(Error::io(format!("wait for `{}`", self.typed)))?;
            if status.is_some() {
                self.await_readers();
            }
            if status.is_some() || began.elapsed() >= limit {
                return Ok(status);
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until what it has written so far fulfils `seen`, for `limit` at most.
    ///
    /// `seen` is given stdout and stderr. If it ends or the time is over without that, the error
    /// says what it wrote.
    pub fn wait_for(
        &mut self,
        limit: Duration,
        seen: impl Fn(&str, &str) -> bool,
    ) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let ended = self.wait_within(Duration::ZERO)?.is_some();
            if seen(&self.stdout(), &self.stderr()) {
                return Ok(());
            }
            if ended || began.elapsed() >= limit {
                let said = self.stdout() + &self.stderr();
                return Err(Error::NotReady { program: self.typed.clone(), said });
            }
            thread::sleep(LOOK);
        }
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(&mut self) -> Result<(), Error> {
        self.signal(Signal::KILL)
    }

    /// Interrupts it as Ctrl-C does (SIGINT).
    pub fn interrupt(&mut self) -> Result<(), Error> {
        self.signal(Signal::INT)
    }

    /// Stops it from running, without its noticing (SIGSTOP).
    pub fn freeze(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it run again (SIGCONT).
    pub fn thaw(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Gives the readers a moment to read the rest, but no longer: a program that this one started
    /// may hold the pipes open.
    fn await_readers(&mut self) {
        let all_read = |readers: &[JoinHandle<()>]| readers.iter().all(JoinHandle::is_finished);
        for _ in (0..2000).take_while(|_| !all_read(&self.readers)) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a signal, unless it has been seen to end: its id may be another's by now.
    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.wait_within(Duration::ZERO)?.is_some() {
            return Ok(());
        }
        let sent = kill_process(Pid::from_child(&self.child), signal).map_err(io::Error::from);
        sent.map_err(Error::io(format!("signal `{}`", self.typed)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Usage {
    /// The larger of this and what the kernel says of `process` now; a process that has ended says
    /// less or nothing.
    fn grown_to(self, process: u32) -> Self {
        let read =
            |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
        let (status, io) = (read("status"), read("io"));
        Self {
            peak_memory: self.peak_memory.max(number(&status, "VmHWM:") * 1024),
            written: self.written.max(number(&io, "wchar:")),
            written_to_disk: self.written_to_disk.max(number(&io, "write_bytes:")),
        }
    }
}

/// The number after `name` at the start of a line, or zero.
fn number(text: &str, name: &str) -> u64 {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.next().and_then(|value| value.split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Reads a pipe to its end on a thread of its own.
fn keep(mut pipe: impl Read + Send + 'static, into: &Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = pipe.read(&mut bytes) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..read]);
        }
    })
}

fn text(bytes: &Mutex<Vec<u8>>) -> String {
    String::from_utf8_lossy(&bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Process::spawn(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn all_that_a_process_wrote_is_there_when_it_has_ended() {
        let mut process = shell("echo out; echo err >&2; exit 3");
        assert_eq!(process.wait_within(SOON).unwrap().unwrap().code(), Some(3));
        assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("out\n", "err\n"));
    }

    #[test]
    fn a_line_is_waited_for_and_its_absence_is_told_with_what_was_there() {
        let mut process = shell("echo ready; exec sleep 60");
        process.wait_for(SOON, |out, _| out.contains("ready")).unwrap();
        process.kill().unwrap();
        assert_eq!(process.wait_within(SOON).unwrap().unwrap().code(), None);
        let error = shell("echo no >&2").wait_for(SOON, |out, _| out.contains("ready"));
        assert!(error.unwrap_err().to_string().ends_with("did not get ready: no"));
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let process = shell("exec sleep 60");
        let entry = format!("/proc/{}", process.id());
        assert!(fs::exists(&entry).unwrap());
        drop(process);
        assert!(!fs::exists(&entry).unwrap());
    }

    #[test]
    fn memory_and_writes_are_read_from_the_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("written");
        let script = format!("head -c 5000 /dev/zero > {0}; echo done; sleep 60", file.display());
        let mut process = Process::spawn(Command::new("bash").args(["-c", &script])).unwrap();
        process.wait_for(SOON, |out, _| out.contains("done")).unwrap();
        assert!(process.usage().peak_memory > 100_000);
        assert!(process.usage().written >= 5, "the shell wrote at least `done`");
    }
}

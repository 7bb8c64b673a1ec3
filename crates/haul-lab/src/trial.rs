//! Downloaders tried on the hostile origin, each with its best options.

use crate::Error;
use crate::lan::Process;
use crate::origin::{Asks, Hostile, Promise, Trap};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, fs, io, thread};
use tempfile::TempDir;

/// How many trials run at once.
const AT_ONCE: usize = 8;

/// A downloader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `curl`, which fetches in one stream.
    Curl,
    /// `aria2c`, with eight connections.
    Aria2c,
    /// haul's leader without helpers: the path of its program.
    Haul(PathBuf),
}

/// What a downloader made of a trap.
#[derive(Debug)]
pub struct Trial {
    /// What became of the file.
    pub outcome: Outcome,
    /// Under which name something stands.
    pub saved_as: Option<String>,
    /// What it did besides that it should not have done.
    pub breach: Option<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// How it ended, unless it had to be killed.
    pub status: Option<ExitStatus>,
    /// What it wrote to stderr.
    pub said: String,
    /// What it held of memory at most, in bytes.
    pub peak_memory: u64,
    promise: Promise,
}

/// What became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands under a final name where it should, byte for byte, and success was told.
    Right,
    /// Failure was told, and nothing stands under a final name.
    Refused,
    /// Something stands under a final name that is not the right file, or success was told
    /// without it.
    Wrong,
    /// The downloader had not ended when the time was over.
    TooLong,
    /// The downloader has no way to be asked for this.
    Unasked,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Right => "right",
            Self::Refused => "refused",
            Self::Wrong => "WRONG",
            Self::TooLong => "too long",
            Self::Unasked => "-",
        })
    }
}

impl Trial {
    /// Lets a downloader walk into each of these traps, several at once as they mostly wait. `ended`
    /// is told of each trial as it ends; the results come in the order of the traps.
    pub fn run_all(
        tool: &Tool,
        traps: &[&'static Trap],
        ended: impl Fn(&'static Trap, &Self) + Sync,
    ) -> Result<Vec<Self>, Error> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(trap) = traps.get(at) else { return done };
                let trial = Self::run(tool, trap);
                if let Ok(trial) = &trial {
                    ended(trap, trial);
                }
                done.push((at, trial));
            }
        };
        let mut all = thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
            let joined = workers.into_iter().flat_map(|worker| match worker.join() {
                Ok(done) => done,
                Err(panic) => resume_unwind(panic),
            });
            joined.collect::<Vec<_>>()
        });
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, trial)| trial).collect()
    }

    /// Lets a downloader walk into a trap.
    pub fn run(tool: &Tool, trap: &'static Trap) -> Result<Self, Error> {
        let hostile = trap.spring()?;
        let ground = Ground::new(&hostile).map_err(Error::io("make a folder"))?;
        let command = tool.command(trap, &hostile, &ground);
        let Some(mut command) = command else { return Ok(Self::unasked(trap)) };
        let spawned = Instant::now();
        let mut process = Process::spawn(&mut command)?;
        let status = process.wait_within(trap.patience)?;
        let elapsed = spawned.elapsed();
        let peak_memory = process.usage().peak_memory;
        if status.is_none() {
            process.kill()?;
        }
        let finished = ground.finished().map_err(Error::io("look at what was downloaded"))?;
        let is_right = |file: &PathBuf| {
            file.parent() == Some(&ground.place()) && hostile.is_right(file).unwrap_or(false)
        };
        let outcome = match (status.map(|status| status.success()), &finished[..]) {
            (None, _) => Outcome::TooLong,
            (Some(false), []) => Outcome::Refused,
            (Some(true), [file]) if is_right(file) => Outcome::Right,
            _ => Outcome::Wrong,
        };
        let name = finished.first().and_then(|file| file.file_name()?.to_str());
        Ok(Self {
            outcome,
            saved_as: name.map(str::to_owned),
            breach: hostile.breach(),
            took: elapsed,
            status,
            said: process.stderr(),
            peak_memory,
            promise: trap.promise,
        })
    }

    fn unasked(trap: &Trap) -> Self {
        Self {
            outcome: Outcome::Unasked,
            saved_as: None,
            breach: None,
            took: Duration::ZERO,
            status: None,
            said: String::new(),
            peak_memory: 0,
            promise: trap.promise,
        }
    }

    /// Whether the downloader could be asked for what the trap is about.
    pub fn was_asked(&self) -> bool {
        self.outcome != Outcome::Unasked
    }

    /// Whether the downloader kept the trap's promise: the right file, or a refusal where that is
    /// what should be, and nothing done that should not have been.
    pub fn kept(&self) -> bool {
        let refused = self.outcome == Outcome::Refused && self.promise != Promise::Right;
        self.breach.is_none() && (self.outcome == Outcome::Right || refused)
    }
}

/// The folders of one trial: a home, and a place to save that can be climbed out of.
struct Ground {
    root: TempDir,
}

impl Ground {
    fn new(hostile: &Hostile) -> io::Result<Self> {
        let ground = Self { root: tempfile::tempdir()? };
        fs::create_dir_all(ground.place())?;
        fs::create_dir_all(ground.home())?;
        let authority = hostile.certificate().map_or("", |certificate| certificate.authority_pem());
        fs::write(ground.authority(), authority)?;
        Ok(ground)
    }

    fn place(&self) -> PathBuf {
        self.root.path().join("files/deeper/place")
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn authority(&self) -> PathBuf {
        self.root.path().join("home/authority.pem")
    }

    /// Every file that stands under a final name.
    fn finished(&self) -> io::Result<Vec<PathBuf>> {
        let mut finished = Vec::new();
        find_finished(&self.root.path().join("files"), &mut finished)?;
        Ok(finished)
    }
}

fn find_finished(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_finished(&path, found)?;
        } else if !is_unfinished(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// By the marks of aria2c, a control file beside the file, and of haul, a part file with its
/// journal.
fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let is_control = matches!(ending, "aria2" | "haul" | "part");
    is_control || path.with_file_name(format!("{name}.aria2")).exists()
}

impl Tool {
    /// What it is called.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Curl => "curl",
            Self::Aria2c => "aria2c",
            Self::Haul(_) => "haul",
        }
    }

    /// Its options, as far as they are the same in every trial.
    pub const fn options(&self) -> &'static [&'static str] {
        match self {
            Self::Curl => CURL,
            Self::Aria2c => ARIA2C,
            Self::Haul(_) => HAUL,
        }
    }

    fn command(&self, trap: &Trap, hostile: &Hostile, ground: &Ground) -> Option<Command> {
        let program = match self {
            Self::Haul(path) => path.as_os_str(),
            Self::Curl | Self::Aria2c => self.name().as_ref(),
        };
        let mut command = Command::new(program);
        command.args(self.options()).current_dir(ground.place());
        command.env("HAUL_HOME", ground.home()).env("HOME", ground.home());
        if hostile.certificate().is_some() {
            command.arg(self.option_of_authority()).arg(ground.authority());
        }
        match (trap.asks, self) {
            (Asks::Name, Self::Curl) => {
                command.args(["--remote-name", "--remote-header-name"]);
            }
            (Asks::Name, _) => {}
            // Told to fetch a part by hand, they do as they are told.
            (Asks::Headers(headers), Self::Curl | Self::Aria2c) if is_owned(headers) => {
                return None;
            }
            (Asks::Headers(headers), _) => {
                command.args(["--output", trap.saved_as].map(|word| self.spelled(word)));
                command.args(headers.iter().flat_map(|header| ["--header", header]));
            }
            (Asks::Checksum, Self::Curl) | (Asks::Http2, Self::Aria2c) => return None,
            (Asks::Checksum, _) => {
                command.args(["--output", trap.saved_as].map(|word| self.spelled(word)));
                command.arg(format!("--checksum=sha-256={}", hostile.payload().sha256()));
            }
            (Asks::Http2, _) => {
                command.args(["--http2", "--output", trap.saved_as]);
            }
            (Asks::Nothing, _) => {
                command.args(["--output", trap.saved_as].map(|word| self.spelled(word)));
            }
        }
        command.arg(hostile.url());
        Some(command)
    }

    const fn option_of_authority(&self) -> &'static str {
        match self {
            Self::Curl => "--cacert",
            Self::Aria2c => "--ca-certificate",
            Self::Haul(_) => "--ca-cert",
        }
    }

    fn spelled<'a>(&self, option: &'a str) -> &'a str {
        if *self == Self::Aria2c && option == "--output" { "--out" } else { option }
    }
}

/// Whether the user wants to say what decides what a response means.
fn is_owned(headers: &[&str]) -> bool {
    headers.iter().any(|header| header.starts_with("Range:"))
}

const CURL: &[&str] = &[
    "--fail",
    "--location",
    "--max-redirs",
    "10",
    "--retry",
    "4",
    "--retry-all-errors",
    "--remove-on-error",
    "--connect-timeout",
    "5",
    "--speed-limit",
    "1000",
    "--speed-time",
    "5",
    "--http1.1",
    "--silent",
    "--show-error",
];

const ARIA2C: &[&str] = &[
    "--no-conf",
    "--split=8",
    "--max-connection-per-server=8",
    "--min-split-size=1M",
    "--max-tries=10",
    "--retry-wait=2",
    "--connect-timeout=5",
    "--timeout=5",
    "--lowest-speed-limit=1K",
    "--file-allocation=none",
    "--auto-file-renaming=false",
    "--console-log-level=warn",
    "--summary-interval=0",
];

const HAUL: &[&str] = &["get", "--helpers", "none", "--quiet"];
